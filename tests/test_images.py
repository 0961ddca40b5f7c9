"""Image files into tensors: nothing but what was said is done to a pixel."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from diffcli.data import pages
from diffcli.data.images import header, read_image
from diffcli.data.loading import load_folder
from diffcli.data.pages import Pages
from diffcli.data.readers import Page
from diffcli.data.reading import Reading
from diffcli.data.sources import ImageSource
from diffcli.errors import DataProblem

RNG = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def test_grey_pixels_arrive_unchanged_in_one_channel(tmp_path: Path) -> None:
    pixels = noise(5, 7)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert torch.equal(read_image(tmp_path / "a.png", (1, 5, 7))[0], torch.from_numpy(pixels))
    assert load_folder(tmp_path).shape == (1, 5, 7)


def test_colour_pixels_arrive_unchanged_in_three_channels(tmp_path: Path) -> None:
    pixels = noise(5, 7, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert torch.equal(read_image(tmp_path / "a.png", (3, 5, 7)), torch.from_numpy(pixels).permute(2, 0, 1))
    assert load_folder(tmp_path).shape == (3, 5, 7)


def test_one_colour_image_makes_all_of_them_colour(tmp_path: Path) -> None:
    grey = noise(6, 6)
    Image.fromarray(grey).save(tmp_path / "a.png")
    Image.fromarray(noise(6, 6, 3)).save(tmp_path / "b.png")
    images, _ = load_folder(tmp_path).take([0])
    assert images.shape == (1, 3, 6, 6)
    for channel in images[0]:
        torch.testing.assert_close(channel, torch.from_numpy(grey) / 127.5 - 1)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".gif", ".PNG"])
def test_lossless_formats_agree(tmp_path: Path, suffix: str) -> None:
    pixels = noise(6, 9)
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}")
    storage = load_folder(tmp_path).storage
    assert torch.equal(storage[0][0], torch.from_numpy(pixels))


def test_black_and_white_is_grey(tmp_path: Path) -> None:
    pixels = noise(6, 9) > 99
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = load_folder(tmp_path)
    assert found.shape == (1, 6, 9)
    assert torch.equal(found.storage[0][0], torch.from_numpy(pixels) * torch.tensor(255, dtype=torch.uint8))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(tmp_path: Path, mode: str) -> None:
    """out = a * colour + (1 - a) * 255"""
    channels = len(mode)
    pixels = noise(8, 8, channels)
    Image.fromarray(pixels, mode).save(tmp_path / "a.png")
    found = load_folder(tmp_path)
    share = pixels[..., -1:] / 255
    expected = pixels[..., :-1] * share + 255 * (1 - share)
    assert found.shape == (channels - 1, 8, 8)
    assert np.abs(found.storage[0].permute(1, 2, 0).numpy() - expected).max() <= 1


def test_a_palette_with_a_transparent_colour_is_laid_over_white(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "a.png", transparency=0)
    pixels = load_folder(tmp_path).storage[0]
    assert pixels[:, 0, 0].tolist() == [255, 255, 255]
    assert pixels[:, 3, 3].tolist() == [200, 100, 50]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_an_image_upright(tmp_path: Path, orientation: int) -> None:
    """The file stores the upright image transformed by the inverse of what the tag asks for (EXIF 2.3, table 6)."""
    upright = noise(4, 6, 3)
    stored = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, 1), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    assert header(tmp_path / "a.png")[1] == (6, 4)
    found = load_folder(tmp_path)
    assert found.shape == (3, 4, 6)
    assert np.array_equal(found.storage[0].permute(1, 2, 0).numpy(), upright)


def test_images_of_one_odd_size_are_kept_as_they_are(tmp_path: Path) -> None:
    for name in "ab":
        Image.fromarray(noise(13, 5)).save(tmp_path / f"{name}.png")
    found = load_folder(tmp_path)
    assert found.shape == (1, 13, 5)
    assert found.notes == ()


def test_sizes_that_differ_are_cropped_in_the_middle_to_the_smallest_side(tmp_path: Path) -> None:
    """A wide image with black ends and a white square in the middle becomes white."""
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(np.full((12, 12), 255, np.uint8)).save(tmp_path / "square.png")
    found = load_folder(tmp_path)
    assert found.shape == (1, 10, 10)
    assert all(int(found.storage[i].min()) == 255 for i in range(2))
    assert any("10x10" in note for note in found.notes)


def test_large_images_are_reduced_unless_a_size_is_asked_for(tmp_path: Path) -> None:
    Image.fromarray(noise(100, 100)).save(tmp_path / "a.png")
    assert load_folder(tmp_path).shape == (1, 64, 64)
    assert load_folder(tmp_path, Reading(size=100)).shape == (1, 100, 100)
    assert load_folder(tmp_path, Reading(size=16)).shape == (1, 16, 16)


def test_resizing_keeps_the_brightness(tmp_path: Path) -> None:
    Image.fromarray(np.tile(np.array([[0, 200], [200, 0]], np.uint8), (32, 32))).save(tmp_path / "a.png")
    pixels = load_folder(tmp_path, Reading(size=16)).storage[0].float()
    assert (pixels[:, 2:-2, 2:-2] - 100).abs().max() < 8


def test_a_grey_gif_stays_one_channel(tmp_path: Path) -> None:
    Image.fromarray(noise(8, 8)).save(tmp_path / "a.gif")
    assert load_folder(tmp_path).shape == (1, 8, 8)


def test_cmyk_becomes_colour(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    assert load_folder(tmp_path).storage[0][:, 4, 4].tolist() == [255, 0, 0]


# Another decoder for many photographs


def photograph(path: Path, mode: str, **options: Any) -> Path:
    """A JPEG of 90x70 with shapes in it."""
    y, x = np.mgrid[:70, :90]
    pixels = np.stack([128 + 100 * np.sin(x / 9), 2.5 * y + 20, 255 - 2 * x], -1).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


def by(path: Path, shape: tuple[int, int, int], *, fast: bool) -> torch.Tensor:
    """A photograph as training reads it, by the decoder for many or by that for few."""
    page = Page(ImageSource(path, path.name), 0, "RGB", (90, 70))
    return Pages((page,), shape, None, fast)[0]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("shape", [(3, 70, 90), (1, 70, 90), (3, 16, 16), (1, 16, 16)], ids=str)
def test_many_photographs_are_decoded_to_the_same_bits(tmp_path: Path, mode: str, shape: tuple[int, int, int]) -> None:
    for options in ({}, {"quality": 30}, {"progressive": True}, {"subsampling": 0}):
        path = photograph(tmp_path / "a.jpg", mode, **options)
        assert torch.equal(by(path, shape, fast=True), read_image(path, shape))


def test_one_that_lies_on_its_side_is_turned_by_either(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = photograph(tmp_path / "a.jpg", "RGB", exif=exif)
    assert torch.equal(by(path, (3, 90, 70), fast=True), read_image(path, (3, 90, 70)))


def test_torchvision_decodes_where_there_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = pages.decoded_jpeg
    monkeypatch.setattr(pages, "decoded_jpeg", lambda *a: calls.append(a) or real(*a))
    for i in range(3):
        photograph(tmp_path / f"{i}.jpg", "RGB")
    for most, expected in ((3 * 90 * 70, 0), (3 * 90 * 70 - 1, 3)):
        calls.clear()
        monkeypatch.setattr(pages, "MANY_PIXELS", most)
        assert load_folder(tmp_path).shape == (3, 64, 64)
        assert len(calls) == expected


@pytest.mark.parametrize("keep", [0.9, 0.5, 0.01])
def test_a_photograph_that_is_cut_off_is_refused_by_either(tmp_path: Path, keep: float) -> None:
    path = photograph(tmp_path / "a.jpg", "RGB")
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    for fast in (False, True):
        with pytest.raises(DataProblem, match=r"a\.jpg is not a readable image"):
            by(path, (3, 8, 8), fast=fast)
