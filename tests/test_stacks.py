"""Arrays and archives as programs and computers write them: every image with its class, its split and its name."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffcli.data import decoding, folders
from diffcli.data.dataset import Dataset
from diffcli.data.folders import everything_left, load_folder, splits_of
from diffcli.data.reading import Reading
from diffcli.data.sources import ImageSource
from diffcli.errors import DataProblem

RNG = np.random.default_rng(0)
STACK = RNG.integers(0, 256, (6, 8, 8), dtype=np.uint8)
HALVES = np.arange(6) % 2


def classes(found: Dataset) -> list[str]:
    return [] if found.labels is None else [found.classes[i] for i in found.labels]


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


# Arrays


@pytest.mark.parametrize("style", ["{}_images {}_labels", "x_{} y_{}", "X_{} Y_{}"])
def test_splits_in_a_file_are_splits(tmp_path: Path, style: str) -> None:
    """As MedMNIST and Keras have them; the classes of all splits are numbered together."""
    arrays, counts = {}, {"train": 6, "val": 5, "test": 2}
    for split, count in counts.items():
        images, labels = style.format(split, split).split()
        arrays |= {images: STACK[:count] + len(split), labels: 7 + HALVES[:count, None] * (split != "test")}
    arrays["y_train" if "x_train" in arrays else "unused"] = arrays.get("y_train", STACK)
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    for place in (tmp_path / "a.npz", tmp_path):
        assert splits_of(place) == ("train", "val", "test")
        for split, count in counts.items():
            found = load_folder(place, split=split)
            assert np.array_equal(found.storage[:][:, 0].numpy(), STACK[:count] + len(split))
            assert classes(found) == [str(7 + n * (split != "test")) for n in HALVES[:count]]
            assert found.classes == ("7", "8")


def test_files_called_after_splits_are_splits(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("test", 5)):
        np.save(tmp_path / f"X_{split}.npy", STACK[:count])
        np.save(tmp_path / f"y_{split}.npy", HALVES[:count])
    assert len(load_folder(tmp_path)) == 6
    assert classes(load_folder(tmp_path, split="test")) == ["0", "1", "0", "1", "0"]
    assert {one.why for one in everything_left(tmp_path)} == {"arrays of classes"}


@pytest.mark.parametrize("labels", [HALVES * 1.0, HALVES[:, None], HALVES.astype(np.uint8), HALVES.astype(">i8")])
def test_classes_may_lie_in_a_file_beside_the_images(tmp_path: Path, labels: np.ndarray) -> None:
    np.save(tmp_path / "images.npy", STACK)
    np.save(tmp_path / "labels.npy", labels)
    assert classes(load_folder(tmp_path)) == ["0", "1"] * 3


def test_classes_of_several_files_are_read_together(tmp_path: Path) -> None:
    for i in range(3):
        np.savez(tmp_path / f"{i}.npz", images=STACK + i, labels=np.full(6, f"part {i}"))
    assert classes(load_folder(tmp_path)) == [f"part {i}" for i in range(3) for _ in range(6)]
    assert classes(load_folder(tmp_path, Reading(frames="first"))) == [f"part {i}" for i in range(3)]


@pytest.mark.parametrize("count", [5, 7])
def test_as_many_classes_as_images(tmp_path: Path, count: int) -> None:
    np.savez(tmp_path / "a.npz", images=STACK, labels=np.arange(count))
    with pytest.raises(DataProblem, match=f"holds 6 images and {count} classes"):
        load_folder(tmp_path)


def test_arrays_that_are_not_read_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=STACK, masks=STACK)
    assert any("only its images are read, not masks" in note for note in load_folder(tmp_path).notes)
    np.savez(tmp_path / "a.npz", *STACK)
    with pytest.raises(DataProblem, match=r"no array is named .*; there are arr_0, arr_1"):
        load_folder(tmp_path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_objects_are_never_unpickled(tmp_path: Path, suffix: str) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "sprung",))

    array = np.array([Trap()], dtype=object)
    (np.save if suffix == ".npy" else np.savez)(tmp_path / f"a{suffix}", array, allow_pickle=True)
    with pytest.raises(DataProblem, match="objects of Python"):
        load_folder(tmp_path)
    (tmp_path / f"a{suffix}").unlink()
    np.savez(tmp_path / "b.npz", images=STACK, labels=np.array([Trap()] * 6, dtype=object))
    with pytest.raises(DataProblem, match="objects of Python"):
        load_folder(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_numbers_beyond_those_that_are_kept_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK * 1e300)
    with pytest.raises(DataProblem, match=r"of its 64 numbers are beyond 3\.4e\+38"):
        load_folder(tmp_path)


# Archives


def test_names_that_macos_wrote_are_read(tmp_path: Path) -> None:
    """In UTF-8 without the flag that says so; names that DOS wrote stay what they are."""
    for name, encoding in (("macos.zip", "utf-8"), ("dos.zip", "cp437")):
        meant, stand_in = "kätze".encode(encoding), b"k" + b"#" * (len("kätze".encode(encoding)) - 1)
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for file in (f"{stand_in.decode()}/1.png", "hund/2.png"):
                archive.writestr(file, png())
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes().replace(stand_in, meant))
        assert load_folder(tmp_path / name).classes == ("hund", "kätze")


@pytest.mark.parametrize(("mode", "name"), [("w:gz", "a.tar"), ("w", "a.tar.gz"), ("w:xz", "a.tgz"), ("w", "a.zip")])
def test_an_archive_is_what_is_in_it(tmp_path: Path, mode: str, name: str) -> None:
    """Whatever a browser or a person calls it; a tar that ends in a zip is none."""
    last = io.BytesIO()
    with zipfile.ZipFile(last, "w") as inner:
        inner.writestr("x.png", png())
    with tarfile.open(tmp_path / name, mode) as archive:  # type: ignore[call-overload]
        for file, content in (("1.png", png()), ("2.png", png()), ("z.zip", last.getvalue())):
            info = tarfile.TarInfo(file)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    assert len(load_folder(tmp_path / name)) == 2


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_one_name_in_an_archive_the_last_counts(tmp_path: Path) -> None:
    contents = [png(), png()]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for content in contents:
            archive.writestr("1.png", content)
    found = load_folder(tmp_path / "a.zip")
    assert len(found) == 1
    assert np.array_equal(found.storage[0][0].numpy(), np.asarray(Image.open(io.BytesIO(contents[1]))))


# Folders that change, and what lies in them


@pytest.mark.parametrize("when", ["before it is opened", "before it is read"])
def test_a_file_that_vanishes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(png())
    place, name = (folders, "layout") if when == "before it is opened" else (decoding, "look")
    real = getattr(place, name)

    def then_gone(sources: tuple[ImageSource, ...], *rest: object, **options: object) -> object:
        found = real(sources, *rest, **options)
        (tmp_path / "b.png").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(place, name, then_gone)
    with pytest.raises(DataProblem, match=r"b\.png is not a readable image: No such file"):
        load_folder(tmp_path)
    (tmp_path / "b.png").write_bytes(png())
    assert len(load_folder(tmp_path, Reading(skip_broken=True))) == 2


def test_folders_without_anything_are_counted(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(png())
    (tmp_path / "c").mkdir()
    assert {(one.name, one.why) for one in everything_left(tmp_path)} == {("c/", "empty folders")}


def test_a_result_beside_folders_of_images_is_no_data(tmp_path: Path) -> None:
    from PIL import PngImagePlugin

    for name in ("a/1.png", "b/2.png", "loose.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png())
    facts = PngImagePlugin.PngInfo()
    facts.add_text("Software", "diffcli 0.1.0")
    Image.open(tmp_path / "a" / "1.png").save(tmp_path / "samples.png", pnginfo=facts)
    assert {(one.name, one.why) for one in everything_left(tmp_path)} == {
        ("samples.png", "runs and results of diffcli")
    }
    assert load_folder(tmp_path).classes == ("(none)", "a", "b")
