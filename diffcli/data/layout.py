"""What a tree of image files says: which splits there are, and of what class each image is."""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from diffcli.data.scan import LeftOut
from diffcli.data.sources import ImageSource, normal
from diffcli.errors import DataProblem
from diffcli.system.text import legible

SPLITS = {
    **dict.fromkeys(("train", "training", "trainset"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
}
FILES = ("file_name", "file", "filename", "image", "image_name", "path", "filepath", "image_path", "img", "name", "id")
LABELS = ("label", "class", "class_name", "category", "target", "label_name", "y", "diagnosis")
TABLE = 1 << 28  # bytes of a table of labels, at most
UNNAMED, OUTSIDE = "images that the table of labels does not name", "images outside the splits"


@dataclass(frozen=True)
class Layout:
    """What the names and tables below a folder say.

    splits:  the sources of each split; all in "train" where there are none
    labels:  the class of each source, "" where it lies outside the classes; None where there are no classes
    notes:   how that was found
    left:    what is in no split or in no table
    """

    splits: dict[str, tuple[ImageSource, ...]]
    labels: dict[ImageSource, str] | None
    notes: tuple[str, ...] = ()
    left: tuple[LeftOut, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """As people number them, 2 before 10; of all splits."""
        return tuple(sorted(set((self.labels or {}).values()), key=numbering))


def layout(images: Sequence[ImageSource], tables: Sequence[ImageSource]) -> Layout:
    """The splits and classes of images by their names, and by a table of labels where one names them.

    Raises DataProblem for a table of labels that cannot be read.
    """
    notes: list[str] = []
    left: list[LeftOut] = []
    depth = _outer(images)
    if depth:
        notes.append(f"the images lie one level deeper, in {legible('/'.join(images[0].parts[:depth]))}")
    splits = _splits(images, depth)
    inside = depth + (len(splits) > 1)
    if len(splits) > 1:
        found = ", ".join(f"{len(some):,} {split}" for split, some in splits.items())
        notes.append(f"its folders are splits: {found} images")
        known = {source for some in splits.values() for source in some}
        left += [LeftOut(legible(source.name), OUTSIDE) for source in images if source not in known]
    if labelled := _by_table(splits, tables, depth):
        labels, note = labelled
        notes.append(note)
        left += [LeftOut(legible(s.name), UNNAMED) for some in splits.values() for s in some if s not in labels]
        splits = {split: tuple(s for s in some if s in labels) for split, some in splits.items()}
    else:
        labels = {s: _folder(s, inside) for some in splits.values() for s in some}
    if len(set(labels.values())) < 2:
        return Layout(splits, None, tuple(notes), tuple(left))
    if "" in labels.values():
        notes.append("images outside the sub-folders are a class of their own")
    return Layout(splits, labels, tuple(notes), tuple(left))


def numbering(name: str) -> tuple[Any, ...]:
    """What names are sorted by: numbers in them by their size."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part), name


def _outer(images: Sequence[ImageSource]) -> int:
    """How many folders all images share that only wrap others: below them there are folders of images."""
    depth = 0
    while all(len(source.parts) > depth + 2 for source in images):
        if len({source.parts[depth] for source in images}) > 1:
            break
        depth += 1
    return depth if len({source.parts[depth] for source in images}) > 1 else 0


def _splits(images: Sequence[ImageSource], depth: int) -> dict[str, tuple[ImageSource, ...]]:
    """The images by split, where the folders at this depth are train and others, whose sub-folders repeat."""
    tops: dict[str, list[ImageSource]] = defaultdict(list)
    for source in images:
        tops[source.parts[depth] if len(source.parts) > depth + 1 else ""].append(source)
    named = {top: SPLITS.get(top.lower(), "") for top in tops if top}
    if "train" not in named.values() or len(set(named.values())) < 2 or "" in named.values():
        return {"train": tuple(images)}
    below = {top: {_folder(source, depth + 1) for source in some} for top, some in tops.items() if top}
    every = set().union(*below.values())
    if len(every) > 1 and any(not some & below[_train(named)] for some in below.values()):
        return {"train": tuple(images)}
    found: dict[str, list[ImageSource]] = {}
    for top, split in sorted(named.items(), key=lambda pair: list(SPLITS.values()).index(pair[1])):
        found.setdefault(split, []).extend(tops[top])
    return {split: tuple(some) for split, some in found.items()}


def _train(named: dict[str, str]) -> str:
    return next(top for top, split in named.items() if split == "train")


def _folder(source: ImageSource, depth: int) -> str:
    """The folder at this depth that a source lies in; "" where it lies in none."""
    return source.parts[depth] if len(source.parts) > depth + 1 else ""


# Tables of labels


def _by_table(
    splits: dict[str, tuple[ImageSource, ...]], tables: Sequence[ImageSource], depth: int
) -> tuple[dict[ImageSource, str], str] | None:
    """The classes that tables give to the images beside and below them, and what to say of that; None without any."""
    found: dict[ImageSource, str] = {}
    used, lost = [], 0
    every = [source for some in splits.values() for source in some]
    for table in sorted(
        tables, key=lambda t: ("metadata" not in t.name.lower(), "label" not in t.name.lower(), t.name)
    ):
        home = PurePosixPath(table.name).parent
        if len(home.parts) > depth + 1:
            continue
        near = {str(PurePosixPath(s.name).relative_to(home)): s for s in every if _is_below(s, home)}
        rows = list(_rows(table))
        if not rows or not near:
            continue
        by_name: dict[str, list[ImageSource]] = defaultdict(list)
        for name, source in near.items():
            for key in {
                name,
                PurePosixPath(name).name,
                str(PurePosixPath(name).with_suffix("")),
                PurePosixPath(name).stem,
            }:
                by_name[key].append(source)
        matched = {normal(file.replace("\\", "/").removeprefix("./")): label for file, label in rows}
        hits = {by_name[file][0]: label for file, label in matched.items() if len(by_name.get(file, ())) == 1}
        if not hits or set(hits) <= set(found):
            continue
        lost += len(matched) - len(hits)
        found |= {source: label for source, label in hits.items() if source not in found}
        used.append(legible(table.name))
    if not found:
        return None
    note = f"classes are those of {', '.join(used)}"
    return found, note + (f", which names {lost:,} files that are not here" if lost else "")


def _is_below(source: ImageSource, home: PurePosixPath) -> bool:
    return PurePosixPath(source.name).is_relative_to(home)


def _rows(table: ImageSource) -> Iterator[tuple[str, str]]:
    """File and class of each row of a table that has both; nothing where it has not."""
    try:
        content = table.content()
        if len(content) > TABLE:
            raise ValueError("it is too large")
        text = content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataProblem(f"cannot read {table}: {error}", "repair it, or take it away") from None
    if table.suffix in (".jsonl", ".ndjson"):
        yield from _json_rows(table, text)
        return
    lines = text.splitlines()
    head = lines[0] if lines else ""
    mark = max(",;\t|", key=head.count)
    names = [cell.strip().lower() for cell in next(csv.reader([head], delimiter=mark), [])]
    file, label = _column(names, FILES), _column(names, LABELS)
    if file is None or label is None:
        return
    for row in csv.reader(io.StringIO("\n".join(lines[1:])), delimiter=mark):
        if len(row) > max(file, label) and row[file].strip():
            yield row[file].strip(), normal(row[label].strip())


def _json_rows(table: ImageSource, text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataProblem(f"line {number} of {table} is not JSON: {error}", "repair it, or take it away") from None
        names = [str(name).lower() for name in row] if isinstance(row, dict) else []
        file, label = _column(names, FILES), _column(names, LABELS)
        if file is not None and label is not None:
            values = list(row.values())
            yield str(values[file]), normal(str(values[label]))


def _column(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    """The place of the first of the wanted names that is there."""
    return next((names.index(name) for name in wanted if name in names), None)
