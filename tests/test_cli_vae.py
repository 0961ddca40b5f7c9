"""`diffcli vae`: each command end to end on a tiny run, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import Cli, refuses, trained_here
from PIL import Image

TINY = ("vae", "train", "--recipe", "tiny", "--quiet")
EVALUATE = (
    "--count", 12, "--samples", 6, "--ais-images", 2, "--ais-chains", 2, "--ais-temperatures", 4, "--json", "--quiet",
)  # fmt: skip


@pytest.fixture(scope="session")
def vae_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on MNIST. Read it only."""
    import contextlib
    import io

    from diffcli.cli import main

    folder = tmp_path_factory.mktemp("vae") / "run"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
        assert main([*TINY, "--steps", "30", "--out", str(folder)]) == 0, err.getvalue()
    return folder


@pytest.fixture
def vae(vae_run: Path, tmp_path: Path) -> Path:
    """A copy of it in checkpoints/ of the folder that `cli` works in: `vae-mnist-1`."""
    return Path(shutil.copytree(vae_run, tmp_path / "checkpoints" / "vae-mnist-1"))


def opened(document: dict[str, object], tmp_path: Path) -> set[str]:
    """The names of the figures, each of which opens."""
    names = set()
    for path in document["figures"]:  # type: ignore[attr-defined]
        with Image.open(tmp_path / path) as image:
            image.load()
        names.add(Path(path).name)
    assert json.loads((tmp_path / str(document["metrics"])).read_text())
    return names


@pytest.mark.rendered
def test_evaluate_gives_every_bound(cli: Cli, vae: Path, tmp_path: Path) -> None:
    result = cli("vae", "evaluate", *EVALUATE)
    assert (result.code, result.err) == (0, "")
    d = result.document
    assert opened(d, tmp_path) == {"bounds.png", "sandwich.png", "latent.png"}
    assert d["elbo"] == pytest.approx(d["reconstruction"] - d["kl"])
    assert d["kl"] == pytest.approx(sum(d["kl_per_unit"]), rel=1e-4)
    assert 0 <= d["active_units"] <= len(d["kl_per_unit"]) == 4
    assert d["images"] == 10_000
    assert [row["samples"] for row in d["iwae_curve"]] == [1, 2, 5, 6]
    curve = [row["nats"] for row in d["iwae_curve"]]
    assert curve[0] <= curve[-1]
    assert d["iwae_gain"] == pytest.approx(curve[-1] - curve[0], abs=1e-3)
    assert d["iwae"] == pytest.approx(d["elbo"] + d["iwae_gain"])
    assert d["iwae_standard_error"] >= d["elbo_standard_error"]
    for name in ("elbo", "iwae", "lower", "upper"):
        assert d["sandwich"][name] < 0
    assert isinstance(d["log_p_ais"], float)
    assert d["bits_per_dim"] is None


@pytest.mark.rendered
def test_a_latent_plane_has_a_map_and_bytes_have_bits_per_dimension(cli: Cli, tmp_path: Path) -> None:
    command = [*TINY, "--steps", 5, "--latent", 2, "--pixels", "8bit", "--out", "plane"]
    assert cli(*command).code == 0
    d = cli("vae", "evaluate", "plane", *EVALUATE).document
    assert "map.png" in opened(d, tmp_path)
    assert d["bits_per_dim"] == pytest.approx(-d["elbo"] / (784 * 0.6931471805599453))


@pytest.mark.rendered
def test_sample_reconstruct_and_interpolate(cli: Cli, vae: Path, tmp_path: Path) -> None:
    d = cli("vae", "sample", "--count", 6, "--traverse", 2, "--json", "--quiet").document
    assert opened(d, tmp_path) == {"means.png", "drawn.png", "traversals.png"}
    assert len(d["traversed"]) == 2
    d = cli("vae", "reconstruct", vae, "--count", 3, "--json", "--quiet").document
    assert opened(d, tmp_path) == {"reconstructions.png"}
    assert all(row["elbo"] == pytest.approx(row["reconstruction"] - row["kl"], rel=1e-4) for row in d["images"])
    Image.new("RGB", (50, 40), "white").save(tmp_path / "white.png")
    d = cli("vae", "reconstruct", "--image", "white.png", "--json", "--quiet").document
    assert len(d["images"]) == 1
    d = cli("vae", "interpolate", "--from", 3, "--to", 8, "--count", 4, "--json", "--quiet").document
    assert opened(d, tmp_path) == {"interpolation.png", "interpolation.gif"}
    assert d["lengths"]["line"][0] == pytest.approx(d["lengths"]["great circle"][0], rel=1e-4)


def test_the_same_seed_gives_the_same_numbers(cli: Cli, vae: Path) -> None:
    one, same, other = (cli("vae", "evaluate", *EVALUATE, "--seed", s).document for s in (1, 1, 2))
    for key in ("elbo", "iwae", "log_p_ais", "sandwich"):
        assert one[key] == same[key]
    assert one["elbo"] != other["elbo"]


def test_runs_and_info_know_it(cli: Cli, vae: Path) -> None:
    (listed,) = cli("runs", "--json").document["runs"]
    assert (listed["family"], listed["linear_denoiser_loss"]) == ("vae", None)
    assert cli("runs").out.splitlines()[-1] == "next: diffcli vae evaluate checkpoints/vae-mnist-1"
    document = cli("info", "--json").document
    assert document["kind"] == "checkpoint of a variational autoencoder"
    assert "dynamic pixels" in cli("info", vae).out


@pytest.mark.parametrize("pixels", ["dynamic", "static"])
def test_bits_of_grey_pictures_come_with_a_suggestion(cli: Cli, pictures: Path, pixels: str) -> None:
    how = ("vae", "train", "--recipe", "tiny", "--steps", 2, "--dataset", pictures)
    result = cli(*how, "--pixels", pixels)
    (note,) = (line for line in result.err.splitlines() if "--pixels 8bit" in line)
    assert "of the pixels are grey" in note
    run = result.out.split("checkpoint: ")[1].split()[0].rsplit("/", 1)[0]
    assert "--pixels 8bit" not in cli("vae", "train", "--resume", run, "--steps", 3).err
    assert "--pixels 8bit" not in cli(*how, "--pixels", "8bit").err
    assert cli(*how, "--pixels", pixels, "--quiet").err == ""


def test_digits_are_black_and_white_enough(cli: Cli) -> None:
    from diffcli.data.loading import load_dataset
    from diffcli.training.families.vae import GREY, grey_share

    dataset = load_dataset("mnist")
    x = dataset.take(range(0, 60_000, 600))[0]
    assert grey_share(dataset) == pytest.approx(((x > -0.8) & (x < 0.8)).double().mean().item(), rel=0.05)
    assert grey_share(dataset) < GREY / 2
    assert "8bit" not in cli("vae", "train", "--recipe", "tiny", "--steps", 1).err


def test_a_run_of_another_family_is_refused_with_the_command_that_takes_it(cli: Cli, vae: Path, tmp_path: Path) -> None:
    refuses(cli, tmp_path, 4, "sample", "vae-mnist-1", words=("variational autoencoder", "diffcli vae"))
    refuses(cli, tmp_path, 4, "train", "--resume", "vae-mnist-1", words=("diffcli vae",))
    refuses(cli, tmp_path, 4, "sample", words=("no trained model",))
    trained_here(tmp_path / "checkpoints" / "mnist-1", "--steps", "2")
    refuses(cli, tmp_path, 4, "vae", "evaluate", "mnist-1", words=("diffusion model",))


def test_a_longer_run_goes_on(cli: Cli, vae: Path) -> None:
    result = cli("vae", "train", "--resume", "vae-mnist-1", "--steps", 40, "--json", "--quiet")
    assert result.code == 0, result.err
    assert result.document["steps"] == 40


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train", "--pixels", "dinamic"], 2, "did you mean dynamic?"),
        (["train", "--model", "unet"], 2, "unknown network"),
        (["train", "--latent", "0"], 2, "latent must be"),
        (["train", "--beta", "nan"], 2, "beta must be"),
        (["train", "--free-bits", "-1"], 2, "free_bits must be"),
        (["train", "--dataset", "moons"], 2, "points"),
        (["train", "--steps", "0"], 2, "at least 1"),
        (["train", "--set", "noise=0.1"], 2, "belongs to real"),
        (["train", "--pixels", "real", "--set", "noise=0"], 2, "noise must be"),
        (["train", "--recipe", "planes"], 2, "did you mean plane?"),
        (["evaluate", "nowhere"], 4, "unknown run"),
        (["evaluate", "--count", "1"], 2, "--count"),
        (["evaluate", "--samples", "0"], 2, "--samples"),
        (["evaluate", "--ais-temperatures", "0"], 2, "--ais-temperatures"),
        (["sample", "--count", "0"], 2, "--count"),
        (["reconstruct", "--image", "nothing.png"], 3, "no such image"),
        (["interpolate", "--from", "10000"], 2, "counted from 0"),
    ],
)
def test_bad_input_is_one_line(
    cli: Cli, vae: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    refuses(cli, tmp_path, code, "vae", *arguments, words=(words,))


@pytest.mark.parametrize("command", ["", "train", "evaluate", "sample", "reconstruct", "interpolate"])
def test_help_fits_a_screen(cli: Cli, command: str) -> None:
    result = cli("vae", *command.split(), "--help")
    assert result.code == 0
    assert len(result.out.splitlines()) <= 60
