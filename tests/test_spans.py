"""One scale for a whole data set: what is black and what is white in files of more than 8 bits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from conftest import Cli
from PIL import Image

from diffcli.data.loading import lasting, load_dataset, load_folder
from diffcli.data.reading import PLAIN, Reading
from diffcli.data.spans import NumberTally, Span, Spans, Tallies
from diffcli.errors import DataProblem, UsageProblem
from diffcli.runs import loading
from diffcli.sampling.from_images import picture

RNG = np.random.default_rng(0)


def tally(*arrays: Any) -> NumberTally:
    found = NumberTally()
    for array in arrays:
        found.add(np.asarray(array))
    return found


def of_bits(bits: int, shape: tuple[int, ...] = (32, 32)) -> np.ndarray:
    """Unsigned values that use all of so many bits."""
    values = RNG.integers(0, 1 << bits, shape, dtype=np.uint16)
    values.flat[:2] = 0, (1 << bits) - 1
    return values


@pytest.mark.parametrize(
    ("values", "span"),
    [
        (of_bits(8), (0, 255)),
        (of_bits(10), (0, 1023)),
        (of_bits(12), (0, 4095)),
        (of_bits(16), (0, 65535)),
        (of_bits(12).astype(np.int32), (0, 4095)),
        (of_bits(12).astype(np.float32), (0, 4095)),
        (of_bits(16).astype(np.float64), (0, 65535)),
        (np.linspace(0, 1, 1000), (0, 1)),
        (np.linspace(-0.0001, 1.02, 1000), (0, 1)),
        (np.linspace(-1, 1, 1000), (-1, 1)),
        (np.linspace(-1.03, 1.02, 1000), (-1, 1)),
        (np.linspace(0, 0.9, 1000), (0, 1)),
        (np.linspace(0, 300.5, 1000), (0, 300.5)),
        (np.linspace(0, 1e-4, 1000), (0, 1e-4)),
        (np.arange(-1024, 3072, dtype=np.int16), (-1024, 3071)),
        (np.arange(100_000, 100_900, dtype=np.int64), (100_000, 100_899)),
    ],
    ids=lambda v: f"{v.dtype}" if isinstance(v, np.ndarray) else "",
)
def test_the_range_that_is_used_is_found(values: np.ndarray, span: tuple[float, float]) -> None:
    assert tally(values).span()[0] == pytest.approx(span, rel=1e-6)


def test_a_few_values_far_outside_are_no_ends() -> None:
    """A thousandth of the values on each side is beyond a robust end."""
    values = np.linspace(-1000, 400, 100_000)
    values[7], values[-9] = -30_000, 30_000
    found, why = tally(*values.reshape(100, 1000)).span()
    assert found.black == pytest.approx(-1000, abs=30)
    assert found.white == pytest.approx(400, abs=30)
    assert "-30000 to 30000" in why


@pytest.mark.parametrize("value", [0, 7, 300, -5, 0.25, 3e9])
def test_values_that_are_all_one_have_a_span(value: float) -> None:
    span = tally(np.full((4, 4), value)).span()[0]
    assert span.black < span.white
    assert np.isfinite(span.unit(np.full(3, value))).all()


def test_unit_takes_black_to_minus_one_and_white_to_one() -> None:
    found = Span(-1000, 3000).unit(np.array([-2000, -1000, 0, 1000, 3000, 9000]))
    assert found.dtype == np.float32
    assert found.tolist() == [-1, -1, -0.5, 0, 1, 1]


@pytest.mark.parametrize("text", ["0:4095", "-1024:3071", "0:4095,0:1", "0:128,0:128,0:128", "0.5:1.5"])
def test_spans_are_read_as_they_are_written(text: str) -> None:
    assert str(Spans.parsed(text)) == text


@pytest.mark.parametrize("text", ["1", "a:b", "1:1", "2:1", "0:inf", "nan:1", ":", "0:1:2", "0:1,0:1,0:1,0:1"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="LOW:HIGH"):
        Reading(range=text)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0, np.nan], "1 of its 2 numbers is nan"),
        ([np.inf, -np.inf], "2 of its 2 numbers are infinite"),
        ([np.nan, np.inf, 1], "2 of its 3 numbers are nan or infinite"),
    ],
)
def test_what_is_not_finite_is_counted(values: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Tallies.empty().add(np.array(values))


# Files


WRITERS = {
    "png": lambda path, values: Image.fromarray(values.astype(np.uint16)).save(path.with_suffix(".png")),
    "tif": lambda path, values: tifffile.imwrite(path.with_suffix(".tif"), values),
    "lzw": lambda path, values: Image.fromarray(values.astype(np.uint16)).save(
        path.with_suffix(".tif"), compression="tiff_lzw"
    ),
    "npy": lambda path, values: np.save(path.with_suffix(".npy"), values),
    "npz": lambda path, values: np.savez(path.with_suffix(".npz"), image=values),
    "pgm": lambda path, values: Image.fromarray(values.astype(np.uint16)).save(path.with_suffix(".pgm")),
}  # fmt: skip


def pixels(folder: Path, reading: Reading = PLAIN) -> torch.Tensor:
    """[N, C, H, W] in [-1, 1], as training takes them."""
    found = load_folder(folder, reading)
    return found.take(range(len(found)))[0]


@pytest.mark.parametrize("kind", WRITERS)
def test_twelve_bits_keep_all_their_values_on_one_scale(tmp_path: Path, kind: str) -> None:
    dark, bright = of_bits(12) // 8, of_bits(12)
    for name, values in (("a", dark), ("b", bright)):
        WRITERS[kind](tmp_path / name, values)
    truth = torch.from_numpy(np.stack([dark, bright]).astype(np.float64)) / 4095 * 2 - 1
    found = load_folder(tmp_path)
    torch.testing.assert_close(pixels(tmp_path)[:, 0].double(), truth, rtol=0, atol=1e-6)
    assert str(found.items.spans) == "0:4095"
    assert len(found.storage[:].unique()) > 1000  # more than 8 bits
    (note,) = [note for note in found.notes if "black" in note]
    assert "0 is black and 4095 white" in note
    assert "data.range" in note


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "uint32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["tif", "npy"])
def test_every_type_of_number_is_read(tmp_path: Path, dtype: str, channels: int, kind: str) -> None:
    if (kind, dtype) == ("tif", "int64"):
        pytest.skip("TIFF readers differ about 64 bits")
    values = (of_bits(10, (9, 7, 3))[..., :channels]).squeeze().astype(dtype)
    WRITERS[kind](tmp_path / "a", values)
    truth = torch.from_numpy(values.astype(np.float64).reshape(9, 7, channels)).permute(2, 0, 1) / 1023 * 2 - 1
    torch.testing.assert_close(pixels(tmp_path)[0].double(), truth, rtol=0, atol=1e-6)


def test_colours_of_16_bits_in_a_png_keep_them(tmp_path: Path) -> None:
    values = of_bits(16, (5, 6, 3))
    (tmp_path / "a.png").write_bytes(png16(values))
    truth = torch.from_numpy(values.astype(np.float64)).permute(2, 0, 1) / 65535 * 2 - 1
    torch.testing.assert_close(pixels(tmp_path)[0].double(), truth, rtol=0, atol=1e-6)


def png16(values: np.ndarray) -> bytes:
    """A PNG of 16 bits, grey, colour or with transparency, by the format's own words (ISO 15948)."""
    import struct
    import zlib

    height, width, *rest = values.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[rest[0] if rest else 1]
    rows = values.astype(">u2").reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def test_transparency_of_16_bits_is_laid_over_white(tmp_path: Path) -> None:
    values = of_bits(16, (5, 6, 4))
    (tmp_path / "a.png").write_bytes(png16(values))
    share = values[..., 3:] / 65535
    truth = torch.from_numpy(values[..., :3] / 65535 * share + 1 - share).permute(2, 0, 1) * 2 - 1
    torch.testing.assert_close(pixels(tmp_path)[0].double(), truth, rtol=0, atol=5e-5)


def test_files_of_8_bits_among_others_keep_their_own_scale(tmp_path: Path) -> None:
    """The middle of a type is the middle of any other."""
    Image.fromarray(np.full((8, 8), 51, np.uint8)).save(tmp_path / "a.png")
    sixteen = np.full((8, 8), 51 * 257, np.uint16)
    sixteen[0] = 65535
    Image.fromarray(sixteen).save(tmp_path / "b.png")
    tifffile.imwrite(tmp_path / "c.tif", np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8))
    found = pixels(tmp_path)
    assert found[0, 0, 1, 1] == pytest.approx(-0.6, abs=1e-6)
    assert found[1, 0, 1, 1] == pytest.approx(-0.6, abs=1e-6)
    assert found[2].max() == 1
    assert str(load_folder(tmp_path).items.spans) == "0:65535,0:1"


def test_hounsfield_units_are_read_with_their_sign(tmp_path: Path) -> None:
    values = np.linspace(-1024, 3071, 1024).round().astype(np.int16).reshape(32, 32)
    tifffile.imwrite(tmp_path / "a.tif", values)
    truth = torch.from_numpy((values + 1024.0) / 4095) * 2 - 1
    torch.testing.assert_close(pixels(tmp_path)[0, 0].double(), truth, rtol=0, atol=1e-6)


def test_a_range_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.array([[-2000, -160], [40, 240]], np.int16))
    found = pixels(tmp_path, Reading(range="-160:240"))
    assert found.flatten().tolist() == pytest.approx([-1, -1, 0, 1])


def test_a_range_may_stretch_8_bits(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 50], [100, 200]], np.uint8)).save(tmp_path / "a.png")
    found = load_folder(tmp_path, Reading(range="0:100"))
    assert found.take([0])[0].flatten().tolist() == pytest.approx([-1, 0, 1, 1])
    name, reading = lasting(str(tmp_path), PLAIN, found)
    assert load_dataset(name, reading=reading).fingerprint == found.fingerprint


def test_the_scale_is_kept_where_it_was_found(tmp_path: Path) -> None:
    """More images of the same kind are read by it, and not by their own."""
    (tmp_path / "a").mkdir()
    Image.fromarray(of_bits(12)).save(tmp_path / "a" / "a.png")
    name, reading = lasting(str(tmp_path / "a"), PLAIN, load_folder(tmp_path / "a"))
    assert reading.range == "0:4095"
    (tmp_path / "b").mkdir()
    Image.fromarray(of_bits(8) // 2).save(tmp_path / "b" / "b.png")
    assert pixels(tmp_path / "b", reading).max() < -0.9


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf_are_refused_with_the_file_and_how_many(tmp_path: Path, bad: float) -> None:
    for name, count in (("fine", 0), ("odd", 3)):
        values = np.linspace(0, 1, 64, dtype=np.float32)
        values[:count] = bad
        tifffile.imwrite(tmp_path / f"{name}.tif", values.reshape(8, 8))
    with pytest.raises(DataProblem, match=r"odd\.tif .*3 of its 64 numbers are"):
        load_folder(tmp_path)
    assert len(load_folder(tmp_path, Reading(skip_broken=True))) == 1


def test_a_set_on_the_disk_has_the_same_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(3):
        Image.fromarray(of_bits(12) // (1 + i)).save(tmp_path / f"{i}.png")
    whole = pixels(tmp_path)
    monkeypatch.setattr("diffcli.data.fitting.MEMORY_LIMIT", 0)
    assert torch.equal(pixels(tmp_path), whole)


def test_the_whole_way_of_a_deep_image(cli: Cli, tmp_path: Path) -> None:
    """Train, draw, begin at a file, judge, and denoise: by the scale of the training images."""
    (tmp_path / "ct").mkdir()
    for i in range(24):
        Image.fromarray(of_bits(12, (8, 8)) // (1 + i % 3)).save(tmp_path / "ct" / f"{i}.png")
    result = cli("train", "--dataset", "ct", "--recipe", "tiny", "--steps", "3", "--out", "run")
    assert result.code == 0, result.err
    assert "0 is black and 4095 white" in result.err
    assert 'range = "0:4095"' in (tmp_path / "run" / "recipe.toml").read_text()
    Image.fromarray(np.full((8, 8), 4095, np.uint16)).save(tmp_path / "white.png")
    words = ("--from", "white.png", "--strength", "0.5", "--steps", "4", "--count", "2", "--out", "x.png")
    result = cli("sample", "run", *words)
    assert result.code == 0, result.err
    white = picture(tmp_path / "white.png", loading.read(tmp_path / "run").items)
    assert white.unique().tolist() == [1]
    assert cli("vlb", "run", "--count", "2", "--steps", "2").code == 0
