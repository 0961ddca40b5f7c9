"""Folders as people have them: nothing is dropped without a word, and names mean what people mean."""

import errno
import io
import os
import tarfile
import time
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli
from PIL import Image, PngImagePlugin

from diffcli.console.show import Show
from diffcli.data import keeping, sources
from diffcli.data import loading as datasets
from diffcli.data.dataset import apportioned
from diffcli.data.folders import everything_left, load_folder, splits_of
from diffcli.data.layout import numbering
from diffcli.data.loading import has_test_split, load_dataset
from diffcli.data.reading import Reading
from diffcli.errors import DataProblem, UsageProblem
from diffcli.runs.assignment import Assignment, opened
from diffcli.runs.session import Setting
from diffcli.training.recipes import override
from diffcli.training.recipes.diffusion import RECIPES

RNG = np.random.default_rng(0)


def picture(path: Path, size: tuple[int, int] = (8, 8), **options: Any) -> Path:
    """An image like no other, in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, size[::-1], dtype=np.uint8)).save(path, **options)
    return path


def plain(folder: Path, count: int = 3) -> Path:
    for i in range(count):
        picture(folder / f"{i}.png")
    return folder


def left(folder: Path) -> dict[str, str]:
    return {one.name: one.why for one in everything_left(folder)}


# What is left out


JUNK = ["@eaDir/a.png", "#recycle/a.png", "._a.png", "Thumbs.db", "__MACOSX/a.png", "$RECYCLE.BIN/a.png"]


@pytest.mark.parametrize("name", JUNK)
def test_junk_is_left_out_and_counted(tmp_path: Path, name: str) -> None:
    path = plain(tmp_path) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"junk")
    found = load_folder(tmp_path)
    assert len(found) == 3
    assert any("left out: 1 junk" in note for note in found.notes)
    assert left(tmp_path) == {name.split("/")[0] + "/" * ("/" in name): "junk of a NAS or of macOS"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a.xcf", "files of other types"), ("a", "files of other types"), ("notes.txt", ".txt files"),
        (".hidden.png", "hidden"), ("more.zip", "archives (name one by itself to read it)"),
        ("clip.mp4", "files of other types"), ("raw.dng", "files of other types"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_counted_with_its_reason(tmp_path: Path, name: str, why: str) -> None:
    (plain(tmp_path) / name).write_bytes(b"x" * 200)
    assert left(tmp_path) == {name: why}
    assert any(f"1 {why}" in note for note in load_folder(tmp_path).notes)


def test_a_package_that_would_read_a_type_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffcli.data.readers.util.find_spec", lambda name: None)
    for name in ("a.heic", "b.dcm", "c.nii.gz"):
        (plain(tmp_path) / name).write_bytes(b"x")
    found = left(tmp_path)
    assert "pip install 'diffcli[heif]'" in found["a.heic"]
    assert "pip install 'diffcli[medical]'" in found["b.dcm"]
    assert found["c.nii.gz"].startswith(".nii.gz files")


def test_folders_named_like_images_are_counted_unless_they_hold_some(tmp_path: Path) -> None:
    (plain(tmp_path) / "empty.png").mkdir()
    plain(tmp_path / "cats.jpg", 2)
    assert left(tmp_path) == {"empty.png/": "folders named like images"}
    assert len(load_folder(tmp_path)) == 5


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root enters every folder")
def test_a_folder_that_cannot_be_entered_is_counted(tmp_path: Path) -> None:
    closed = plain(tmp_path) / "closed"
    closed.mkdir(mode=0)
    try:
        assert left(tmp_path) == {"closed/": "folders that cannot be entered"}
    finally:
        closed.chmod(0o700)


def test_a_folder_that_cannot_be_entered_is_told_from_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, real = plain(tmp_path) / "closed", os.scandir
    closed.mkdir()

    def scandir(path: Any) -> Any:
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert left(tmp_path) == {"closed/": "folders that cannot be entered"}


def test_links_are_followed_and_circles_end(tmp_path: Path) -> None:
    outside = plain(tmp_path / "outside", 4)
    data = plain(tmp_path / "data", 2)
    (data / "linked").symlink_to(outside)
    (data / "file.png").symlink_to(outside / "0.png")
    (data / "round").symlink_to(data)
    (data / "nowhere.png").symlink_to(tmp_path / "gone.png")
    found = load_folder(data)
    assert len(found) == 2 + 4 + 1
    assert left(data) == {"round/": "links to folders that are read already", "nowhere.png": "links that lead nowhere"}


def test_folders_that_all_link_to_each_other_are_read_once(tmp_path: Path) -> None:
    for i in range(7):
        plain(tmp_path / f"{i}", 2)
        for j in range(7):
            (tmp_path / f"{i}" / f"to-{j}").symlink_to(tmp_path / f"{j}")
    found = load_folder(tmp_path)
    assert len(found) == 14
    assert found.classes == tuple(map(str, range(7)))
    assert set(left(tmp_path).values()) == {"links to folders that are read already"}


def test_runs_and_results_inside_the_data_are_no_data(cli: Cli, tmp_path: Path) -> None:
    plain(tmp_path / "photos", 12)
    os.chdir(tmp_path / "photos")
    words = ("--recipe", "tiny", "--steps", "2")
    assert cli("train", "--dataset", ".", *words, "--out", "checkpoints/mine").code == 0
    assert cli("visualize", "forward", "--image", "0.png", "--out", "shown").code in (0, 2)
    first = load_folder(tmp_path / "photos")
    assert len(first) == 12
    assert "runs and results of diffcli" in left(tmp_path / "photos").values()
    assert cli("train", "--resume", "checkpoints/mine", "--steps", "3").code == 0


def test_all_lists_what_is_left_out(cli: Cli, tmp_path: Path) -> None:
    (plain(tmp_path / "pics") / "a.xcf").write_bytes(b"x")
    assert "a.xcf: files of other types" in cli("data", "pics", "--all").out
    document = cli("data", "pics", "--all", "--json").document
    assert document["left_out"] == [{"name": "a.xcf", "why": "files of other types"}]


# Broken files


def broken(folder: Path, count: int) -> None:
    for i in range(count):
        content = picture(folder / f"bad-{i:02d}.png").read_bytes()
        (folder / f"bad-{i:02d}.png").write_bytes(content[:40])


def test_broken_files_are_named_together(tmp_path: Path) -> None:
    broken(plain(tmp_path), 12)
    with pytest.raises(DataProblem) as caught:
        load_folder(tmp_path)
    assert caught.value.message.startswith("12 files are not readable images: ")
    assert caught.value.message.count("bad-") == 10
    assert "and 2 more" in caught.value.message
    assert "--skip-broken" in str(caught.value.hint)


def test_broken_files_are_skipped_where_that_is_asked_for(cli: Cli, tmp_path: Path) -> None:
    broken(plain(tmp_path / "pics", 12), 2)
    assert cli("data", "pics").code == 3
    out = " ".join(cli("data", "pics", "--skip-broken").out.split())
    assert "2 broken files are skipped: bad-00.png, bad-01.png" in out
    words = ("train", "--dataset", "pics", "--recipe", "tiny", "--steps", "2", "--out", "run")
    assert cli(*words).code == 3
    assert cli(*words, "--skip-broken").code == 0
    assert "skip_broken = true" in (tmp_path / "run" / "recipe.toml").read_text()


def test_nothing_but_broken_files_is_an_error_in_any_case(tmp_path: Path) -> None:
    broken(tmp_path, 3)
    with pytest.raises(DataProblem, match="3 files are not readable"):
        load_folder(tmp_path, Reading(skip_broken=True))


def test_what_a_library_warns_of_becomes_a_note(cli: Cli, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a" * 100
    path = tmp_path / "pics" / "odd.jpg"
    picture(path, exif=exif)
    content = path.read_bytes()
    start = content.index(b"Exif\0\0")
    path.write_bytes(content[: start + 10] + b"\xff\x00\x00\x00" + content[start + 14 :])
    result = cli("data", "pics")
    assert result.code == 0
    assert "Warning" not in result.out + result.err
    assert "Warning" not in cli("data", "pics", "--quiet").err


def test_a_whole_png_with_an_odd_text_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "a" * 5000, zip=True)
    path = picture(tmp_path / "a.png", pnginfo=text)
    whole = np.asarray(Image.open(path))
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_CHUNK", 1000)
    assert np.array_equal(load_folder(tmp_path).storage[0][0].numpy(), whole)


def test_too_large_is_called_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png", (40, 30))
    monkeypatch.setenv("DIFFCLI_MAX_PIXELS", "1199")
    with pytest.raises(DataProblem, match=r"40x30 pixels, more than 1,199; DIFFCLI_MAX_PIXELS=N allows N"):
        load_folder(tmp_path)
    monkeypatch.setenv("DIFFCLI_MAX_PIXELS", "1200")
    assert len(load_folder(tmp_path)) == 1


# Several images in a file


def animation(path: Path, **options: Any) -> list[np.ndarray]:
    frames = [np.full((8, 8), value, np.uint8) for value in (30, 90, 200)]
    for i, frame in enumerate(frames):
        frame[i] = 255 - frame[i]
    first, *rest = map(Image.fromarray, frames)
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(path, save_all=True, append_images=rest, **options)
    return frames


@pytest.mark.parametrize("name", ["a.tif", "a.gif", "a.png", "a.webp"])
def test_all_images_of_a_file_are_images(tmp_path: Path, name: str) -> None:
    frames = animation(tmp_path / name, **({"lossless": True} if name == "a.webp" else {}))
    found = load_folder(tmp_path)
    assert len(found) == 3
    for i, frame in enumerate(frames):
        assert np.array_equal(found.storage[i][0].numpy(), frame)
    assert any("all 3 are taken (--set data.frames=first" in note for note in found.notes)
    first = load_folder(tmp_path, Reading(frames="first"))
    assert len(first) == 1
    assert np.array_equal(first.storage[0][0].numpy(), frames[0])


def test_what_frames_may_be_is_said() -> None:
    with pytest.raises(UsageProblem, match="frames"):
        Reading(frames="last")


# Splits, classes, tables


def test_train_and_test_are_splits_and_no_classes(tmp_path: Path) -> None:
    for split, count in (("train", 12), ("valid", 3), ("test", 4)):
        for name in ("cat", "dog"):
            plain(tmp_path / split / name, count)
    found = load_folder(tmp_path)
    assert (len(found), found.classes) == (24, ("cat", "dog"))
    assert len(load_dataset(str(tmp_path), "test")) == 8
    assert len(load_dataset(str(tmp_path), "val")) == 6
    assert has_test_split(str(tmp_path))
    assert any("splits: 24 train, 6 val, 8 test" in note for note in found.notes)


@pytest.mark.parametrize("names", [("training", "dev"), ("Train", "Validation"), ("train", "val")])
def test_a_validation_split_is_tested_on_where_there_is_no_other(tmp_path: Path, names: tuple[str, str]) -> None:
    for name, count in zip(names, (12, 5), strict=True):
        plain(tmp_path / name, count)
    assert splits_of(tmp_path) == ("train", "val")
    assert len(load_dataset(str(tmp_path), "test")) == 5
    assert load_folder(tmp_path).classes == ()


@pytest.mark.parametrize("others", [("bus", "car"), ()])
def test_a_train_among_other_vehicles_is_a_class(tmp_path: Path, others: tuple[str, ...]) -> None:
    for name in ("train", *others):
        plain(tmp_path / name)
    found = load_folder(tmp_path)
    assert splits_of(tmp_path) == ()
    assert found.classes == (("bus", "car", "train") if others else ())


def test_splits_whose_folders_do_not_repeat_are_classes(tmp_path: Path) -> None:
    for name in ("train/steam", "train/diesel", "test/tube", "test/glass"):
        plain(tmp_path / name)
    assert load_folder(tmp_path).classes == ("test", "train")


def test_one_level_too_high_is_descended(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        plain(tmp_path / "downloads" / "pets" / name)
    found = load_folder(tmp_path)
    assert found.classes == ("cat", "dog")
    assert any("one level deeper, in downloads/pets" in note for note in found.notes)


def test_classes_are_sorted_as_people_number_them(tmp_path: Path) -> None:
    for i in (10, 2, 1, 12):
        plain(tmp_path / f"class{i}", 1)
    assert load_folder(tmp_path).classes == ("class1", "class2", "class10", "class12")
    assert sorted(["b", "a10", "a9", "10", "9", "a"], key=numbering) == ["9", "10", "a", "a9", "a10", "b"]


def test_numbers_that_are_names_mean_only_these(cli: Cli, tmp_path: Path) -> None:
    for i in range(1, 13):
        plain(tmp_path / "months" / str(i), 2)
    assert cli("train", "--dataset", "months", "--recipe", "tiny", "--steps", "2", "--out", "run").code == 0
    result = cli("sample", "run", "--class", "0", "--count", "1", "--steps", "2")
    assert result.code == 2
    assert "'0'" in result.err
    assert cli("sample", "run", "--class", "12", "--count", "1", "--steps", "2").code == 0


def test_names_are_one_whatever_their_unicode_form(cli: Cli, tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    plain(tmp_path / "pics" / apart, 3)
    plain(tmp_path / "pics" / "tee", 3)
    assert load_folder(tmp_path / "pics").classes == (composed, "tee")
    assert cli("train", "--dataset", "pics", "--recipe", "tiny", "--steps", "2", "--out", "run").code == 0
    for name in (composed, apart):
        assert cli("sample", "run", "--class", name, "--count", "1", "--steps", "2").code == 0


def test_names_that_are_no_utf8_work_and_are_shown(cli: Cli, tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    try:
        plain(tmp_path / "pics" / odd, 6)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    plain(tmp_path / "pics" / "tee", 6)
    assert load_folder(tmp_path / "pics").classes == ("caf\ufffd", "tee")
    assert cli("train", "--dataset", "pics", "--recipe", "tiny", "--steps", "2", "--out", "run").code == 0


TABLES: dict[str, Callable[[list[tuple[str, str]]], str]] = {
    "labels.csv": lambda rows: "file,label\n" + "".join(f"{f},{c}\n" for f, c in rows),
    "metadata.csv": lambda rows: "file_name,text,label\n" + "".join(f"{f},a photo,{c}\n" for f, c in rows),
    "labels.tsv": lambda rows: "Filename\tClass\n" + "".join(f"{f}\t{c}\n" for f, c in rows),
    "semicolons.csv": lambda rows: "\ufeffimage;category\r\n" + "".join(f" {f} ; {c} \r\n" for f, c in rows),
    "metadata.jsonl": lambda rows: "".join(f'{{"file_name": "{f}", "label": "{c}"}}\n' for f, c in rows),
    "stems.csv": lambda rows: "id,diagnosis\n" + "".join(f"{Path(f).stem},{c}\n" for f, c in rows),
}


@pytest.mark.parametrize("name", TABLES)
def test_classes_come_from_a_table(tmp_path: Path, name: str) -> None:
    plain(tmp_path, 4)
    rows = [("0.png", "ill"), ("1.png", "well"), ("2.png", "ill"), ("gone.png", "well")]
    (tmp_path / name).write_bytes(TABLES[name](rows).encode())
    found = load_folder(tmp_path)
    assert found.classes == ("ill", "well")
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 0]
    assert any(f"classes are those of {name}, which names 1 files that are not here" in note for note in found.notes)
    assert left(tmp_path) == {"3.png": "images that the table of labels does not name"}


def test_a_table_may_lie_in_each_split(tmp_path: Path) -> None:
    for split in ("train", "test"):
        plain(tmp_path / split, 4)
        rows = "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(4))
        (tmp_path / split / "metadata.csv").write_text("file_name,label\n" + rows)
    for split in ("train", "test"):
        found = load_dataset(str(tmp_path), split)
        assert found.labels is not None
        assert found.labels.tolist() == [0, 1, 0, 1]


def test_a_table_of_other_things_is_none_of_labels(tmp_path: Path) -> None:
    (plain(tmp_path) / "scores.csv").write_text("step,loss\n1,0.5\n")
    assert load_folder(tmp_path).classes == ()


def test_a_table_that_is_damaged_is_named(tmp_path: Path) -> None:
    (plain(tmp_path) / "metadata.jsonl").write_text('{"file_name": "0.png", "label": 1}\nnot json\n')
    with pytest.raises(DataProblem, match=r"metadata\.jsonl: line 2 is not JSON"):
        load_folder(tmp_path)


# Fairness


@pytest.mark.parametrize(
    ("count", "sizes", "shares"),
    [
        (10, [50, 50], [5, 5]), (10, [99, 1], [10, 0]), (3, [10, 10, 10], [1, 1, 1]), (4, [5, 1, 34], [1, 0, 3]),
        (2, [1, 1, 18], [0, 0, 2]),
    ],
)  # fmt: skip
def test_shares_are_as_the_sizes(count: int, sizes: list[int], shares: list[int]) -> None:
    assert apportioned(count, sizes) == shares


def test_every_class_gives_its_share_and_keeps_an_image(tmp_path: Path) -> None:
    counts = {"many": 60, "some": 20, "one": 1}
    for name, count in counts.items():
        plain(tmp_path / name, count)
    found = load_folder(tmp_path)
    places, held = found.holdout()
    assert found.labels is not None
    assert sorted([*places.tolist(), *held.tolist()]) == list(range(81))
    assert found.labels[held].bincount(minlength=3).tolist() == [6, 0, 2]
    assert found.labels[places].bincount(minlength=3).tolist() == [54, 1, 18]
    assert found.classes == ("many", "one", "some")
    before, _ = found.holdout(by_class=False)
    assert len(before) == len(places)


def test_large_classes_are_held_out_as_ever() -> None:
    found = load_dataset("mnist")
    assert torch.equal(found.holdout()[1], found.holdout(by_class=False)[1])


def test_what_is_odd_about_images_is_said(tmp_path: Path) -> None:
    plain(tmp_path / "a", 10)
    plain(tmp_path / "b", 4)
    (tmp_path / "b" / "copy.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    Image.new("L", (8, 8), 77).save(tmp_path / "a" / "flat.png")
    notes = load_folder(tmp_path).notes
    assert "1 image is of one colour throughout" in notes
    assert "1 image is equal to another one" in notes
    assert "classes of under 10 images: b (5)" in notes


def test_one_tiny_image_does_not_shrink_all(tmp_path: Path) -> None:
    plain(tmp_path, 5)
    for i in range(5):
        picture(tmp_path / f"large-{i}.png", (48, 48))
        (tmp_path / f"{i}.png").unlink()
    picture(tmp_path / "tiny.gif", (1, 1))
    found = load_folder(tmp_path)
    assert (len(found), found.shape) == (5, (1, 48, 48))
    assert any("tiny.gif (1x1) is left out: it is far smaller" in note for note in found.notes)
    assert len(load_folder(tmp_path, Reading(size=16))) == 6


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA"])
def test_only_what_is_really_transparent_is_said_to_be(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (8, 8), (200, 10, 10))
    image.putpixel((0, 0), (0, 0, 0))
    image.convert(mode).save(tmp_path / "a.png")
    assert not any("transparency" in note for note in load_folder(tmp_path).notes)


# Archives


def zipped(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def tarred(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w" + {".tar": "", ".gz": ":gz", ".bz2": ":bz2", ".xz": ":xz"}[path.suffix]) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_an_archive_is_read_as_the_folder_in_it(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "pets"
    for kind in ("cat", "dog"):
        plain(folder / kind, 5)
    files = {str(p.relative_to(tmp_path)): p.read_bytes() for p in sorted(folder.rglob("*.png"))}
    files |= {"../outside.png": b"x", "pets/readme.txt": b"x", "__MACOSX/._a.png": b"x"}
    (zipped if name.endswith("zip") else tarred)(tmp_path / name, files)
    found, truth = load_dataset(str(tmp_path / name)), load_folder(folder)
    assert torch.equal(found.storage[:], truth.storage[:])
    assert found.classes == truth.classes
    assert left(tmp_path / name) == {
        "../outside.png": "names that lead out of the archive",
        "pets/readme.txt": ".txt files",
        "__MACOSX/._a.png": "junk of a NAS or of macOS",
    }
    assert not (tmp_path.parent / "outside.png").exists()


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LARGEST_MEMBER", 1000)
    content = picture(tmp_path / "a.png").read_bytes()
    zipped(tmp_path / "a.zip", {"a.png": content, "bomb.png": bytes(2000)})
    assert left(tmp_path / "a.zip") == {"bomb.png": "files of more than 0 GiB in archives"}
    assert len(load_dataset(str(tmp_path / "a.zip"))) == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no more", b"text"])
def test_an_archive_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    for name in ("a.zip", "a.tar.gz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataProblem, match="no readable archive"):
            load_dataset(str(tmp_path / name))


# Numpy files


def test_an_array_with_labels_is_a_data_set(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (30, 8, 8), dtype=np.uint8)
    labels = np.arange(30)[:, None] % 11
    for names in (("images", "labels"), ("x_train", "y_train"), ("train_images", "train_labels"), ("arr_0", "arr_1")):
        np.savez(tmp_path / "a.npz", **dict(zip(names, (images, labels), strict=True)))
        found = load_dataset(str(tmp_path / "a.npz"))
        assert torch.equal(found.storage[:][:, 0], torch.from_numpy(images))
        assert found.classes == tuple(map(str, range(11)))
        assert found.labels is not None
        assert found.labels.tolist() == labels[:, 0].tolist()


@pytest.mark.parametrize("shape", [(5, 8, 9), (5, 8, 9, 3), (5, 3, 8, 9), (8, 9), (8, 9, 3), (3, 8, 9), (5, 1, 8, 9)])
def test_channels_may_come_first_or_last_or_not_at_all(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", RNG.integers(0, 256, shape, dtype=np.uint8))
    found = load_folder(tmp_path)
    assert len(found) == (5 if shape[0] == 5 else 1)
    assert found.shape == (3 if 3 in shape else 1, 8, 9)


# The cache


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is decoded; everything is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(keeping, "SMALL", 0)
    calls: list[str] = []
    real = keeping.decoded
    monkeypatch.setattr(keeping, "decoded", lambda *a: calls.append("decoded") or real(*a))
    return calls


def test_a_second_start_reads_what_was_decoded(tmp_path: Path, cached: list[str]) -> None:
    for name in ("cat", "dog"):
        plain(tmp_path / "pets" / name, 6)
    first = load_folder(tmp_path / "pets")
    second = load_folder(tmp_path / "pets")
    assert cached == ["decoded"]
    assert torch.equal(first.storage[:], second.storage[:])
    assert first.fingerprint == second.fingerprint
    assert (first.notes, first.items) == (second.notes, second.items)
    load_folder(tmp_path / "pets", Reading(size=4))
    picture(tmp_path / "pets" / "cat" / "0.png")
    assert load_folder(tmp_path / "pets").fingerprint != first.fingerprint
    assert cached == ["decoded"] * 3


def test_images_that_were_moved_are_known_again(tmp_path: Path, cached: list[str]) -> None:
    first = load_folder(plain(tmp_path / "here", 6))
    (tmp_path / "here").rename(tmp_path / "there")
    assert load_folder(tmp_path / "there").fingerprint == first.fingerprint
    assert cached == ["decoded"]


def test_the_cache_is_bounded_and_can_be_cleared(
    cli: Cli, tmp_path: Path, cached: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "BOUND", 3000)
    for name in "abcdefgh":
        load_folder(plain(tmp_path / name, 10))
    assert 0 < sum(path.stat().st_size for path in keeping.folder().iterdir()) < 3000 + 2000
    assert cli("data", "--clear-cache", "--json").document["freed_bytes"] > 0
    assert list(keeping.folder().iterdir()) == []


def test_a_cache_that_is_damaged_or_closed_is_done_without(
    tmp_path: Path, cached: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = np.frombuffer(os.urandom(64), np.uint8).reshape(8, 8)  # an earlier run of the tests has not kept it
    Image.fromarray(fresh).save(plain(tmp_path / "a", 6) / "fresh.png")
    first = load_folder(tmp_path / "a")
    for path in keeping.folder().iterdir():
        path.write_bytes(b"damaged")
    assert load_folder(tmp_path / "a").fingerprint == first.fingerprint
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load_folder(tmp_path / "a").fingerprint == first.fingerprint
    assert cached == ["decoded"] * 3


def test_a_full_disk_keeps_nothing_of_what_was_begun(
    tmp_path: Path, cached: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = np.save

    def full(path: Path, array: np.ndarray) -> None:
        real(path, array[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keeping.np, "save", full)
    assert len(load_folder(plain(tmp_path / "a", 6))) == 6
    assert not list(keeping.folder().glob("*.npy"))


# Moved data


def test_data_may_be_moved_before_a_run_goes_on(cli: Cli, tmp_path: Path) -> None:
    plain(tmp_path / "here", 30)
    plain(tmp_path / "others", 30)
    assert cli("train", "--dataset", "here", "--recipe", "tiny", "--steps", "2", "--out", "run").code == 0
    (tmp_path / "here").rename(tmp_path / "there")
    assert cli("train", "--resume", "run", "--steps", "3").code == 3
    result = cli("train", "--resume", "run", "--steps", "3", "--dataset", "others")
    assert result.code == 3
    assert "does not hold the very images" in result.err
    result = cli("vlb", "run", "--count", "2", "--steps", "2", "--data", "others")
    assert result.code == 3
    assert "does not hold the very images" in result.err
    assert cli("vlb", "run", "--count", "2", "--steps", "2", "--data", "there").code == 0
    begun = ("sample", "run", "--count", "2", "--steps", "2", "--start", "linear", "--out", "x.png")
    assert cli(*begun).code == 3
    assert cli(*begun, "--data", "there").code == 0
    assert cli("train", "--resume", "run", "--steps", "3", "--dataset", "there").code == 0
    assert "there" in (tmp_path / "run" / "recipe.toml").read_text()


# Time


def test_reading_takes_nothing_of_the_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(tmp_path / "pics", 12)
    real = datasets.load_dataset

    def slow(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.3)
        return real(*arguments, **options)

    monkeypatch.setattr(datasets, "load_dataset", slow)
    recipe = override(RECIPES["tiny"], {"dataset": str(tmp_path / "pics"), "steps": 1})
    setting = Setting(torch.device("cpu"))
    with opened(Assignment("diffusion", setting, recipe)) as session:
        assert session.began - setting.began >= 0.3


def test_heic_is_read_where_its_package_is(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    values = np.repeat(np.repeat(RNG.integers(0, 256, (4, 4, 3), dtype=np.uint8), 16, 0), 16, 1)
    heif.from_pillow(Image.fromarray(values)).save(tmp_path / "a.heic", quality=-1)
    found = load_folder(tmp_path)
    assert found.shape == (3, 64, 64)
    assert np.abs(found.storage[0].permute(1, 2, 0).numpy().astype(int) - values).max() <= 4


def test_splits_elsewhere_are_none_of_a_folder_that_is_there(tmp_path: Path) -> None:
    """--data may be any folder: it stands for the data only where these are gone."""
    plain(tmp_path / "pics", 12)
    for split in ("train", "test"):
        plain(tmp_path / "others" / split, 12)
    assert not has_test_split(str(tmp_path / "pics"), tmp_path / "others")
    assert has_test_split(str(tmp_path / "gone"), tmp_path / "others")


def test_reading_says_nothing_where_no_command_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the other processes of a training, which read the same folder."""
    monkeypatch.setattr(Show, "_latest", None)
    monkeypatch.setattr("diffcli.console.show.PLAIN_EVERY", 0)
    load_folder(plain(tmp_path / "pics", 12))
    assert capsys.readouterr().err == ""
