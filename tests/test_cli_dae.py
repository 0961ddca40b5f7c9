"""diffcli dae, end to end and in error."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Cli, refuses, steps_kept
from PIL import Image

from diffcli.cli import main
from diffcli.runs import fitting


def train_dae(folder: Path, pictures: Path, *arguments: object) -> Path:
    command = ["dae", "train", "--recipe", "tiny", "--steps", "12", "--quiet", "--dataset", pictures, "--out", folder]
    assert main([str(a) for a in (*command, *arguments)]) == 0
    return folder


@pytest.fixture(scope="session")
def dae_run(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """Under Gaussian noise, of the pictures. Read it only."""
    return train_dae(tmp_path_factory.mktemp("dae") / "run", pictures)


@pytest.fixture(scope="session")
def masked_run(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """Under masking noise. Read it only."""
    return train_dae(tmp_path_factory.mktemp("masked") / "run", pictures, "--corruption", "masking")


@pytest.fixture
def dae(dae_run: Path, tmp_path: Path) -> Path:
    """A copy in checkpoints/ of the folder that `cli` works in: `dae-shapes-1`."""
    return Path(shutil.copytree(dae_run, tmp_path / "checkpoints" / "dae-shapes-1"))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A colour image, larger than the model's."""
    pixels = np.random.default_rng(0).integers(0, 256, (13, 21, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def check_figures(document: dict, *names: str) -> None:
    assert [Path(figure).name for figure in document["figures"]] == list(names)
    for figure in document["figures"]:
        with Image.open(figure) as image:
            image.load()
    assert json.loads(Path(document["metrics"]).read_text()).keys() <= document.keys()


# Each command


def test_train_writes_a_run_that_runs_and_info_know(cli: Cli, pictures: Path) -> None:
    how = ("--recipe", "tiny", "--steps", 3, "--dataset", pictures, "--corruption", "salt-and-pepper", "--json")
    result = cli("dae", "train", *how, "--quiet")
    assert result.code == 0, result.err
    assert Path(result.document["run"]).name == "dae-shapes-1"
    assert 0 < result.document["linear_denoiser_loss"] < 1
    assert "dae-shapes-1" in cli("runs").out
    info = cli("info", "dae-shapes-1")
    assert info.code == 0
    assert "salt-and-pepper" in info.out


@pytest.mark.rendered
def test_evaluate_compares_five_denoisers(cli: Cli, dae: Path) -> None:
    result = cli("dae", "evaluate", "--count", 5, "--json", "--quiet")
    assert result.code == 0, result.err
    document = result.document
    assert {"psnr", "psnr_linear", "psnr_noisy", "ssim", "rows"} <= document.keys()
    assert {row["denoiser"] for row in document["rows"]} == {"noisy", "median", "linear", "memorising", "network"}
    assert sorted({row["amount"] for row in document["rows"]}) == [0.1, 0.25, 0.5, 1, 2]
    assert document["psnr_noisy"] == pytest.approx(12.04, abs=1.5)
    check_figures(document, "quality.png", "examples.png")


def test_evaluate_shows_tables_and_the_next_command(cli: Cli, masked_run: Path) -> None:
    result = cli("dae", "evaluate", masked_run, "--amount", 0.3, "--count", 3)
    assert result.code == 0, result.err
    assert all(
        word in result.out for word in ("PSNR, dB", "SSIM", "share 0.1", "best linear", "next: diffcli dae denoise")
    )


def test_evaluate_knows_the_test_images_of_a_named_set(cli: Cli, tmp_path: Path) -> None:
    assert cli("dae", "train", "--recipe", "tiny", "--steps", 2, "--quiet").code == 0
    result = cli("dae", "evaluate", "--count", 20, "--json", "--quiet")
    assert result.code == 0, result.err
    assert result.document["psnr_linear"] == pytest.approx(20.9, abs=0.6)
    assert result.document["images_known"] == 59_488


def test_the_same_seed_gives_the_same_numbers(cli: Cli, dae: Path) -> None:
    a, b, c = (cli("dae", "evaluate", "--count", 4, "--seed", s, "--json", "--quiet").document for s in (1, 1, 2))
    assert a["rows"] == b["rows"] != c["rows"]


@pytest.mark.rendered
def test_denoise_keeps_size_and_colours(cli: Cli, dae: Path, photo: Path) -> None:
    result = cli("dae", "denoise", photo, "--json")
    assert result.code == 0, result.err
    document = result.document
    assert document["estimated"] is True
    assert document["size"] == [21, 13]
    check_figures(document, "denoised.png", "before-after.png")
    with Image.open(document["figures"][0]) as image:
        assert (image.size, image.mode) == ((21, 13), "RGB")


@pytest.mark.parametrize("size", [(2, 2), (3, 8), (5, 30)])
def test_denoise_takes_small_and_narrow_images(cli: Cli, dae: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("L", size, 90).save(tmp_path / "small.png")
    result = cli("dae", "denoise", "dae-shapes-1", "small.png", "--json", "--quiet")
    assert result.code == 0, result.err
    with Image.open(result.document["figures"][0]) as image:
        assert (image.size, image.mode) == (size, "L")


def test_corrupt_says_what_came_back(cli: Cli, dae: Path, pictures: Path) -> None:
    image = pictures / "circle" / "00.png"
    document = cli("dae", "denoise", image, "--corrupt", "--json", "--quiet").document
    assert document["amount"] == 0.5
    assert document["psnr"] > document["psnr_before"]
    assert {"ssim", "ssim_before"} <= document.keys()


def test_an_estimate_from_cut_off_noise_is_said_to_be_low(cli: Cli, dae: Path, tmp_path: Path) -> None:
    noisy = (np.random.default_rng(0).normal(0, 60, (20, 20))).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "dark.png")
    assert "black or white" in cli("dae", "denoise", "dark.png").err


def test_a_colour_model_takes_grey_images(cli: Cli, tmp_path: Path, pictures: Path) -> None:
    folder = tmp_path / "colours"
    folder.mkdir()
    for i in range(12):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(folder / f"{i}.png")
    train_dae(tmp_path / "run", folder)
    result = cli("dae", "denoise", "run", pictures / "cross" / "00.png", "--json", "--quiet")
    assert result.code == 0, result.err
    with Image.open(result.document["figures"][0]) as image:
        assert image.mode == "L"


@pytest.mark.rendered
def test_score_finds_the_score(cli: Cli) -> None:
    result = cli("dae", "score", "--steps", 60, "--count", 200, "--json", "--quiet")
    assert result.code == 0, result.err
    document = result.document
    assert document["exact_error"] < 1e-12
    assert document["correlation"] > 0.5
    assert document["rows"][0]["exact_to_data"] < 0.2 < document["rows"][-1]["exact_to_data"]
    check_figures(document, "score.png")
    again = cli("dae", "score", "--steps", 60, "--count", 200, "--json", "--quiet").document
    assert again["rows"] == document["rows"]


def test_tables_fit_a_narrow_terminal(cli: Cli, dae: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = cli("dae", "evaluate", "--count", 3).out
    tables = out[: out.index("Estimates")].splitlines()
    assert any(line.startswith("network") for line in tables)
    assert all(len(line) <= 60 and "…" not in line for line in tables)


def test_ctrl_c_saves_and_a_resume_goes_on(
    cli: Cli, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = fitting.fit

    def interrupted(*args: Any, **options: Any) -> Iterator[Any]:
        for progress in fit(*args, **options):
            if progress.step == 8:
                os.kill(os.getpid(), signal.SIGINT)
            yield progress

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "fit", interrupted)
        result = cli("dae", "train", "--recipe", "tiny", "--steps", 12, "--dataset", pictures, "--out", "mine")
    assert result.code == 130
    assert "diffcli dae train --resume mine" in result.err
    assert steps_kept(tmp_path / "mine") == [9]
    assert cli("dae", "train", "--resume", "mine", "--json", "--quiet").document["steps"] == 12


@pytest.mark.parametrize("command", ["train", "evaluate", "denoise", "score"])
def test_help_fits_a_screen(cli: Cli, command: str) -> None:
    lines = cli("dae", command, "--help").out.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 80


# Errors


@pytest.mark.parametrize("amount", ["nan", "inf", "0", "-1", "10.5"])
def test_impossible_sigmas_are_refused(cli: Cli, tmp_path: Path, dae: Path, photo: Path, amount: str) -> None:
    refuses(cli, tmp_path, 2, "dae", "evaluate", "--amount", amount, words=("--amount",))
    refuses(cli, tmp_path, 2, "dae", "denoise", photo, "--amount", amount, "--quiet", words=("--amount",))


@pytest.mark.parametrize("amount", ["1", "2", "nan"])
def test_impossible_shares_are_refused(cli: Cli, tmp_path: Path, masked_run: Path, amount: str) -> None:
    refuses(cli, tmp_path, 2, "dae", "evaluate", masked_run, "--amount", amount, words=("share",))


def test_a_share_cannot_be_estimated(cli: Cli, tmp_path: Path, masked_run: Path, photo: Path) -> None:
    refuses(cli, tmp_path, 2, "dae", "denoise", masked_run, photo, words=("--amount",))


@pytest.mark.parametrize("count", ["0", "1", "-5", "100000", "1.5"])
def test_impossible_counts_are_refused(cli: Cli, tmp_path: Path, dae: Path, count: str) -> None:
    refuses(cli, tmp_path, 2, "dae", "evaluate", "--count", count, words=("--count",))


@pytest.mark.parametrize(
    "arguments", [("--sigma", "nan"), ("--sigma", "inf"), ("--sigma", "0"), ("--sigma", "-1"), ("--sigma", "99"),
                  ("--steps", "0"), ("--steps", "1000000000"), ("--count", "0"), ("--count", "1000000000")],
)  # fmt: skip
def test_score_refuses_what_cannot_be(cli: Cli, tmp_path: Path, arguments: tuple[str, str]) -> None:
    refuses(cli, tmp_path, 2, "dae", "score", *arguments, words=(arguments[0],))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--corruption", "gausian"), ("did you mean gaussian",)),
        (("--low", "nan"), ("low",)),
        (("--high", "inf"), ("high",)),
        (("--low", "-1"), ("low",)),
        (("--low", "1", "--high", "0.5"), ("range",)),
        (("--corruption", "masking", "--high", "2"), ("range",)),
        (("--dataset", "moons"), ("points",)),
        (("--steps", "0"), ("--steps",)),
        (("--minutes", "nan"), ("minutes",)),
        (("--recipe", "nope"), ("recipe",)),
        (("--set", "schedule=cosine"), ("schedule",)),
    ],
)
def test_train_refuses_what_cannot_be(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refuses(cli, tmp_path, 2, "dae", "train", *arguments, words=words)


def test_unreadable_images_are_refused(cli: Cli, tmp_path: Path, dae: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.new("L", (1, 9)).save(tmp_path / "line.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99)).astype(np.uint8)).save(tmp_path / "half.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "half.png").read_bytes()[:3000])
    for name in ("text.png", "empty.png", "line.png", "half.png", "nope.png", "checkpoints"):
        refuses(cli, tmp_path, 3, "dae", "denoise", name, words=(name,))


def test_three_places_are_one_too_many(cli: Cli, tmp_path: Path) -> None:
    refuses(cli, tmp_path, 2, "dae", "denoise", "a", "b", "c", words=("denoise [RUN] IMAGE",))


def test_without_a_run_the_way_to_one_is_shown(cli: Cli, tmp_path: Path, photo: Path) -> None:
    refuses(cli, tmp_path, 4, "dae", "evaluate", words=("diffcli dae train",))
    refuses(cli, tmp_path, 4, "dae", "denoise", photo, words=("diffcli dae train",))


def test_runs_of_another_family_are_refused_both_ways(
    cli: Cli, tmp_path: Path, dae: Path, shapes_run: Path, photo: Path
) -> None:
    refuses(cli, tmp_path, 4, "dae", "evaluate", shapes_run, words=("diffusion model",))
    refuses(cli, tmp_path, 4, "dae", "denoise", shapes_run, photo, words=("diffusion model",))
    refuses(cli, tmp_path, 4, "sample", dae, words=("denoising autoencoder", "diffcli dae"))


def test_a_taken_place_is_refused(cli: Cli, tmp_path: Path, dae: Path, photo: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("x")
    for command in (["evaluate"], ["denoise", photo], ["score"]):
        refuses(cli, tmp_path, 6, "dae", *command, "--out", "mine", "--quiet", words=("mine",))


def test_data_that_are_gone_are_said_to_be(cli: Cli, tmp_path: Path, dae_run: Path, pictures: Path) -> None:
    folder = tmp_path / "shapes"
    shutil.copytree(pictures, folder)
    train_dae(tmp_path / "run", folder)
    shutil.rmtree(folder)
    refuses(cli, tmp_path, 3, "dae", "evaluate", "run", words=("shapes",))
