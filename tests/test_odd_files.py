"""Files of all modes and formats, and odd names, from `data` to `visualize`: no traceback, and nothing in silence."""

import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Cli
from PIL import Image

from diffcli.data.folders import everything_left, load_folder
from diffcli.data.reading import Reading
from diffcli.errors import DataProblem

MODES = (
    "1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16",
    "I;16B",
)  # fmt: skip
FORMATS: dict[str, list[dict[str, Any]]] = {
    ".png": [{}, {"optimize": True}],
    ".jpg": [{}, {"progressive": True}, {"quality": 1}],
    ".webp": [{}, {"lossless": True}],
    ".tif": [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}, {"compression": "packbits"}],
    ".gif": [{}],
    ".bmp": [{}],
    ".ppm": [{}],
    ".tga": [{}, {"compression": "tga_rle"}],
    ".jp2": [{}],
    ".avif": [{}],
    ".ico": [{}],
    ".pcx": [{}],
    ".sgi": [{}],
}
SIZES = ((9, 7), (64, 33), (1, 20), (130, 90))
DEFAULT = 100  # of the files, in the suite that always runs


def of_mode(mode: str, size: tuple[int, int]) -> Image.Image:
    """A ramp that uses what the mode has."""
    width, height = size
    ramp = np.linspace(0, 1, width * height).reshape(height, width)
    if mode in ("I", "I;16", "I;16B"):
        image = Image.fromarray((ramp * 65535).astype(np.uint16))
        return image if mode == "I;16" else image.convert("I") if mode == "I" else _big(ramp)
    if mode == "F":
        return Image.fromarray(ramp.astype(np.float32))
    colour = Image.fromarray(np.stack([ramp * 255, 255 - ramp * 255, ramp * 0 + 99], -1).astype(np.uint8))
    if mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.applyTransform(colour, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    steps = {"La": ("LA", "La"), "RGBa": ("RGBA", "RGBa"), "PA": ("P", "PA")}.get(mode, (mode,))
    for step in steps:
        colour = colour.convert(step)
    return colour


def _big(ramp: np.ndarray) -> Image.Image:
    height, width = ramp.shape
    return Image.frombytes("I;16B", (width, height), (ramp * 65535).astype(">u2").tobytes())


def written(mode: str, suffix: str, options: dict[str, Any], size: tuple[int, int]) -> bytes | None:
    """The content of a file; None where Pillow does not write such."""
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            of_mode(mode, size).save(buffer, Image.registered_extensions()[suffix], **options)
    except (OSError, ValueError, KeyError, SystemError, TypeError):
        return None
    return buffer.getvalue()


def files() -> Iterator[tuple[str, bytes]]:
    """Whole files of every mode, format and size that can be written, and what becomes of them on the way."""
    Image.init()
    for size in SIZES:
        for mode in MODES:
            for suffix, several in FORMATS.items():
                for number, options in enumerate(several):
                    content = written(mode, suffix, options, size)
                    if content is not None:
                        name = f"{mode.replace(';', '-')}-{size[0]}x{size[1]}-{number}"
                        yield f"{name}{suffix}", content
                        if size == SIZES[0] and number == 0:
                            yield f"{name}-cut{suffix}", content[: len(content) // 2]
                            yield f"{name}-misnamed{'.png' if suffix != '.png' else '.jpg'}", content


EVERY = list(files())
SOME = EVERY[:: max(1, len(EVERY) // DEFAULT)]


def fate(folder: Path, name: str, content: bytes) -> str:
    """What becomes of a file beside two ordinary images: read, left out or refused, and its name is told."""
    folder.mkdir()
    for i in range(2):
        Image.fromarray(np.full((9, 9), 60 * i, np.uint8)).save(folder / f"{i}.png")
    (folder / name).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = load_folder(folder, Reading(size=8))
        except DataProblem as problem:
            assert name in problem.message
            assert "\n" not in problem.message
            return "refused"
    if len(found) >= 3:
        values, _ = found.take(range(len(found)))
        assert values.min() >= -1
        assert values.max() <= 1
        return "read"
    assert name in {one.name for one in everything_left(folder)}
    return "left out"


def hold(folder: Path, several: list[tuple[str, bytes]]) -> None:
    fates = {name: fate(folder / str(i), name, content) for i, (name, content) in enumerate(several)}
    whole = [name for name in fates if "cut" not in name and not name.endswith((".ico", ".pcx", ".sgi"))]
    assert {fates[name] for name in whole} == {"read"}, [name for name in whole if fates[name] != "read"]
    assert all(fates[name] == "left out" for name in fates if name.endswith((".ico", ".pcx", ".sgi")))


def test_a_hundred_odd_files_are_read_or_refused_by_name(tmp_path: Path) -> None:
    assert len(SOME) >= DEFAULT
    hold(tmp_path, SOME)


@pytest.mark.slow
def test_all_odd_files_are_read_or_refused_by_name(tmp_path: Path) -> None:
    assert len(EVERY) > 400
    hold(tmp_path, EVERY)


def all_the_way(cli: Cli, folder: str, size: int) -> None:
    """From data to pictures; a second line of an error is its hint, and there is no third."""
    words = ("--recipe", "tiny", "--steps", "2", "--set", f"size={size}", "--skip-broken", "--quiet", "--out", "run")
    for command in (
        ("data", folder, "--skip-broken", "--all"),
        ("train", "--dataset", folder, *words),
        ("sample", "run", "--count", "2", "--steps", "2", "--out", "x.png", "--quiet"),
        ("visualize", "reverse", "run", "--steps", "2", "--out", "y.png", "--quiet"),
    ):
        result = cli(*command)
        assert result.code == 0, (command, result.err)
        assert "Warning" not in result.err
        assert "Traceback" not in result.err
        if "--quiet" in command:
            assert result.err == ""


@pytest.mark.slow
def test_all_of_them_together_go_all_the_way(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    for name, content in EVERY:
        (tmp_path / "odd" / name).write_bytes(content)
    all_the_way(cli, "odd", 16)


def test_some_of_them_together_go_all_the_way(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    for name, content in SOME[::2]:
        (tmp_path / "odd" / name).write_bytes(content)
    all_the_way(cli, "odd", 8)


NAMES = [
    "a b", "two\nlines", "-x", "[bold]x", "{name}", "%s", "$(x)", "'a\"", "ü", "u\u0308", "日本", "🎲", "a;b", "a&b",
    "#1", "~", "...a", "a=b", "a:b", "a,b", "\ttab", "C:\\x", "null", "train", "val", "0", "01", "run.json", "pic.png",
    "é\udce9",
]  # fmt: skip


def go_by_a_name(cli: Cli, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data" / name
    try:
        folder.mkdir(parents=True)
    except OSError:
        pytest.skip("this file system has no such names")
    for i in range(12):
        Image.fromarray(np.full((8, 8), 20 * i, np.uint8)).save(folder / f"{i % 4}{name}{i}.png")
    (tmp_path / "data" / "other").mkdir()
    for i in range(12):
        Image.fromarray(np.full((8, 8), 5 * i, np.uint8)).save(tmp_path / "data" / "other" / f"{i}.png")
    all_the_way(cli, "data", 8)
    os.rename(folder, tmp_path / "alone")  # noqa: PTH104
    (tmp_path / "run").rename(tmp_path / "run-before")
    for path in ("x.png", "y.png", "y.gif"):
        (tmp_path / path).unlink()
    os.rename(tmp_path / "alone", tmp_path / name)  # noqa: PTH104
    all_the_way(cli, f"./{name}", 8)


@pytest.mark.parametrize("name", NAMES[::3])
def test_a_name_is_no_obstacle(cli: Cli, tmp_path: Path, name: str) -> None:
    go_by_a_name(cli, tmp_path, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for i, name in enumerate(NAMES) if i % 3])
def test_no_other_name_is_an_obstacle(cli: Cli, tmp_path: Path, name: str) -> None:
    go_by_a_name(cli, tmp_path, name)
