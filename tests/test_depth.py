"""Images of 16 bits: the numbers in a file are those of the array, whoever reads it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from conftest import Cli, assert_refused, refuses, trained_here
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numbers
from PIL import Image
from torchvision.io import ImageReadMode, decode_image

from diffcli.data.loading import load_dataset
from diffcli.pictures.deep import quantised, save_pixels
from diffcli.pictures.grid import GAP, PAPER, grid, sheet

STEP = 1 / 65535  # half a step of 16 bits, in units of [-1, 1]


def of_libpng(path: Path | str) -> np.ndarray:
    """The numbers of a PNG, [H, W] or [H, W, C], by libpng."""
    return decode_image(str(path), ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy().squeeze()


def numbers_of(path: Path | str) -> np.ndarray:
    return of_libpng(path) if str(path).endswith(".png") else tifffile.imread(path)


def unit(pixels: np.ndarray) -> np.ndarray:
    """[H, W] or [H, W, C] -> [C, H, W] in [-1, 1]."""
    found = pixels.astype(np.float64) / np.iinfo(pixels.dtype).max * 2 - 1
    return found[None] if found.ndim == 2 else found.transpose(2, 0, 1)


# Numbers


def test_black_is_0_white_is_65535_and_what_lies_beyond_is_cut_off() -> None:
    image = torch.tensor([[[-2.0, -1.0, 0.0, 1.0, 1.5]]])
    assert quantised(image, 16).tolist() == [[0, 0, 32768, 65535, 65535]]
    assert quantised(image, 8).tolist() == [[0, 0, 128, 255, 255]]


def test_an_image_of_8_bits_is_257_times_itself() -> None:
    """As PNG asks of samples that are made deeper (ISO/IEC 15948, section 12.4)."""
    image = torch.arange(256).reshape(1, 16, 16) / 127.5 - 1
    assert (quantised(image, 16) == 257 * quantised(image, 8).astype(int)).all()


@given(numbers.arrays(np.float32, (3, 2, 2), elements=st.floats(-1, 1, width=32)))
def test_no_number_is_off_by_more_than_half_a_step(values: np.ndarray) -> None:
    assert np.abs(unit(quantised(torch.from_numpy(values), 16)) - values).max() <= STEP * (1 + 1e-9)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (13, 9), (1, 1, 3), (4, 5, 3), (33, 2, 3)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_others_read_what_was_written(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, shape).astype(np.uint16)
    save_pixels(tmp_path / f"x{suffix}", pixels)
    found = numbers_of(tmp_path / f"x{suffix}")
    assert found.dtype == np.uint16
    assert (found.reshape(shape) == pixels).all()


def test_pillow_reads_grey_whole_and_the_upper_half_of_colours(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 65536, (6, 5, 3)).astype(np.uint16)
    save_pixels(tmp_path / "grey.png", pixels[..., 0])
    save_pixels(tmp_path / "colour.png", pixels)
    with Image.open(tmp_path / "grey.png") as image:
        assert image.mode == "I;16"
        assert (np.asarray(image) == pixels[..., 0]).all()
    with Image.open(tmp_path / "colour.png") as image:
        assert (np.asarray(image) == pixels >> 8).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_is_the_images_on_paper(channels: int) -> None:
    images = torch.rand(7, channels, 3, 2) * 2 - 1
    found = sheet(images, columns=4, width=1)
    assert found.shape == (channels, 2 * (3 + GAP) + GAP, 4 * (2 + GAP) + GAP)
    paper = torch.ones(found.shape[1:], dtype=torch.bool)
    for i, image in enumerate(images):
        top, left = GAP + i // 4 * (3 + GAP), GAP + i % 4 * (2 + GAP)
        assert torch.equal(found[:, top : top + 3, left : left + 2], image)
        paper[top : top + 3, left : left + 2] = False
    pixels = np.asarray(grid(images, columns=4, width=1)).reshape(*found.shape[1:], channels)
    assert (pixels[paper.numpy()] == PAPER).all()
    assert np.asarray(grid(images, columns=4, width=2 * found.shape[2])).shape[1] == 2 * found.shape[2]


# The command


def drawn(cli: Cli, *arguments: object, run: object = "shapes-1") -> tuple[dict[str, Any], np.ndarray]:
    """What `sample` says, and the array [N, C, H, W] of what it drew."""
    how = ("--ddim", "--steps", 3, "--count", 5, "--array", "x.npy", "--each", "--json", "--quiet")
    result = cli("sample", run, *how, *arguments)
    assert result.code == 0, result.err
    return result.document, np.load("x.npy").astype(np.float64)


@pytest.fixture
def colours(tmp_path: Path) -> str:
    """An exact model of colour images."""
    folder = tmp_path / "colours"
    folder.mkdir()
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return f"exact:dataset,name={folder},count=12"


@pytest.mark.parametrize("out", ["mine", "mine.png", "mine.tif", "mine.TIFF"])
def test_the_files_of_a_grey_model_are_the_array(cli: Cli, run: Path, out: str) -> None:
    document, x = drawn(cli, "--depth", 16, "--out", out)
    assert len(document["images"]) == 5
    for path, image in zip(document["images"], x.clip(-1, 1), strict=True):
        assert np.abs(unit(numbers_of(path)) - image).max() <= STEP * (1 + 1e-9)
    picture = numbers_of(document["grid"])
    assert picture.dtype == np.uint16
    factor = picture.shape[1] // (5 * (8 + GAP) + GAP)
    first = picture[GAP * factor : (GAP + 8) * factor : factor, GAP * factor : (GAP + 8) * factor : factor]
    assert (first == numbers_of(document["images"][0])).all()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_the_files_of_a_colour_model_are_the_array(cli: Cli, colours: str, suffix: str) -> None:
    document, x = drawn(cli, "--depth", 16, "--out", f"mine{suffix}", run=colours)
    for path, image in zip(document["images"], x.clip(-1, 1), strict=True):
        assert Path(path).suffix == suffix
        assert np.abs(unit(numbers_of(path)) - image).max() <= STEP * (1 + 1e-9)


def test_a_tiff_of_8_bits_has_the_numbers_of_the_png(cli: Cli, run: Path) -> None:
    a, _ = drawn(cli, "--out", "a.png")
    Path("x.npy").unlink()
    b, _ = drawn(cli, "--out", "b.tif", "--depth", 8)
    for png, tiff in zip([a["grid"], *a["images"]], [b["grid"], *b["images"]], strict=True):
        assert numbers_of(tiff).dtype == np.uint8
        assert (numbers_of(tiff) == np.asarray(Image.open(png))).all()


def test_the_facts_are_the_same_in_all_files(cli: Cli, run: Path) -> None:
    found = []
    for out, depth in (("a.png", 8), ("b.png", 16), ("c.tif", 8), ("d.tif", 16)):
        drawn(cli, "--out", out, "--depth", depth, "--class", "cross", "--seed", 7)
        Path("x.npy").unlink()
        for path in (Path(out), Path(out).with_suffix("") / f"00003{Path(out).suffix}"):
            if out.endswith(".png"):
                with Image.open(path) as image:
                    found.append(dict(image.text))  # type: ignore[attr-defined]
            else:
                with tifffile.TiffFile(path) as tiff:
                    found.append(json.loads(tiff.pages[0].description))  # type: ignore[union-attr]
    assert found[0]["diffcli seed"] == "7"
    assert all(facts == found[0] for facts in found)


def test_a_model_of_8_bit_images_says_so(cli: Cli, run: Path) -> None:
    how = ("sample", "shapes-1", "--ddim", "--steps", 2, "--count", 2)
    assert "8 bits" in cli(*how, "--depth", 16).err
    assert "8 bits" not in cli(*how, "--depth", 8).err
    assert "8 bits" not in cli(*how).err
    assert cli(*how, "--depth", 16, "--quiet").err == ""


def test_a_model_of_deeper_images_does_not(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 65536, (8, 8)).astype(np.uint16)
        save_pixels(tmp_path / "deep" / f"{i}.png", pixels)
    trained_here(tmp_path / "run", "--dataset", tmp_path / "deep")
    result = cli("sample", "run", "--ddim", "--steps", 2, "--count", 2, "--depth", 16)
    assert result.code == 0, result.err
    assert "8 bits" not in result.err


def test_what_is_drawn_can_be_learned_from(cli: Cli, colours: str) -> None:
    """Files of 16 bits in colours are read as such again."""
    document, x = drawn(cli, "--depth", 16, "--out", "mine.png", run=colours)
    told = cli("data", "mine", "--json", "--quiet")
    assert told.code == 0, told.err
    dataset = load_dataset("mine")
    assert dataset.items.spans is not None
    found = dataset.take(range(5))[0].numpy()
    assert np.abs(found - x.clip(-1, 1)).max() < 0.01


@pytest.mark.parametrize("out", ["below/x.png", "below/x.tif"])
def test_what_was_drawn_below_the_data_is_no_part_of_them(cli: Cli, run: Path, pictures: Path, out: str) -> None:
    shutil.copytree(pictures, "data")
    drawn(cli, "--depth", 16, "--out", f"data/{out}")
    assert len(load_dataset("data")) == 60


def test_a_scatter_of_points_may_be_a_tiff(cli: Cli) -> None:
    result = cli("sample", "exact:gaussian,mean=0:0", "--ddim", "--steps", 2, "--out", "points.tif", "--quiet")
    assert result.code == 0, result.err
    assert tifffile.imread("points.tif").ndim == 3


# Errors


@pytest.mark.parametrize("depth", ["0", "12", "-16", "32", "x"])
def test_other_depths_are_refused(cli: Cli, tmp_path: Path, run: Path, depth: str) -> None:
    refuses(cli, tmp_path, 2, "sample", "shapes-1", "--depth", depth, words=("--depth",))


def test_points_have_no_depth(cli: Cli, tmp_path: Path) -> None:
    refuses(cli, tmp_path, 2, "sample", "exact:gaussian,mean=0:0", "--depth", 16, words=("--depth", "points"))


def test_an_inversion_has_no_depth(cli: Cli, tmp_path: Path, run: Path, pictures: Path) -> None:
    image = pictures / "circle" / "00.png"
    refuses(cli, tmp_path, 2, "sample", "shapes-1", "--invert", image, "--depth", 16, words=("--depth",))


def test_a_taken_tiff_is_left_alone(cli: Cli, tmp_path: Path, run: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"mine")
    assert_refused(cli("sample", "shapes-1", "--ddim", "--steps", 2, "--out", "a.tif", "--quiet"), 6, "a.tif")
    assert (tmp_path / "a.tif").read_bytes() == b"mine"
