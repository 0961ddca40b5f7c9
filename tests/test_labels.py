"""Tables of labels as people have them: every class is the one that the table means, and what is not read is told."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffcli.data.dataset import Dataset
from diffcli.data.folders import everything_left, load_folder, splits_of

RNG = np.random.default_rng(0)
FOUR = ("1.png", "2.png", "3.png", "4.png")


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / name)
    return folder


def classes(found: Dataset) -> list[str]:
    return [] if found.labels is None else [found.classes[i] for i in found.labels]


def said(found: Dataset, words: str) -> bool:
    return any(words in note for note in found.notes)


ABAB: dict[str, tuple[str, bytes]] = {
    "of skin": ("labels.csv", b"lesion,image_id,dx\nL1,1,a\nL2,2,b\nL3,3,a\nL4,4,b\n"),
    "unknown names of two columns": ("labels.csv", b"photo,what\n1.png,a\n2.png,b\n3.png,a\n4.png,b\n"),
    "no names at all": ("labels.csv", b"1.png,a\n2.png,b\n3.png,a\n4.png,b\n"),
    "one-hot": ("truth.csv", b"image,a,b\n1,1.0,0.0\n2,0.0,1.0\n3,1.0,0.0\n4,0.0,1.0\n"),
    "paths of another machine": ("l.csv", b"path,label\n/d/x/1.png,a\n/d/x/2.png,b\n/d/x/3.png,a\n/d/x/4.png,b\n"),
    "paths of Windows": ("l.csv", b"path,label\nC:\\d\\1.png,a\nC:\\d\\2.png,b\nC:\\d\\3.png,a\nC:\\d\\4.png,b\n"),
    "another case": ("labels.csv", b"file,label\n1.PNG,a\n2.PNG,b\n3.PNG,a\n4.PNG,b\n"),
    "another suffix": ("labels.csv", b"file,label\n1.jpg,a\n2.jpg,b\n3.jpg,a\n4.jpg,b\n"),
    "an index": ("labels.csv", b",id,file_name,label\n0,4,1.png,a\n1,3,2.png,b\n2,2,3.png,a\n3,1,4.png,b\n"),
    "ends of lines of an old Mac": ("labels.csv", b"file,label\r1.png,a\r2.png,b\r3.png,a\r4.png,b\r"),
    "UTF-16": ("labels.tsv", "file\tlabel\n1.png\ta\n2.png\tb\n3.png\ta\n4.png\tb\n".encode("utf-16")),
    "zero bytes": ("labels.csv", b"file,label\n1.png,a\0\n2.png,b\n3.png,a\n4.png,b\n"),
}


@pytest.mark.parametrize("kind", ABAB)
def test_tables_of_all_kinds_are_read(tmp_path: Path, kind: str) -> None:
    name, content = ABAB[kind]
    (pictures(tmp_path, *FOUR) / name).write_bytes(content)
    assert classes(load_folder(tmp_path)) == ["a", "b", "a", "b"]


def test_classes_of_many_letters_are_one_line(tmp_path: Path) -> None:
    """Latin letters as Excel writes them, commas and quotes, a cell of two lines, and one of very many letters."""
    rows = ["1.png,Käse", '2.png,"cats, ""large"""', '3.png,"two\nlines"', f"4.png,{'x' * 200_000}"]
    (pictures(tmp_path, *FOUR) / "labels.csv").write_bytes("\n".join(["file,label", *rows]).encode("cp1252"))
    assert classes(load_folder(tmp_path)) == ["Käse", 'cats, "large"', "two lines", "x" * 200_000]


def test_numbers_that_a_program_wrote_as_floats_are_whole(tmp_path: Path) -> None:
    (pictures(tmp_path, *FOUR) / "l.csv").write_text("file,label\n1.png,0.0\n2.png,1.0\n3.png,0.0\n4.png,10.0\n")
    found = load_folder(tmp_path)
    assert classes(found) == ["0", "1", "0", "10"]
    assert found.items.number_of("10") == 2


@pytest.mark.parametrize("table", ["file,label\n1.png,a\n2.png,\n3.png,b\n4.png, \n", "null"])
def test_an_image_without_a_class_gets_none(tmp_path: Path, table: str) -> None:
    pictures(tmp_path, *FOUR)
    rows = [("1", '"a"'), ("2", "null"), ("3", '"b"'), ("4", "null")]
    json = "".join(f'{{"file_name": "{n}.png", "label": {c}}}\n' for n, c in rows)
    (tmp_path / ("metadata.jsonl" if table == "null" else "labels.csv")).write_text(json if table == "null" else table)
    assert classes(load_folder(tmp_path)) == ["a", "b"]
    assert {(one.name, one.why) for one in everything_left(tmp_path)} == {
        ("2.png", "images without a class"), ("4.png", "images without a class"),
    }  # fmt: skip


def test_two_classes_for_an_image_are_told(tmp_path: Path) -> None:
    (pictures(tmp_path, *FOUR) / "l.csv").write_text("file,label\n1.png,a\n1.png,b\n2.png,b\n3.png,a\n4.png,b\n")
    found = load_folder(tmp_path)
    assert classes(found) == ["a", "b", "a", "b"]
    assert said(found, "several classes for 1 images, of which the first is taken")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("file_name,text\n1.png,a cat\n2.png,a dog\n3.png,a cow\n4.png,an ape\n", "has no column for classes"),
        ("file,label\nx.png,a\ny.png,b\n", "names none of the images"),
    ],
)
def test_a_table_that_gives_no_classes_is_told(tmp_path: Path, table: str, words: str) -> None:
    (pictures(tmp_path, *FOUR) / "table.csv").write_text(table)
    found = load_folder(tmp_path)
    assert (len(found), classes(found)) == (4, [])
    assert said(found, words)


def test_numbers_are_no_files_unless_the_column_says_so(tmp_path: Path) -> None:
    """As the steps of a training, beside images called 1.png, 2.png, ..."""
    (pictures(tmp_path, *FOUR) / "log.csv").write_text("step,rate\n1,0.1\n2,0.1\n3,0.2\n4,0.2\n")
    (tmp_path / "notes.csv").write_bytes("Größe\n1\n".encode("latin-1"))
    found = load_folder(tmp_path)
    assert (classes(found), found.notes) == ([], ())


def test_tables_called_after_splits_are_theirs(tmp_path: Path) -> None:
    """The images of both are called alike; those of the test have classes only where a table says so."""
    pictures(tmp_path, *(f"{split}/{name}" for split in ("train", "test") for name in FOUR))
    (tmp_path / "train.csv").write_text("file,label\n1.png,a\n2.png,b\n3.png,a\n4.png,b\n")
    assert splits_of(tmp_path) == ()
    assert classes(load_folder(tmp_path)) == ["a", "b", "a", "b"]
    assert {one.name for one in everything_left(tmp_path)} == {f"test/{name}" for name in FOUR}
    (tmp_path / "test_labels.csv").write_text("file,label\n1.png,b\n2.png,b\n3.png,a\n4.png,b\n")
    assert classes(load_folder(tmp_path)) == ["a", "b", "a", "b"]
    assert classes(load_folder(tmp_path, split="test")) == ["b", "b", "a", "b"]


def test_a_table_may_lie_in_a_folder_beside_the_images(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"images/{name}" for name in FOUR))
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "all.csv").write_text("file,label\n1.png,a\n2.png,b\n3.png,a\n4.png,b\n")
    assert classes(load_folder(tmp_path)) == ["a", "b", "a", "b"]


# Splits


@pytest.mark.parametrize("test", ["test", "test/unknown", "test/images"])
def test_a_test_without_classes_is_no_class(tmp_path: Path, test: str) -> None:
    pictures(tmp_path, "train/cat/1.png", "train/dog/2.png", f"{test}/3.png", f"{test}/4.png")
    found = load_folder(tmp_path)
    assert found.classes == ("cat", "dog")
    assert splits_of(tmp_path) == ()
    assert {one.why for one in everything_left(tmp_path)} == {"images without a class"}


def test_folders_beside_splits_are_left_out(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{split}/{name}/1.png" for split in ("train", "val") for name in ("cat", "dog")))
    pictures(tmp_path, "docs/logo.png", "extra/cat/2.png")
    assert load_folder(tmp_path).classes == ("cat", "dog")
    assert splits_of(tmp_path) == ("train", "val")
    assert {one.name for one in everything_left(tmp_path)} == {"docs/logo.png", "extra/cat/2.png"}
