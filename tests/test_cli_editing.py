"""`sample --from`, `--inpaint`, `--interpolate` and `--invert`: what is known stays, and ends meet."""

import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SHAPES, Cli, checkpoint_of, refuses, tree
from PIL import Image

from diffcli.core.diffusion import grids
from diffcli.core.diffusion.denoiser import Denoiser
from diffcli.core.diffusion.editing import invert
from diffcli.core.diffusion.job import last
from diffcli.core.diffusion.samplers import SAMPLERS, ddim
from diffcli.core.diffusion.walks import Step
from diffcli.pictures.grid import GAP, best_columns
from diffcli.sampling import models, prepare, write

USAGE, DATA, ENVIRONMENT, TAKEN = 2, 3, 5, 6
FAST = ("--steps", 4, "--count", 3, "--quiet")


def save(path: str, pixels: np.ndarray) -> str:
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> np.ndarray:
    """A picture with every grey in it, in photo.png; 8x8, as the model of `run` draws them."""
    pixels = np.random.default_rng(3).permutation(np.linspace(0, 255, 64)).astype(np.uint8).reshape(8, 8)
    save(str(tmp_path / "photo.png"), pixels)
    return pixels


@pytest.fixture
def lower(tmp_path: Path) -> np.ndarray:
    """True in the lower half, which mask.png asks to paint."""
    where = np.repeat(np.arange(8) >= 4, 8).reshape(8, 8)
    save(str(tmp_path / "mask.png"), np.where(where, 255, 0).astype(np.uint8))
    return where


def draw(cli: Cli, *arguments: object, run: object = "shapes-1") -> np.ndarray:
    number = len(list(Path().glob("*.npy")))
    result = cli("sample", run, *FAST, *arguments, "--array", f"{number}.npy")
    assert result.code == 0, result.err
    return np.load(f"{number}.npy")


def document(cli: Cli, *arguments: object, run: object = "shapes-1") -> dict[str, Any]:
    fast = ("--quiet",) if "--invert" in arguments else FAST  # which has no count
    result = cli("sample", run, *fast, *arguments, "--json")
    assert result.code == 0, result.err
    assert result.err == ""
    return result.document


def unit(pixels: np.ndarray) -> np.ndarray:
    """0 ... 255 -> -1 ... 1"""
    return pixels.astype(np.float32) / 127.5 - 1


def cells(path: str, count: int, columns: int) -> list[np.ndarray]:
    """The first 8x8 pictures of a grid, row by row."""
    with Image.open(path) as image:
        sheet = np.asarray(image)
    factor = sheet.shape[1] // (columns * (8 + GAP) + GAP)
    small = sheet[factor // 2 :: factor, factor // 2 :: factor]
    places = [(GAP + r * (8 + GAP), GAP + c * (8 + GAP)) for r, c in (divmod(i, columns) for i in range(count))]
    return [small[top : top + 8, left : left + 8] for top, left in places]


# Inpainting


@pytest.mark.parametrize("sampler", [name for name, sampler in SAMPLERS.items() if sampler.separable])
@pytest.mark.parametrize("resample", [1, 3])
@pytest.mark.usefixtures("run")
def test_known_pixels_are_exact_and_the_others_new(
    cli: Cli, photo: np.ndarray, lower: np.ndarray, sampler: str, resample: int
) -> None:
    how = ("--inpaint", "photo.png", "--mask", "mask.png", "--sampler", sampler, "--resample", resample)
    images = draw(cli, *how, "--each", "--out", "mine")
    for i, image in enumerate(images[:, 0]):
        with Image.open(f"mine/{i:05d}.png") as file:
            written = np.asarray(file)
        assert np.array_equal(written[~lower], photo[~lower])
        assert np.abs(image - unit(photo))[~lower].max() < 1e-6
        assert np.abs(image - unit(photo))[lower].mean() > 0.1
    assert np.abs(images[0] - images[1])[:, lower].mean() > 0.05


@pytest.mark.usefixtures("run", "lower")
def test_white_is_painted_and_black_is_kept(cli: Cli, photo: np.ndarray, lower: np.ndarray) -> None:
    save("other.png", np.where(lower, 0, 255).astype(np.uint8))
    one, other = (draw(cli, "--inpaint", "photo.png", "--mask", m)[:, 0] for m in ("mask.png", "other.png"))
    assert np.abs(one - unit(photo))[:, ~lower].max() < 1e-6
    assert np.abs(other - unit(photo))[:, lower].max() < 1e-6
    assert np.abs(other - unit(photo))[:, ~lower].mean() > 0.1


@pytest.mark.usefixtures("run")
def test_grey_is_painted_from_128_on(cli: Cli, photo: np.ndarray) -> None:
    save("soft.png", np.repeat([[127, 128]], 8, 0).repeat(4, 1).astype(np.uint8))
    images = draw(cli, "--inpaint", "photo.png", "--mask", "soft.png")[:, 0]
    assert np.abs(images - unit(photo))[:, :, :4].max() < 1e-6
    assert np.abs(images - unit(photo))[:, :, 4:].mean() > 0.1


@pytest.mark.usefixtures("run", "photo")
@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "I;16", "P"])
def test_a_mask_of_any_kind_says_the_same(cli: Cli, lower: np.ndarray, mode: str) -> None:
    pixels = np.where(lower, 255, 0).astype(np.uint8)
    if mode == "I;16":
        save("other.png", pixels.astype(np.uint16) * 257)
    else:
        Image.fromarray(pixels).convert(mode).save("other.png")
    expected, found = (draw(cli, "--inpaint", "photo.png", "--mask", m) for m in ("mask.png", "other.png"))
    assert np.array_equal(expected, found)


@pytest.mark.usefixtures("run", "photo", "lower")
def test_a_mask_of_the_same_proportions_is_made_to_fit_and_another_refused(cli: Cli, tmp_path: Path) -> None:
    with Image.open("mask.png") as mask:
        mask.resize((64, 64)).save("large.png")
        mask.resize((16, 8)).save("wide.png")
    how = ("--inpaint", "photo.png", "--mask")
    assert np.array_equal(draw(cli, *how, "mask.png"), draw(cli, *how, "large.png"))
    refuses(cli, tmp_path, DATA, "sample", "shapes-1", *how, "wide.png", words=("16x8", "8x8", "hint"))


@pytest.mark.usefixtures("run", "photo")
@pytest.mark.parametrize(("value", "word"), [(255, "keep"), (0, "paint")])
def test_a_mask_that_is_all_one_value_is_refused(cli: Cli, tmp_path: Path, value: int, word: str) -> None:
    save("flat.png", np.full((8, 8), value, np.uint8))
    words = ("flat.png", f"nothing to {word}")
    refuses(cli, tmp_path, DATA, "sample", "shapes-1", "--inpaint", "photo.png", "--mask", "flat.png", words=words)


@pytest.mark.usefixtures("run", "photo", "lower")
def test_a_mask_that_is_drawn_as_a_layer_is_read_by_its_opacity(cli: Cli) -> None:
    """White where to paint, on a transparent ground: over white it would be white everywhere."""
    lower = np.asarray(Image.open("mask.png").convert("L")) > 127
    for name, colour in (("layer", 255), ("grey", 200)):
        layer = np.zeros((8, 8, 4), np.uint8)
        layer[lower] = [colour, colour, colour, 255]
        save(f"{name}.png", layer)
        how = ("--inpaint", "photo.png", "--mask", f"{name}.png", "--ddim")
        assert np.array_equal(draw(cli, *how), draw(cli, "--inpaint", "photo.png", "--mask", "mask.png", "--ddim"))
        said = cli("sample", "shapes-1", *how, "--steps", 4, "--count", 1).err
        assert f"{name}.png is read as a layer" in said


@pytest.mark.usefixtures("run", "photo", "lower")
def test_inpainting_with_ddpm_takes_the_papers_250_steps_and_goes_back_at_each(cli: Cli) -> None:
    how = ("sample", "shapes-1", "--inpaint", "photo.png", "--mask", "mask.png", "--plan", "--json")
    plan = cli(*how, "--resample", 3).document
    assert (plan["steps"], plan["evaluations"]) == (250, 3 * 249 + 1)
    # 249 steps thrice with noise of their own and of the known part, twice noised back; the last has none
    assert plan["noise_draws"] == 249 * (3 + 3 + 2)
    assert cli(*how, "--ddim").document["steps"] == 50


@pytest.mark.usefixtures("run")
def test_the_grid_shows_the_image_and_what_is_kept_above(cli: Cli, photo: np.ndarray, lower: np.ndarray) -> None:
    images = draw(cli, "--inpaint", "photo.png", "--mask", "mask.png", "--out", "a.png")
    columns = best_columns(3)
    image, kept, _, *drawn = cells("a.png", 6, columns)
    assert columns == 3
    assert np.array_equal(image, photo)
    assert np.array_equal(kept[~lower], photo[~lower])
    assert len(np.unique(kept[lower])) == 1
    for cell, array in zip(drawn, images[:, 0], strict=True):
        assert np.abs(unit(cell) - array).max() < 1 / 127
    draw(cli, "--from", "photo.png", "--count", 1, "--out", "b.png")
    assert np.array_equal(cells("b.png", 1, 1)[0], photo)


# From an image


@pytest.mark.usefixtures("run")
def test_the_weaker_the_closer_to_the_image(cli: Cli, photo: np.ndarray) -> None:
    distances = [
        np.abs(draw(cli, "--from", "photo.png", "--strength", strength, "--steps", 20, "--ddim") - unit(photo)).mean()
        for strength in (0.05, 0.3, 0.6, 1)
    ]
    assert distances == sorted(distances)
    assert distances[0] < distances[-1] / 4


@pytest.mark.usefixtures("run", "photo")
@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "heun"])
def test_full_strength_is_a_walk_from_noise(cli: Cli, sampler: str) -> None:
    """The cosine schedule leaves 5e-5 of the signal."""
    how = ("--sampler", sampler, "--grid", "trailing")
    assert np.abs(draw(cli, *how) - draw(cli, *how, "--from", "photo.png", "--strength", 1)).max() < 0.02


@pytest.mark.usefixtures("run", "photo")
def test_strength_is_the_share_of_the_steps(cli: Cli) -> None:
    whole = cli("sample", "shapes-1", "--ddim", "--plan", "--json").document["levels"]
    how = ("sample", "shapes-1", "--ddim", "--plan", "--json", "--from", "photo.png")
    for strength, steps in ((0.02, 1), (0.3, 15), (0.99, 50), (1, 50)):
        assert cli(*how, "--strength", strength).document["levels"] == whole[50 - steps :]
    assert cli(*how).document["steps"] == 30


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16", "P"])
def test_an_image_of_any_kind_is_read_as_the_model_sees_images(cli: Cli, photo: np.ndarray, mode: str) -> None:
    if mode == "I;16":
        save("other.png", photo.astype(np.uint16) * 257)
    else:
        Image.fromarray(photo).convert(mode).save("other.png")
    expected, found = (draw(cli, "--from", name, "--ddim") for name in ("photo.png", "other.png"))
    assert np.array_equal(expected, found)


@pytest.mark.usefixtures("run", "photo")
def test_an_image_of_another_size_is_cropped_and_resized(cli: Cli) -> None:
    Image.new("L", (90, 30), 200).save("wide.png")
    assert draw(cli, "--from", "wide.png", "--ddim", "--strength", 0.25).shape == (3, 1, 8, 8)


@pytest.fixture
def three(pictures: Path, tmp_path: Path) -> str:
    """The law of three pictures that are far from each other, in the folder three/."""
    (tmp_path / "three").mkdir()
    for shape in SHAPES:
        shutil.copy(pictures / shape / "00.png", tmp_path / "three" / f"{shape}.png")
    return "exact:dataset,name=three"


def test_a_picture_of_the_data_comes_back_from_little_noise(cli: Cli, three: str) -> None:
    """The posterior mean is the picture itself as long as no other is as near."""
    images = draw(cli, "--from", "three/cross.png", "--strength", 0.25, "--ddim", run=three)
    with Image.open("three/cross.png") as image:
        assert np.abs(images - unit(np.asarray(image))).max() < 1e-6


# Interpolation


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("sampler", ["ddim", "euler", "heun", "edm", "dpmpp-2m", "unipc"])
def test_the_ends_are_the_images_0_and_1(cli: Cli, sampler: str) -> None:
    how = ("--sampler", sampler, "--seed", 5)
    plain, between = draw(cli, *how, "--count", 2), draw(cli, *how, "--count", 5, "--interpolate")
    assert np.abs(between[0] - plain[0]).max() < 2e-3
    assert np.abs(between[-1] - plain[1]).max() < 2e-3
    assert np.abs(between[1:-1] - plain[:1]).max() > 0.05


def test_halfway_between_two_noises_is_noise_of_the_same_size(cli: Cli, tmp_path: Path) -> None:
    """On the great circle the length stays, on the straight line it would be sqrt(1/2)."""
    from diffcli.sampling import from_images

    for name in "ab":
        save(str(tmp_path / f"{name}.png"), np.zeros((32, 32), np.uint8))
    wanted = prepare.SamplingOptions(sampler="ddim", device="cpu", count=3)
    begin = from_images.interpolate(prepare.prepare(f"exact:dataset,name={tmp_path}", wanted)).job.begin
    assert begin is not None
    lengths = begin(range(3)).flatten(1).norm(dim=1)
    assert lengths.tolist() == pytest.approx([32, 32, 32], rel=0.1)


@pytest.mark.usefixtures("run")
def test_an_interpolation_is_a_strip_and_a_gif(cli: Cli) -> None:
    images = draw(cli, "--interpolate", "--count", 7, "--out", "mine")
    for cell, array in zip(cells("mine/grid.png", 7, 7), images[:, 0], strict=True):
        assert np.abs(unit(cell) - array).max() < 1 / 127
    with Image.open("mine/walk.gif") as animation:
        assert animation.n_frames == 7
    draw(cli, "--interpolate", "--count", 45, "--out", "long")
    with Image.open("long/grid.png") as image:
        assert image.width < 3 * 400


# Inversion


def round_trip(law: str, steps: int) -> tuple[float, torch.Tensor]:
    """Root of the squared error of points after the way to noise and back; the noise."""
    model = models.load_model(law, device=torch.device("cpu"), schedule="vp")
    assert model.exact is not None
    levels = grids.levels(model.schedule, steps)
    x0 = model.exact.draw(200, torch.Generator().manual_seed(0))
    noise = last(invert(model.denoise, x0, levels))
    back = last(ddim(model.denoise, noise, levels))
    return (back - x0).square().mean().sqrt().item(), noise


def test_the_error_of_inversion_falls_with_the_steps_for_a_known_law() -> None:
    errors = [round_trip("exact:gaussian,mean=0.5:-1,std=0.3:0.8", steps)[0] for steps in (25, 50, 100, 200, 400)]
    orders = [math.log2(a / b) for a, b in zip(errors[1:], errors[2:], strict=False)]
    assert all(order > 0.8 for order in orders), orders  # at least that of Euler's method
    assert errors[-1] < 0.01


def test_inversion_finds_the_noise_that_the_flow_leads_to() -> None:
    """For N(m, s²) the flow keeps (x - alpha m) / sqrt(alpha² s² + sigma²)."""
    model = models.load_model("exact:gaussian,mean=0.5:-1,std=0.3:0.8", device=torch.device("cpu"), schedule="vp")
    mean, std = torch.tensor([0.5, -1.0]).double(), torch.tensor([0.3, 0.8]).double()
    assert model.exact is not None
    x0 = model.exact.draw(200, torch.Generator().manual_seed(0))
    _, noise = round_trip("exact:gaussian,mean=0.5:-1,std=0.3:0.8", 1000)
    end = model.schedule(torch.ones((), dtype=torch.float64))
    expected = (x0 - mean) / std * (end.alpha**2 * std**2 + end.sigma**2).sqrt() + end.alpha * mean
    assert (noise - expected).abs().max() < 0.05


@pytest.mark.usefixtures("run", "photo")
def test_the_error_falls_for_a_trained_model_and_is_in_units_of_black_to_white(cli: Cli) -> None:
    few, many = (document(cli, "--invert", "photo.png", "--steps", steps)["errors"][0] for steps in (5, 200))
    assert set(few) == {"steps", "error", "latent_mean", "latent_std"}
    assert many["error"] < few["error"] / 10


@pytest.mark.usefixtures("run")
def test_the_latent_leads_back_to_the_image(cli: Cli, photo: np.ndarray) -> None:
    found = document(cli, "--invert", "photo.png", "--steps", 100, "--array", "z.npy", "--out", "mine")
    model = models.load_model("shapes-1", device=torch.device("cpu"))
    latent = torch.from_numpy(np.load("z.npy"))
    back = last(ddim(model.denoise, latent, grids.levels(model.schedule, 100)))[0, 0].numpy()
    assert latent.shape == (1, 1, 8, 8)
    error = ((back - unit(photo)) / 2) ** 2
    assert found["errors"][0]["error"] == pytest.approx(error.mean(), rel=1e-3, abs=1e-9)
    assert (found["figure"], found["array"]) == ("mine/inversion.png", "z.npy")
    with Image.open(found["figure"]) as figure:
        assert figure.format == "PNG"


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("run", "photo")
def test_without_steps_there_is_a_ladder_as_long_as_the_table(cli: Cli, three: str) -> None:
    for schedule, ladder in (("cosine,steps=50", [10, 20, 50]), ("cosine,steps=7", [7])):
        result = cli("sample", "shapes-1", "--invert", "photo.png", "--schedule", schedule, "--json", "--quiet")
        assert [row["steps"] for row in result.document["errors"]] == ladder
    result = cli("sample", three, "--invert", "three/cross.png", "--schedule", "cosine,steps=20", "--json")
    assert [row["error"] for row in result.document["errors"]] == [0, 0]


@pytest.mark.usefixtures("photo")
def test_a_checkpoint_is_read_once_and_its_notes_are_shown(
    cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = checkpoint_of(run, 12)
    newest.write_bytes(newest.read_bytes()[:-9])
    loads = []
    load = prepare.load_model
    monkeypatch.setattr(prepare, "load_model", lambda *a, **k: loads.append(1) or load(*a, **k))
    result = cli("sample", "shapes-1", "--invert", "photo.png", "--schedule", "cosine,steps=20")
    assert result.code == 0, result.err
    assert loads == [1]
    assert newest.name in result.err


@pytest.mark.usefixtures("run", "photo")
def test_guidance_is_off_in_inversion_unless_asked_for(cli: Cli) -> None:
    how = ("--invert", "photo.png", "--steps", 10, "--class", "cross")
    assert document(cli, *how)["errors"] == document(cli, *how, "--guidance", 1)["errors"]
    result = cli("sample", "shapes-1", *how, "--guidance", 3)
    assert "note: with guidance 3" in result.err


# Written


@pytest.mark.usefixtures("run", "photo", "lower")
@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (("--from", "photo.png"), {"from": "photo.png", "strength": "0.6", "steps": "4"}),
        (
            ("--inpaint", "photo.png", "--mask", "mask.png", "--resample", 2),
            {"inpaint": "photo.png", "mask": "mask.png", "resample": "2"},
        ),
        (("--interpolate",), {"interpolate": "True"}),
        (("--schedule", "linear", "--grid", "leading"), {"schedule": "linear", "grid": "leading"}),
        (("--sampler", "edm", "--churn", 5, "--churn-min", 0.1), {"churn": "5.0", "churn-min": "0.1"}),
        (
            ("--class", "all", "--guidance-interval", "0.3,5", "--guidance-rescale", 0.7, "--threshold", 0.99),
            {"guidance-interval": "0.3,5", "guidance-rescale": "0.7", "threshold": "0.99"},
        ),
    ],
)
def test_a_picture_remembers_how_it_was_made(cli: Cli, how: tuple[object, ...], expected: dict[str, str]) -> None:
    draw(cli, *how, "--out", "a.png")
    with Image.open("a.png") as image:
        facts = {k.removeprefix("diffcli "): v for k, v in image.info.items()}
    assert expected.items() <= facts.items()


@pytest.mark.usefixtures("run", "photo", "lower")
def test_all_that_can_be_written_is(cli: Cli) -> None:
    found = document(cli, "--inpaint", "photo.png", "--mask", "mask.png", "--each", "--animate", "--array", "x.npy")
    assert len(found["images"]) == 3
    assert Path(found["grid"]).with_name("walk.gif").exists()
    found = document(cli, "--interpolate", "--each", "--animate", "--array", "y.npy")
    assert len(found["images"]) == 3
    with Image.open(Path(found["grid"]).with_name("walk.gif")) as animation:
        assert animation.n_frames == 4  # of the walk


# Refusals


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--from", "photo.png", "--inpaint", "photo.png", "--mask", "mask.png"), USAGE, ("--from", "--inpaint")),
        (("--from", "photo.png", "--interpolate"), USAGE, ("--from", "--interpolate")),
        (("--invert", "photo.png", "--interpolate"), USAGE, ("--invert", "--interpolate")),
        (("--mask", "mask.png"), USAGE, ("--mask", "--inpaint")),
        (("--from", "photo.png", "--mask", "mask.png"), USAGE, ("--mask", "--inpaint")),
        (("--resample", 2), USAGE, ("--resample", "--inpaint")),
        (("--strength", 0.5), USAGE, ("--strength", "--from")),
        (("--inpaint", "photo.png"), USAGE, ("--mask",)),
        (("--inpaint", "photo.png", "--mask", "black.png"), DATA, ("black.png", "white is painted")),
        (("--inpaint", "photo.png", "--mask", "nope.png"), DATA, ("nope.png",)),
        (("--inpaint", "photo.png", "--mask", "text.png"), DATA, ("text.png",)),
        (("--inpaint", "half.png", "--mask", "mask.png"), DATA, ("half.png",)),
        (("--inpaint", "photo.png", "--mask", "mask.png", "--resample", 0), USAGE, ("--resample",)),
        (("--inpaint", "photo.png", "--mask", "mask.png", "--resample", "nan"), USAGE, ("--resample",)),
        (("--inpaint", "photo.png", "--mask", "mask.png", "--resample", 10**6), USAGE, ("--resample",)),
        (("--inpaint", "photo.png", "--mask", "mask.png", "--sampler", "unipc"), USAGE, ("unipc", "ddpm")),
        (("--inpaint", "photo.png", "--mask", "mask.png", "--sampler", "edm"), USAGE, ("edm", "ddpm")),
        *((("--from", name), DATA, (name,)) for name in ("nope.png", "text.png", "half.png", "folder.png")),
        *((("--from", "photo.png", "--strength", s), USAGE, ("--strength",)) for s in (0, -1, 1.1, "nan", "inf", "x")),
        (("--from", "photo.png", "--strength", 0.01, "--steps", 4), USAGE, ("--strength", "--steps")),
        (("--interpolate", "--sampler", "ddpm"), USAGE, ("ddpm", "ddim")),
        (("--interpolate", "--eta", 0.5), USAGE, ("--eta",)),
        (("--interpolate", "--sampler", "edm", "--churn", 3), USAGE, ("edm",)),
        (("--interpolate", "--count", 1), USAGE, ("--count",)),
        (("--invert", "photo.png", "--sampler", "heun"), USAGE, ("DDIM",)),
        (("--invert", "photo.png", "--eta", 1), USAGE, ("--eta",)),
        *((("--invert", "photo.png", option), USAGE, (option,)) for option in ("--plan", "--each", "--animate")),
        (("--invert", "nope.png"), DATA, ("nope.png",)),
        (("--invert", "photo.png", "--weights", "best"), USAGE, ("best",)),
        (("--from", "photo.png", "--out", "photo.png"), TAKEN, ("photo.png",)),
        (("--invert", "photo.png", "--out", "photo.png"), TAKEN, ("photo.png",)),
        (("--invert", "photo.png", "--array", "photo.npy", "--out", "new"), TAKEN, ("photo.npy",)),
        (("--invert", "photo.png", "--array", "none/x.npy"), ENVIRONMENT, ("none",)),
        (("--invert", "photo.png", "--array", "x.png"), USAGE, (".npy",)),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
@pytest.mark.usefixtures("run", "photo", "lower")
def test_what_cannot_be_done_is_refused(
    cli: Cli, tmp_path: Path, arguments: tuple[object, ...], code: int, words: tuple[str, ...]
) -> None:
    save(str(tmp_path / "black.png"), np.full((8, 8), 127, np.uint8))
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "photo.npy").write_text("years of work")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "half.png").write_bytes((tmp_path / "photo.png").read_bytes()[:70])
    refuses(cli, tmp_path, code, "sample", "shapes-1", *arguments, words=words)


@pytest.mark.usefixtures("photo", "lower")
@pytest.mark.parametrize(
    "arguments",
    [("--from", "photo.png"), ("--inpaint", "photo.png", "--mask", "mask.png"), ("--invert", "photo.png"), ("--each",)],
)
def test_points_have_no_pictures(cli: Cli, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    refuses(cli, tmp_path, USAGE, "sample", "exact:gaussian", *arguments, words=("points",))


def test_a_place_for_an_inversion_is_checked_before_the_work(
    cli: Cli, run: Path, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("inverted in vain")

    monkeypatch.setattr(Denoiser, "forward", never)
    refuses(cli, tmp_path, TAKEN, "sample", "shapes-1", "--invert", "photo.png", "--out", "photo.png")


@pytest.mark.parametrize("how", [("--out", "locked"), ("--out", "locked/a.png"), ("--array", "locked/x.npy")])
@pytest.mark.parametrize("mode", [("--ddim",), ("--invert", "photo.png")])
@pytest.mark.usefixtures("run", "photo")
def test_a_read_only_folder_is_found_out_before_the_work(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: tuple[str, ...], how: tuple[str, str]
) -> None:
    """Whether it is read-only is asked for, as root may write anywhere."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("drawn in vain")

    (tmp_path / "locked").mkdir()
    monkeypatch.setattr(Denoiser, "forward", never)
    monkeypatch.setattr(os, "access", lambda path, kind: (Path(path).name, kind) != ("locked", os.W_OK))
    refuses(cli, tmp_path, ENVIRONMENT, "sample", "shapes-1", *mode, *how, words=("locked", "Permission", how[0]))


# Interruptions


def interrupting(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Ctrl-C after so many steps of DDIM."""

    def walk(*arguments: Any, **options: Any) -> Iterator[Step]:
        for i, step in enumerate(ddim(*arguments, **options)):
            if i == after:
                raise KeyboardInterrupt
            yield step

    monkeypatch.setitem(SAMPLERS, "ddim", replace(SAMPLERS["ddim"], walk=walk))


@pytest.mark.parametrize("out", [(), ("--out", "a/b"), ("--out", "a/b/c.png"), ("--out", "free"), ("--out", "c.png")])
@pytest.mark.parametrize("mode", ["--from", "--invert"])
@pytest.mark.usefixtures("run", "photo")
def test_ctrl_c_says_so_in_a_line_and_leaves_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, out: tuple[str, ...]
) -> None:
    (tmp_path / "free").mkdir()
    interrupting(monkeypatch, 1)
    before = tree(tmp_path)
    more = ("--each", "--animate", "--count", 2) if mode == "--from" else ()
    result = cli("sample", "shapes-1", "--ddim", "--steps", 4, mode, "photo.png", *more, "--array", "x.npy", *out)
    assert (result.code, result.out) == (130, "")
    assert [line for line in result.err.splitlines() if line.startswith("error")] == ["error: interrupted"]
    assert tree(tmp_path) == before


@pytest.mark.usefixtures("run")
def test_a_failure_with_a_named_picture_removes_what_was_written_and_nothing_else(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffcli.errors import EnvironmentProblem

    def full(path: Path, *_: object) -> None:
        raise EnvironmentProblem(f"cannot write {path}: full")

    monkeypatch.setattr(write, "save_array", full)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "mine.gif").write_text("a film")
    how = ("sample", "shapes-1", "--ddim", "--steps", 2, "--count", 2, "--array", "x.npy", "--out")
    refuses(cli, tmp_path, ENVIRONMENT, *how, "mine.png")
    refuses(cli, tmp_path, TAKEN, *how, "mine.png", "--each")
    refuses(cli, tmp_path, TAKEN, *how, "mine.png", "--animate")
    refuses(cli, tmp_path, ENVIRONMENT, *how, "new/other.png", "--each", "--animate")
