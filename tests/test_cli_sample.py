"""`diffcli sample`: each option does what it says, and an image depends on its number and seed only."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SHAPES, Cli, Result, checkpoint_of
from PIL import Image

from diffcli import specs
from diffcli.core.diffusion import samplers
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.walks import Step
from diffcli.data.kinds import IMAGES, Items
from diffcli.pictures.grid import GAP, best_columns
from diffcli.runs.loading import load_trained
from diffcli.sampling.prepare import of_class

KEYS = {
    "grid", "images", "array", "sampler", "steps", "evaluations", "seconds", "images_per_second", "mean", "std",
}  # fmt: skip
PIXEL = 2 / 255  # one step of 8 bits, in units of [-1, 1]


def draw(cli: Cli, *arguments: object, run: object = "shapes-1") -> np.ndarray:
    """The images as an array; DDIM in 4 steps unless it is said otherwise."""
    number = len(list(Path().glob("*.npy")))
    how = [] if {"--ddim", "--sampler", "--eta"} & set(map(str, arguments)) else ["--ddim"]
    steps = [] if "--steps" in arguments else ["--steps", 4]
    result = cli("sample", run, *how, *steps, *arguments, "--array", f"{number}.npy", "--quiet")
    assert result.code == 0, result.err
    return np.load(f"{number}.npy")


def json_of(cli: Cli, *arguments: object) -> dict[str, Any]:
    result = cli("sample", "shapes-1", *arguments, "--json", "--quiet")
    assert result.code == 0, result.err
    assert result.err == ""
    return result.document


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The start of every walk of DDIM, as it is taken; but for those from zeros, which only count evaluations."""
    seen: list[torch.Tensor] = []

    def ddim(denoise: Any, x: torch.Tensor, levels: Any, *, eta: float = 0.0, **cond: Any) -> Iterator[Step]:
        if x.any():
            seen.append(x.clone())
        return samplers.ddim(denoise, x, levels, eta=eta, **cond)

    monkeypatch.setitem(SAMPLERS, "ddim", replace(SAMPLERS["ddim"], walk=ddim))
    return seen


# One image, whatever is drawn with it


@pytest.mark.parametrize("how", [("--ddim",), ("--eta", 1), ("--sampler", "ddpm"), ("--ddim", "--class", "all")])
def test_an_image_depends_on_its_number_and_seed_not_on_batch_and_count(
    cli: Cli, run: Path, how: tuple[object, ...]
) -> None:
    whole = draw(cli, *how, "--count", 10, "--seed", 5)
    for batch, count in ((1, 10), (3, 10), (64, 4), (3, 7)):
        again = draw(cli, *how, "--count", count, "--batch", batch, "--seed", 5)
        assert np.abs(again - whole[:count]).max() <= PIXEL / 2


def test_the_start_noise_is_the_same_to_the_bit(cli: Cli, run: Path, starts: list[torch.Tensor]) -> None:
    draw(cli, "--count", 10)
    draw(cli, "--count", 10, "--batch", 3)
    draw(cli, "--count", 4)
    whole = starts[0]
    assert torch.equal(torch.cat(starts[1:5]), whole)
    assert torch.equal(starts[5], whole[:4])


def test_the_start_is_standard_normal_and_its_images_independent(
    cli: Cli, run: Path, starts: list[torch.Tensor]
) -> None:
    """4096 numbers: mean within 4.5 standard errors of 0, variance of 1; so is the product of neighbours."""
    draw(cli, "--count", 64, "--seed", 1, "--steps", 1)
    x = starts[0].double()
    assert abs(x.mean().item()) < 4.5 / 64
    assert abs(x.var().item() - 1) < 4.5 * 2**0.5 / 64
    assert abs((x[1:] * x[:-1]).mean().item()) < 4.5 / 63


def test_seeds_differ(cli: Cli, run: Path) -> None:
    assert np.abs(draw(cli, "--seed", 0, "--count", 2) - draw(cli, "--seed", 1, "--count", 2)).mean() > 0.05


def test_the_same_command_gives_the_same_images(cli: Cli, run: Path) -> None:
    for how in (("--sampler", "ddpm"), ("--eta", 0.5)):
        assert np.array_equal(draw(cli, *how, "--count", 3), draw(cli, *how, "--count", 3))


# Samplers


def test_ddim_is_the_sampler_ddim_with_eta_0(cli: Cli, run: Path) -> None:
    expected = draw(cli, "--ddim", "--count", 3)
    assert np.array_equal(expected, draw(cli, "--sampler", "ddim", "--eta", 0, "--count", 3))
    assert np.array_equal(expected, draw(cli, "--eta", 0, "--count", 3))
    assert np.array_equal(expected, draw(cli, "--ddim", "--eta", 0, "--count", 3))


def test_ddim_with_eta_1_is_ddpm_with_the_small_variance(cli: Cli, run: Path) -> None:
    """Song et al. 2021, section 4.1; both take the same fresh noise."""
    one, other = draw(cli, "--eta", 1, "--count", 3), draw(cli, "--sampler", "ddpm", "--count", 3)
    assert np.abs(one - other).max() < 1e-3
    assert np.abs(one - draw(cli, "--eta", 0.5, "--count", 3)).max() > 0.05


def test_small_is_the_default_variance_and_large_another(cli: Cli, run: Path) -> None:
    small = draw(cli, "--sampler", "ddpm", "--variance", "small", "--count", 3)
    assert np.array_equal(small, draw(cli, "--sampler", "ddpm", "--count", 3))
    assert np.abs(small - draw(cli, "--sampler", "ddpm", "--variance", "large", "--count", 3)).max() > 0.05


def test_without_options_ddpm_takes_a_thousand_steps_and_ddim_fifty(cli: Cli, run: Path) -> None:
    document = json_of(cli, "--count", 1)
    assert (document["sampler"], document["steps"], document["evaluations"]) == ("ddpm", 1000, 1000)
    assert json_of(cli, "--count", 1, "--ddim")["steps"] == 50
    assert json_of(cli, "--count", 1, "--eta", 0.3)["sampler"] == "ddim"


def test_one_step_of_ddim_is_the_clean_estimate(cli: Cli, run: Path, starts: list[torch.Tensor]) -> None:
    images = draw(cli, "--steps", 1, "--count", 4, "--class", "cross", "--guidance", 1)
    trained = load_trained("shapes-1", device=torch.device("cpu"))
    with torch.no_grad():
        level = specs.schedule(trained.recipe.schedule)(torch.ones((), dtype=torch.float64))
        x0 = trained.model(starts[0], level, label=torch.full((4,), SHAPES.index("cross"))).x0
    assert np.abs(images - x0.clamp(-1, 1).numpy()).max() < 1e-5


def test_without_clipping_the_walk_may_leave_the_range_of_images(
    cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A denoiser whose clean estimate is 3 everywhere: clipped to 1, or as it is."""
    from diffcli.core.diffusion.denoiser import Denoiser, Prediction

    def three(_: Denoiser, x: torch.Tensor, level: Any, **__: Any) -> Prediction:
        x0 = torch.full_like(x, 3.0)
        return Prediction(x0, (x - level.alpha * x0) / level.sigma)

    monkeypatch.setattr(Denoiser, "forward", three)
    assert np.allclose(draw(cli, "--count", 1), 1)
    assert np.allclose(draw(cli, "--count", 1, "--no-clip"), 3)


# Classes and guidance


def test_a_class_by_number_and_by_name_is_the_same(cli: Cli, run: Path) -> None:
    for number, name in enumerate(SHAPES):
        assert np.array_equal(draw(cli, "--class", number, "--count", 2), draw(cli, "--class", name, "--count", 2))


def test_all_gives_image_i_the_class_i_mod_k(cli: Cli, run: Path) -> None:
    every = draw(cli, "--class", "all", "--count", 7)
    singles = [draw(cli, "--class", name, "--count", 7) for name in SHAPES]
    for i, image in enumerate(every):
        assert np.abs(image - singles[i % 3][i]).max() <= PIXEL / 2
    assert np.abs(singles[0] - singles[1]).max() > PIXEL


def test_a_class_called_by_a_number_is_that_class() -> None:
    """Sub-folders 1, 2 and 30: the class `1` is the first one, not the one at index 1."""
    names = ("1", "2", "30")
    for place, name in enumerate(names):
        found = of_class(name, 2, Items(IMAGES, (1, 8, 8), names))
        assert list(found) == ["label"]
        assert found["label"].tolist() == [place, place]


def test_guidance_0_is_no_class_and_the_default_is_the_recipes(cli: Cli, run: Path) -> None:
    none, given = draw(cli, "--count", 3), draw(cli, "--count", 3, "--class", "cross")
    assert np.array_equal(none, draw(cli, "--count", 3, "--class", "cross", "--guidance", 0))
    usual = load_trained("shapes-1", device=torch.device("cpu")).recipe.sampling.guidance
    assert usual > 1
    assert np.array_equal(given, draw(cli, "--count", 3, "--class", "cross", "--guidance", usual))
    assert not np.array_equal(given, draw(cli, "--count", 3, "--class", "cross", "--guidance", 1))


def test_guidance_goes_from_no_class_through_the_class_and_beyond(cli: Cli, run: Path) -> None:
    """In one step without clipping it is a straight line: none + scale * (given - none)."""
    how = ("--count", 3, "--class", "cross", "--steps", 1, "--no-clip", "--guidance")
    none, given, strong = (draw(cli, *how, scale) for scale in (0, 1, 4))
    assert np.abs(given - none).max() > 1e-4
    assert np.allclose(strong, none + 4 * (given - none), atol=1e-4)


def test_guidance_costs_two_evaluations_a_step(cli: Cli, run: Path) -> None:
    how = ("--ddim", "--steps", 3, "--count", 1, "--class", "all", "--guidance")
    assert [json_of(cli, *how, scale)["evaluations"] for scale in (0, 1, 2.5)] == [3, 3, 6]


# Which model


def test_the_newest_run_is_the_default(cli: Cli, run: Path, pictures: Path) -> None:
    import os
    import shutil

    shutil.copytree(run, run.parent / "shapes-2")
    for name, when in (("shapes-1", 2_000_000_000), ("shapes-2", 1_000_000_000)):
        for path in (run.parent / name).glob("step-*.safetensors"):
            os.utime(path, (when, when))
    (run.parent / "shapes-3").mkdir()
    with Image.open(cli("sample", "--ddim", "--steps", 1, "--count", 1, "--json").document["grid"]) as image:
        assert "shapes-1" in image.info["diffcli checkpoint"]


@pytest.mark.parametrize("target", ["shapes-1", "checkpoints/shapes-1", "absolute", "file"])
def test_a_run_is_found_by_name_path_or_file(cli: Cli, run: Path, target: str) -> None:
    target = {"absolute": str(run), "file": str(checkpoint_of(run, 12))}.get(target, target)
    assert np.array_equal(draw(cli, "--count", 1, run=target), draw(cli, "--count", 1))


def test_an_older_checkpoint_can_be_drawn_from(cli: Cli, run: Path) -> None:
    older = draw(cli, "--count", 1, run=checkpoint_of(run, 6))
    assert not np.array_equal(older, draw(cli, "--count", 1))


def test_raw_weights_differ_from_their_average(cli: Cli, run: Path) -> None:
    average, raw = draw(cli, "--count", 2), draw(cli, "--count", 2, "--weights", "raw")
    assert np.array_equal(average, draw(cli, "--count", 2, "--weights", "ema"))
    assert np.abs(average - raw).max() > PIXEL
    from diffcli.runs import checkpoint

    tensors, _ = checkpoint.read_checkpoint(checkpoint_of(run, 12))
    for weights, folder in (("ema", "ema/"), ("raw", "model/")):
        state = load_trained("shapes-1", weights=weights, device=torch.device("cpu")).model.state_dict()
        assert all(torch.equal(state[k], tensors[folder + k]) for k in state)


# What is written


def test_json_says_what_was_drawn(cli: Cli, run: Path) -> None:
    document = json_of(cli, "--ddim", "--steps", 3, "--count", 5, "--array", "x.npy", "--each", "--out", "mine")
    images = np.load("x.npy")
    assert set(document) == KEYS
    assert document["grid"] == "mine/grid.png"
    assert document["array"] == "x.npy"
    assert document["images"] == [f"mine/{i:05d}.png" for i in range(5)]
    assert document["mean"] == pytest.approx(images.mean(), abs=1e-5)
    assert document["std"] == pytest.approx(images.std(ddof=1), abs=1e-5)
    assert document["images_per_second"] == pytest.approx(5 / document["seconds"])


def test_the_array_is_float32_in_the_range_of_images(cli: Cli, run: Path) -> None:
    images = draw(cli, "--count", 3)
    assert images.dtype == np.float32
    assert images.shape == (3, 1, 8, 8)
    assert -1 <= images.min() < images.max() <= 1


@pytest.mark.parametrize("count", [1, 3, 10, 20])
def test_the_pixels_of_the_grid_are_those_of_the_array(cli: Cli, run: Path, count: int) -> None:
    images = draw(cli, "--count", count, "--out", "mine")
    with Image.open("mine/grid.png") as image:
        assert image.mode == "L"
        sheet = np.asarray(image)
    columns = best_columns(count)
    factor = sheet.shape[1] // (columns * (8 + GAP) + GAP)
    small = sheet[factor // 2 :: factor, factor // 2 :: factor]
    assert np.array_equal(np.kron(small, np.ones((factor, factor), np.uint8)), sheet)
    for i, expected in enumerate(images):
        top, left = (GAP + place * (8 + GAP) for place in divmod(i, columns))
        found = small[top : top + 8, left : left + 8] / 127.5 - 1
        assert np.abs(found - expected[0]).max() <= PIXEL / 2 + 1e-6


def test_the_files_of_each_image_are_those_of_the_array(cli: Cli, run: Path) -> None:
    images = draw(cli, "--count", 3, "--each", "--out", "mine")
    assert sorted(p.name for p in Path("mine").iterdir()) == ["00000.png", "00001.png", "00002.png", "grid.png"]
    for i, expected in enumerate(images):
        with Image.open(f"mine/{i:05d}.png") as image:
            assert np.abs(np.asarray(image) / 127.5 - 1 - expected[0]).max() <= PIXEL / 2 + 1e-6


def test_a_picture_remembers_how_it_was_drawn(cli: Cli, run: Path) -> None:
    draw(cli, "--eta", 0.25, "--count", 3, "--class", "cross", "--guidance", 2, "--seed", 7, "--out", "a", "--each")
    for name in ("a/grid.png", "a/00001.png"):
        with Image.open(name) as image:
            facts = {k.removeprefix("diffcli "): v for k, v in image.info.items()}
        expected = {"sampler": "ddim", "steps": "4", "eta": "0.25", "class": "cross", "guidance": "2.0", "seed": "7"}
        assert expected.items() <= facts.items()
        assert facts["weights"] == "ema"
        assert facts["checkpoint"].endswith(checkpoint_of(run, 12).name)


def test_the_facts_in_a_picture_draw_it_again(cli: Cli, run: Path) -> None:
    images = draw(cli, "--eta", 0.25, "--count", 3, "--class", "cross", "--seed", 7, "--out", "a")
    with Image.open("a/grid.png") as image:
        facts = {k.removeprefix("diffcli "): v for k, v in image.info.items()}
    options = [
        w for k in ("sampler", "steps", "eta", "guidance", "class", "seed", "count") for w in (f"--{k}", facts[k])
    ]
    assert np.array_equal(draw(cli, *options, run=facts["checkpoint"]), images)


def test_the_animation_ends_with_the_images(cli: Cli, run: Path) -> None:
    images = draw(cli, "--count", 4, "--animate", "--steps", 6, "--out", "mine")
    with Image.open("mine/walk.gif") as animation:
        assert animation.n_frames == 6
        assert animation.info["loop"] == 0
        animation.seek(5)
        last = np.asarray(animation.convert("L"))
    columns = best_columns(4)
    factor = last.shape[1] // (columns * (8 + GAP) + GAP)
    corner = last[factor // 2 :: factor, factor // 2 :: factor][GAP : GAP + 8, GAP : GAP + 8]
    assert np.abs(corner / 127.5 - 1 - images[0, 0]).max() < 0.05  # a palette of 256 colours


def test_an_animation_of_a_single_step_is_a_picture(cli: Cli, run: Path) -> None:
    draw(cli, "--count", 1, "--animate", "--steps", 1, "--out", "mine")
    with Image.open("mine/walk.gif") as animation:
        assert animation.n_frames == 1


def test_without_out_outputs_are_numbered(cli: Cli, run: Path) -> None:
    grids = [json_of(cli, "--ddim", "--steps", 1, "--count", 1)["grid"] for _ in range(2)]
    assert grids == ["outputs/sample-1/grid.png", "outputs/sample-2/grid.png"]


def test_an_array_may_lie_in_the_folder_of_the_output(cli: Cli, run: Path) -> None:
    result = cli("sample", "shapes-1", "--ddim", "--steps", 1, "--count", 2, "--out", "mine", "--array", "mine/x.npy")
    assert result.code == 0, result.err
    assert sorted(p.name for p in Path("mine").iterdir()) == ["grid.png", "x.npy"]


def test_the_result_names_the_files_and_a_next_command_that_works(cli: Cli, run: Path) -> None:
    result = cli("sample", "shapes-1", "--ddim", "--steps", 2, "--count", 12, "--each", "--animate")
    for word in result.out.split():
        if word.endswith((".png", ".gif", ".npy")):
            assert Path(word).is_file(), word
    assert "12" in result.out
    following = result.out.rsplit("next: diffcli ", 1)[1].split()
    assert cli(*following, "--steps", 2, "--count", 1).code == 0


def test_a_slow_walk_says_so_beforehand(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffcli.commands import sample_draw

    monkeypatch.setattr(sample_draw, "SLOW", 0.0)
    result: Result = cli("sample", "shapes-1", "--count", 2, "--steps", 20)
    assert "--ddim takes" in result.err
    assert "--ddim takes" not in cli("sample", "shapes-1", "--count", 2, "--steps", 20, "--ddim").err


def test_ctrl_c_leaves_nothing_behind(cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> Iterator[Step]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setitem(SAMPLERS, "ddim", replace(SAMPLERS["ddim"], walk=interrupted))
    result = cli("sample", "shapes-1", "--ddim", "--count", 1, "--array", "x.npy", "--out", "mine")
    assert result.code == 130
    assert result.out == ""
    assert not (tmp_path / "mine").exists()
    assert not (tmp_path / "x.npy").exists()


def test_sampling_builds_no_optimizer(run: Path, tmp_path: Path) -> None:
    """It would import another second of torch."""
    import subprocess
    import sys

    code = (
        "import sys, json\nfrom diffcli.cli import main\n"
        "code = main(['sample', 'shapes-1', '--ddim', '--steps', '1', '--count', '1', '--json'])\n"
        "print(json.dumps([m for m in ('torch._dynamo', 'matplotlib', 'torchvision') if m in sys.modules]))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    document, heavy = done.stdout.splitlines()
    assert set(json.loads(document)) == KEYS
    assert json.loads(heavy) == []


@pytest.mark.usefixtures("run")
def test_out_may_name_the_grid_itself(cli: Cli) -> None:
    result = cli("sample", "shapes-1", "--ddim", "--steps", 2, "--count", 2, "--each", "--animate", "--out", "a/b.png")
    assert result.code == 0, result.err
    assert sorted(str(p) for p in Path("a").rglob("*.*")) == ["a/b.gif", "a/b.png", "a/b/00000.png", "a/b/00001.png"]
    again = cli("sample", "shapes-1", "--ddim", "--steps", 2, "--out", "a/b.png")
    assert (again.code, again.out) == (6, "")
    assert cli("visualize", "forward", "--count", 1, "--columns", 2, "--out", "a/f.png").code == 0
    assert Path("a/f.png").exists()
    assert Path("a/f.gif").exists()
