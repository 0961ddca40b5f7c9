"""Files as cameras, scanners and programs write them: upright, not inverted, of full depth, or refused in words."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from diffcli.data.dataset import Dataset
from diffcli.data.folders import load_folder
from diffcli.data.reading import PLAIN, Reading
from diffcli.errors import DataProblem

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 65536, (12, 10), dtype=np.uint16)
COLOUR = RNG.integers(0, 65536, (12, 10, 3), dtype=np.uint16)
EIGHT = RNG.integers(0, 256, (12, 10, 3), dtype=np.uint8)
GREY.flat[:2] = 0, 65535


def values(folder: Path, reading: Reading = PLAIN) -> np.ndarray:
    """[N, H, W, C] in [-1, 1]."""
    found = load_folder(folder, reading)
    return found.take(range(len(found)))[0].movedim(1, 3).double().numpy()


def near(got: np.ndarray, truth: np.ndarray, most: float = 65535, atol: float = 1e-6) -> None:
    truth = truth.astype(np.float64) / most * 2 - 1
    np.testing.assert_allclose(got, truth[..., None] if truth.ndim < got.ndim else truth, rtol=0, atol=atol)


def said(found: Dataset, words: str) -> bool:
    return any(words in note for note in found.notes)


def png(path: Path, stored: np.ndarray, clear: tuple[int, ...] = ()) -> None:
    """A PNG of 16 bits, in which one colour may be transparent."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[stored.shape[2] if stored.ndim == 3 else 1]

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in stored)
    head = struct.pack(">IIBBBBB", stored.shape[1], stored.shape[0], 16, kind, 0, 0, 0)
    marks = chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear)) if clear else b""
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + marks + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def test_a_colour_that_a_deep_png_calls_transparent_is_white(tmp_path: Path) -> None:
    for name, stored in (("grey", GREY), ("colour", COLOUR)):
        (tmp_path / name).mkdir()
        pixel = stored[5, 4]
        png(tmp_path / name / "a.png", stored, tuple(map(int, np.atleast_1d(pixel))))
        same = (stored == pixel).reshape(*GREY.shape, -1).all(-1)
        truth = stored.copy()
        truth[same] = 65535
        near(values(tmp_path / name)[0], truth)


def test_transparency_of_deep_files_is_told_where_there_is_any(tmp_path: Path) -> None:
    opaque = np.concatenate([COLOUR, np.full((12, 10, 1), 65535, np.uint16)], axis=2)
    png(tmp_path / "a.png", opaque)
    assert not said(load_folder(tmp_path), "transparen")
    opaque[3, 3, 3] = 0
    png(tmp_path / "a.png", opaque)
    assert said(load_folder(tmp_path), "transparency is laid over white")


def test_opacity_is_no_number_of_the_image(tmp_path: Path) -> None:
    """12 bits of colour, opaque by the 16 of the type: the scale is that of the colours."""
    stored = np.concatenate([COLOUR >> 4, np.full((12, 10, 1), 65535, np.uint16)], axis=2)
    np.save(tmp_path / "a.npy", stored)
    assert str(load_folder(tmp_path).items.spans) == "0:4095"
    near(values(tmp_path)[0], COLOUR >> 4, 4095)
    np.save(tmp_path / "a.npy", np.concatenate([EIGHT, np.full((12, 10, 1), 255)], axis=2).astype(np.float32))
    near(values(tmp_path)[0], EIGHT, 255)


TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr, 3: lambda a: a[::-1, ::-1], 4: np.flipud, 5: np.transpose, 6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T, 8: np.rot90,
}  # fmt: skip


@pytest.mark.parametrize("turn", TURNS)
def test_deep_files_are_turned_as_others(tmp_path: Path, turn: int) -> None:
    tag = [(274, "H", 1, turn, True)]
    tifffile.imwrite(tmp_path / "a.tif", GREY, extratags=tag)
    Image.fromarray(GREY).save(tmp_path / "b.tif", compression="tiff_lzw", tiffinfo={274: turn})
    tifffile.imwrite(tmp_path / "c.tif", GREY.astype(np.float64) / 65535, extratags=tag)
    got = values(tmp_path)
    for image in got:
        near(image, TURNS[turn](GREY))
    (tmp_path / "eight").mkdir()
    Image.fromarray(EIGHT[..., 0]).save(tmp_path / "eight" / "a.tif", tiffinfo={274: turn})
    near(values(tmp_path / "eight")[0], TURNS[turn](EIGHT[..., 0]), 255)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_zero_is_white_where_a_tiff_says_so(tmp_path: Path, compression: str | None) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.tif", compression=compression, tiffinfo={262: 0})
    near(values(tmp_path)[0], 65535 - GREY.astype(np.int64))


def test_pages_of_all_depths_in_one_file_keep_theirs(tmp_path: Path) -> None:
    for name, pages in {"up": (EIGHT, COLOUR), "down": (COLOUR, EIGHT)}.items():
        (tmp_path / name).mkdir()
        with tifffile.TiffWriter(tmp_path / name / "a.tif") as tiff:
            for page in pages:
                tiff.write(page, photometric="rgb")
        got = values(tmp_path / name)
        for image, page in zip(got, pages, strict=True):
            near(image, page, np.iinfo(page.dtype).max)


def test_smaller_copies_of_pages_are_no_images(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(EIGHT, photometric="rgb")
        tiff.write(EIGHT[::2, ::2], photometric="rgb", subfiletype=1)
    found = load_folder(tmp_path)
    assert (len(found), found.shape) == (1, (3, 12, 10))
    assert said(found, "1 smaller copies of pages are left out")


@pytest.mark.parametrize("extra", ["unspecified", "assocalpha", "unassalpha"])
def test_a_fourth_channel_is_what_the_file_says(tmp_path: Path, extra: str) -> None:
    """Near infrared is no transparency, and colours that are multiplied by theirs are divided again."""
    share = RNG.integers(0, 65536, (12, 10, 1), dtype=np.uint16)
    stored = (COLOUR * (share / 65535)).round().astype(np.uint16) if extra == "assocalpha" else COLOUR
    whole = np.concatenate([stored, share], axis=2)
    tifffile.imwrite(tmp_path / "a.tif", whole, photometric="rgb", extrasamples=[extra])
    truth = COLOUR if extra == "unspecified" else COLOUR * (share / 65535) + 65535 - share
    near(values(tmp_path)[0], truth, atol=5e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"photometric": "cielab"}, "CIELAB: save it as RGB"),
        ({"photometric": "separated", "extrasamples": ()}, "CMYK: save it as RGB"),
    ],
)
def test_deep_colours_of_other_kinds_are_refused(tmp_path: Path, options: dict, words: str) -> None:
    channels = 4 if options["photometric"] == "separated" else 3
    tifffile.imwrite(tmp_path / "a.tif", RNG.integers(0, 65536, (8, 8, channels), dtype=np.uint16), **options)
    with pytest.raises(DataProblem, match=words):
        load_folder(tmp_path)


def test_what_libraries_say_of_their_code_is_no_note(tmp_path: Path) -> None:
    png(tmp_path / "a.png", COLOUR)
    assert not said(load_folder(tmp_path), "deprecated")


def test_bits_that_are_lost_are_told(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    whole = RNG.integers(0, 65536, (64, 64, 3), dtype=np.uint16)
    heif.from_bytes(mode="RGB;16", size=(64, 64), data=whole.tobytes()).save(tmp_path / "a.heic", quality=-1)
    assert said(load_folder(tmp_path), "bits are reduced to 8")


def damaged(suffix: str, count: int) -> list[bytes]:
    """A small image, each time with other bytes of its head changed, or cut."""
    buffer = io.BytesIO()
    Image.fromarray(np.kron(EIGHT, np.ones((3, 3, 1), np.uint8))).save(buffer, Image.registered_extensions()[suffix])
    chance, found = random.Random(suffix), []
    for _ in range(count):
        content = bytearray(buffer.getvalue())
        for _ in range(chance.choice([1, 3, 10])):
            content[chance.randrange(min(len(content), 300))] = chance.randrange(256)
        found.append(bytes(content[: chance.choice([len(content), len(content) // 2])]))
    return found


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".bmp", ".tif", ".tga", ".jp2", ".avif", ".ppm"])
def test_damage_of_any_kind_is_named_and_can_be_skipped(tmp_path: Path, suffix: str) -> None:
    Image.init()
    for i, content in enumerate(damaged(suffix, 20)):
        (tmp_path / f"{i}{suffix}").write_bytes(content)
    Image.fromarray(EIGHT).save(tmp_path / "whole.png")
    found = load_folder(tmp_path, Reading(skip_broken=True, size=8))
    assert len(found) >= 1
    assert torch.isfinite(found.take(range(len(found)))[0]).all()
