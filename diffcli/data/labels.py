"""Tables beside images that say of what class these are: .csv, .tsv and JSON lines, as people have them."""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from diffcli.data.readers import kind_of
from diffcli.data.sources import ImageSource, normal
from diffcli.errors import DataProblem
from diffcli.system.text import legible

FILES = (
    "file_name", "file", "filename", "image", "image_name", "image_id", "image index", "path", "filepath", "image_path",
    "img", "img_path", "id_code", "name", "id",
)  # fmt: skip
LABELS = (
    "label", "class", "class_name", "category", "target", "label_name", "labels", "y", "diagnosis", "dx",
    "finding labels", "species", "breed",
)  # fmt: skip
TABLE = 1 << 28  # bytes of a table, at most
WHOLE = re.compile(r"-?\d+\.0+")
"""A number that a program has written as a float."""


class Labelled(NamedTuple):
    """What a table says of the images near it.

    labels:  the class of each that has one
    bare:    those that are named without a class
    note:    how that was read; "" where the table is of something else
    """

    labels: dict[ImageSource, str]
    bare: set[ImageSource]
    note: str


class Grid(NamedTuple):
    """The cells of a table, and the names of its columns in small letters; none where its first line has no names."""

    names: list[str]
    rows: list[list[str]]

    def column(self, place: int) -> list[str]:
        """Its cells; "" in rows that end before."""
        return [row[place].strip() if place < len(row) else "" for row in self.rows]


def labelled(table: ImageSource, near: Sequence[ImageSource]) -> Labelled:
    """The classes that a table gives to images; raises DataProblem for one that cannot be read.

    The columns are known by their names. Else cells with the names of images are files, and of two columns the other
    one is the class, where it repeats itself; as in one-hot tables the names of columns are, where each row has one 1.
    """
    known, grid, shown = _Known(near), _grid(table), legible(table.name)
    if not grid.rows:
        return Labelled({}, set(), "")
    grid, files, named = _files(grid, known)
    if files is None:
        return Labelled({}, set(), "")
    classes, how = _classes(grid, files)
    if classes is None:
        why = f"{shown} names images, but has no column for classes ({', '.join(LABELS[:4])}, ...): they are not read"
        return Labelled({}, set(), why if named else "")
    if not named:
        return Labelled({}, set(), f"{shown} names none of the images")
    if all(WHOLE.fullmatch(name) for name in classes if name):
        classes = [name.partition(".")[0] for name in classes]
    return _given(grid.column(files), classes, known, shown + how)


def _given(files: Sequence[str], classes: Sequence[str], known: "_Known", shown: str) -> Labelled:
    """Each image with its class: the first one, where a table has several for it."""
    found: dict[ImageSource, str] = {}
    bare: set[ImageSource] = set()
    twice, lost = set(), set()
    for file, name in zip(files, classes, strict=True):
        source = known.source(file)
        if source is None:
            lost.update([file] if file else [])
        elif not name:
            bare.add(source)
        elif found.setdefault(source, name) != name:
            twice.add(source)
    note = f"classes are those of {shown}"
    note += f", which names {len(lost):,} files that are not here" if lost else ""
    note += f"; it has several classes for {len(twice):,} images, of which the first is taken" if twice else ""
    return Labelled(found, bare - set(found), note)


class _Known:
    """Images by all that a table may call them: the ends of their paths, with and without the suffix, in any case."""

    def __init__(self, sources: Sequence[ImageSource]) -> None:
        self.by_name: dict[str, list[ImageSource]] = defaultdict(list)
        for source in sources:
            names = [name for end in _ends(source.name) for name in (end, _stem(end))]
            for name in {*names, *map(str.casefold, names)}:
                self.by_name[name].append(source)

    def source(self, cell: str) -> ImageSource | None:
        """The one that a cell means; None where there is none, or more than one."""
        for end in _ends(normal(cell)):
            bare = _stem(end) if kind_of(end) is not None else end
            for name in (end, bare, end.casefold(), bare.casefold()):
                if len(found := self.by_name.get(name, [])) == 1:
                    return found[0]
        return None


def _ends(name: str) -> Iterator[str]:
    """A path without its first folders, one by one."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return ("/".join(parts[i:]) for i in range(len(parts)))


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix("")).removesuffix(".nii")


def _files(grid: Grid, known: _Known) -> tuple[Grid, int | None, bool]:
    """The table, the column that names files, and whether it names any image; a first line of cells is a row, too."""
    named = [grid.names.index(name) for name in FILES if name in grid.names]
    for place in named:
        if any(map(known.source, grid.column(place))):
            return grid, place, True
    headless = Grid([], [grid.names, *grid.rows])
    whole = headless if any(map(_names_image, grid.names)) else grid
    for place in range(len(grid.names)):
        cells = [cell for cell in whole.column(place) if cell]
        if cells and all(map(_names_image, cells)) and any(map(known.source, cells)):
            return whole, place, True
    return grid, named[0] if named else None, False


def _names_image(cell: str) -> bool:
    return kind_of(cell.strip()) is not None


def _classes(grid: Grid, files: int) -> tuple[list[str] | None, str]:
    """The class of each row, and what to say of where it was found; None without any."""
    place = next((grid.names.index(name) for name in LABELS if name in grid.names), None)
    if place is not None and place != files:
        return [_tidy(cell) for cell in grid.column(place)], ""
    others = [i for i in range(max(map(len, grid.rows))) if i != files]
    if len(others) == 1:
        cells = [_tidy(cell) for cell in grid.column(others[0])]
        if 2 * len(set(cells)) <= len(cells):
            return cells, f" (its column {grid.names[others[0]]})" if grid.names else ""
    if len(others) > 1 and len(grid.names) > max(others):
        marks = [[grid.column(i)[row] for i in others] for row in range(len(grid.rows))] if len(others) < 1000 else []
        ones = [[i for i, mark in zip(others, row, strict=True) if mark in ("1", "1.0")] for row in marks]
        if marks and all(set(row) <= {"0", "1", "0.0", "1.0"} for row in marks) and all(len(o) == 1 for o in ones):
            return [grid.names[one[0]] for one in ones], " (a column for each)"
    return None, ""


def _tidy(name: str) -> str:
    """A class in one line, in Unicode's form C."""
    return normal(" ".join(name.split()))


def _grid(table: ImageSource) -> Grid:
    """The cells of a table; raises DataProblem."""
    try:
        content = table.content()
        if len(content) > TABLE:
            raise ValueError("it is too large")
        if table.suffix in (".jsonl", ".ndjson"):
            return _json_grid(_text(content))
        return _csv_grid(_text(content))
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise DataProblem(f"cannot read {table}: {error}", "repair it, or take it away") from None


def _text(content: bytes) -> str:
    """In UTF-8, in UTF-16 with a mark, or as Excel writes it where people use Latin letters."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace").replace("\0", "")
    try:
        return content.decode("utf-8-sig").replace("\0", "")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace").replace("\0", "")


def _csv_grid(text: str) -> Grid:
    lines = text.splitlines()
    mark = max(",;\t|", key=lines[0].count) if lines else ","
    csv.field_size_limit(TABLE)
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark) if any(map(str.strip, row))]
    return Grid([cell.strip().lower() for cell in rows[0]] if rows else [], rows[1:])


def _json_grid(text: str) -> Grid:
    """Of objects, one a line; raises ValueError."""
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number} is not JSON: {error}") from None
            found.append({str(name).lower(): value for name, value in row.items()} if isinstance(row, dict) else {})
    names = list(dict.fromkeys(name for row in found for name in row))
    return Grid(names, [["" if row.get(name) is None else str(row[name]) for name in names] for row in found])
