"""Images in numpy files: every layout and range that is taken, and everything that is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffcli.data import arrays
from diffcli.data.arrays import load_array
from diffcli.data.kinds import CLASS
from diffcli.errors import DataProblem

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (7, 3, 6, 5), dtype=np.uint8)
GREY = RNG.integers(0, 256, (7, 1, 6, 6), dtype=np.uint8)


def saved(folder: Path, array: Any, name: str = "images.npy") -> Path:
    np.save(folder / name, array)
    return folder / name


def archive(folder: Path, **content: Any) -> Path:
    np.savez(folder / "images.npz", **content)
    return folder / "images.npz"


def pixels(path: Path) -> torch.Tensor:
    """What a data set gives, as 8-bit values."""
    dataset = load_array(path)
    return ((dataset.take(range(len(dataset)))[0] + 1) * 127.5).round().to(torch.uint8)


@pytest.mark.parametrize(
    ("stored", "images"),
    [
        (COLOUR, COLOUR),
        (COLOUR.transpose(0, 2, 3, 1), COLOUR),
        (np.asfortranarray(COLOUR), COLOUR),
        (GREY, GREY),
        (GREY[:, 0], GREY),
        (GREY.transpose(0, 2, 3, 1), GREY),
        (COLOUR[:, :, :3, :3], COLOUR[:, :, :3, :3]),  # channels first, where they could be last as well
        (COLOUR[:, :, :3, :1], COLOUR[:, :, :3, :1].transpose(0, 3, 1, 2)),  # squares, if they are last
        (COLOUR[:, :1, :, :3], COLOUR[:, :1, :, :3]),
    ],
)
def test_images_are_read_in_every_layout(tmp_path: Path, stored: Any, images: Any) -> None:
    assert pixels(saved(tmp_path, stored)).numpy().tolist() == images.tolist()


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
@pytest.mark.parametrize("signed", [True, False])
def test_floats_of_either_range_become_the_8_bit_values_they_were_made_of(
    tmp_path: Path, dtype: str, signed: bool
) -> None:
    values = COLOUR / 127.5 - 1 if signed else COLOUR / 255
    dataset = load_array(saved(tmp_path, values.astype(dtype)))
    assert pixels(tmp_path / "images.npy").numpy().tolist() == COLOUR.tolist()
    assert dataset.notes == (f"floats in [{-1 if signed else 0}, 1] are rounded to 8 bits",)
    assert dataset.fingerprint == load_array(saved(tmp_path, COLOUR, "bytes.npy")).fingerprint


def test_floats_that_do_not_fit_into_memory_are_read_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, (COLOUR / 255).astype(np.float32))
    whole = load_array(path)
    monkeypatch.setattr(arrays, "MEMORY_LIMIT", 10)
    monkeypatch.setattr(arrays, "BLOCK", 3)
    lazy = load_array(path)
    assert isinstance(lazy.storage, arrays.FloatImages)
    assert torch.equal(lazy.take([6, 0])[0], whole.take([6, 0])[0])
    assert len(lazy) == 7


def test_bytes_stay_in_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, GREY)
    dataset = load_array(path)
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(bytes([255 - GREY.flat[-1]]))
    assert dataset.storage[6][0, -1, -1] == 255 - GREY.flat[-1]


def test_values_a_little_outside_are_held_to_the_range_and_told(tmp_path: Path) -> None:
    values = COLOUR / 127.5 - 1
    values[0, 0, 0, 0] = 1.04
    dataset = load_array(saved(tmp_path, values))
    assert dataset.take([0])[0][0, 0, 0, 0] == 1
    assert dataset.notes[1] == "values from -1 to 1.04 are held to [-1, 1]"


@pytest.mark.parametrize(
    "names", [("arr_0", "arr_1"), ("images", "labels"), ("x", "y"), ("samples", "labels")], ids=lambda names: names[0]
)
def test_archives_have_images_and_labels_under_the_usual_names(tmp_path: Path, names: tuple[str, str]) -> None:
    labels = np.array([[0], [2], [1], [2], [0], [4], [1]])
    dataset = load_array(archive(tmp_path, **{names[0]: COLOUR.transpose(0, 2, 3, 1), names[1]: labels, "other": 1}))
    images, conditions = dataset.take([1, 5])
    assert conditions[CLASS].tolist() == [2, 4]
    assert dataset.classes == ("0", "1", "2", "3", "4")
    assert dataset.shape == (3, 6, 5)
    assert torch.equal(images, torch.from_numpy(COLOUR[[1, 5]]).float() / 127.5 - 1)


def test_the_only_array_of_an_archive_holds_the_images(tmp_path: Path) -> None:
    dataset = load_array(archive(tmp_path, anything=GREY))
    assert (len(dataset), dataset.labels, dataset.classes) == (7, None, ())


def test_the_fingerprint_is_of_pixels_shape_and_labels(tmp_path: Path) -> None:
    other = COLOUR.copy()
    other[3, 1, 2, 2] ^= 1
    marks = [
        load_array(saved(tmp_path, COLOUR)).fingerprint,
        load_array(saved(tmp_path, other)).fingerprint,
        load_array(saved(tmp_path, COLOUR.reshape(7, 3, 5, 6))).fingerprint,
        load_array(archive(tmp_path, x=COLOUR, y=np.arange(7))).fingerprint,
        load_array(archive(tmp_path, x=COLOUR, y=np.arange(7)[::-1])).fingerprint,
    ]
    assert len(set(marks)) == 5
    assert load_array(archive(tmp_path, x=COLOUR)).fingerprint == marks[0]


def broken(value: float) -> Any:
    images = (COLOUR / 255).astype(np.float32)
    images[2, 0, :2, 0] = images[4, 1, 1, 1] = value
    return images


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (broken(np.nan), "3 values in 2 of 7 images are nan or infinite"),
        (broken(-np.inf), "3 values in 2 of 7 images are nan or infinite"),
        (broken(255), "values from 0 to 255 lie neither in [-1, 1] nor in [0, 1]"),
        (broken(-0.3), "values from -0.3 to 1 lie neither"),
        (broken(-1.2), "values from -1.2 to 1 lie neither"),
        (broken(1.06), "to 1.06 lie neither"),
        (COLOUR.astype(np.int64), "values of type int64 are no images"),
        (COLOUR > 100, "values of type bool are no images"),
        (COLOUR.astype(complex), "values of type complex128 are no images"),
        (COLOUR[:0], "there are no images in an array of [0, 3, 6, 5]"),
        (COLOUR[:, :2], "an array of [7, 2, 6, 5] holds no images of 1 or 3 channels"),
        (COLOUR[0].transpose(1, 2, 0), "an array of [6, 5, 3] holds no images"),
        (COLOUR[0, 0], "an array of [6, 5] holds no images"),
        (np.uint8(3), "an array of [] holds no images"),
        (np.array([{}], dtype=object), "Python objects"),
    ],
)
def test_what_are_no_images_is_refused_with_the_reason(tmp_path: Path, array: Any, words: str) -> None:
    path = saved(tmp_path, array)
    with pytest.raises(DataProblem) as caught:
        load_array(path)
    assert str(path) in caught.value.message
    assert words in caught.value.message
    assert "uint8, or floats" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"x": COLOUR, "y": np.arange(6)}, "7 images and 6 labels"),
        ({"x": COLOUR, "y": np.arange(7) - 1}, "labels from -1 to 5"),
        ({"x": COLOUR, "y": np.full(7, 10**9)}, "labels from 1000000000"),
        ({"x": COLOUR, "y": np.eye(7)}, "labels of type float64"),
        ({"x": COLOUR, "y": np.eye(7, dtype=int)}, "shape [7, 7] are no numbers of classes"),
        ({"x": COLOUR, "y": np.int64(3)}, "labels of type int64 and shape []"),
        ({"x": COLOUR, "y": np.array([None] * 7)}, "Object arrays cannot be loaded"),
        ({"train_images": COLOUR, "test_images": COLOUR}, "there are train_images, test_images"),
        ({}, "there are none"),
    ],
)
def test_archives_that_are_not_understood_are_refused(tmp_path: Path, content: dict[str, Any], words: str) -> None:
    with pytest.raises(DataProblem, match=words.replace("[", r"\[").replace("]", r"\]")):
        load_array(archive(tmp_path, **content))


@pytest.mark.parametrize("name", ["images.npy", "images.npz"])
@pytest.mark.parametrize("content", [b"", b"\x80\x04}.", b"text", b"PK\x03\x04 rest", b"\x93NUMPY\x09\x00"])
def test_files_that_are_no_arrays_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataProblem):
        load_array(tmp_path / name)


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    for path in (saved(tmp_path, COLOUR), archive(tmp_path, x=COLOUR)):
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(DataProblem):
            load_array(path)


def test_a_missing_file_and_one_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="No such file"):
        load_array(tmp_path / "nowhere.npy")
    with pytest.raises(DataProblem, match="ends in .npy or .npz"):
        load_array(tmp_path / "images.mat")
