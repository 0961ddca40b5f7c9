"""Small tables of numbers in files that users write: .csv or .txt, .json and .npy, read and checked cell by cell."""

import contextlib
import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcli.errors import DataProblem

QUOTED = re.compile(r'"[^"]*"')
DECIMAL = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
COMMENT = re.compile(r"(^|\s)#.*")
"""From a # at the start of a line or after a space to the line's end."""


@contextlib.contextmanager
def reading(path: Path, hint: str = "") -> Iterator[None]:
    """Whatever is wrong with a file inside becomes a DataProblem that names the file."""
    try:
        yield
    except OSError as error:
        raise DataProblem(f"cannot read {path}: {error.strerror or error}", hint) from None
    except UnicodeDecodeError:
        raise DataProblem(f"{path}: this is not text", hint) from None
    except ValueError as error:
        raise DataProblem(f"{path}: {error}", hint) from None


def read_text(path: Path, most: int) -> str:
    """A text file of at most so many bytes; raises OSError and ValueError."""
    if path.stat().st_size > most:
        raise ValueError(f"this file is too large, with more than {most:,} bytes")
    return path.read_text(encoding="utf-8-sig")


def read_rows(path: Path, most: int) -> tuple[list[str], list[list[str]]]:
    """The cells of a .csv or .txt file of at most `most` bytes, and the names on its first line; [] without any.

    Empty lines and comments are left out. A first line without any number holds names. Raises OSError and ValueError.
    """
    lines = [COMMENT.sub("", line).strip() for line in read_text(path, most).splitlines()]
    mark = _separator(lines)
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=mark) if any(map(str.strip, row))]
    if mark != ",":
        rows = [[_with_point(cell) for cell in row] for row in rows]
    if not rows:
        raise ValueError("this file is empty")
    named = not any(map(is_number, rows[0]))
    return (rows[0], rows[1:]) if named else ([], rows)


def _separator(lines: Sequence[str]) -> str:
    """What stands between cells: semicolons or tabs, where all lines have them, and then a comma is a decimal's."""
    plain = [QUOTED.sub("", line) for line in lines if line]
    if plain and all(";" in line for line in plain):
        return ";"
    tabbed = plain and all("\t" in line for line in plain)
    return "\t" if tabbed and not any(",\t" in line.replace(" ", "") for line in plain) else ","


def _with_point(cell: str) -> str:
    """A number with a decimal comma as one with a point; whatever else is there as it is."""
    return cell.replace(",", ".") if DECIMAL.fullmatch(cell) else cell


def read_json(path: Path, most: int) -> Any:
    """What a JSON file of at most `most` bytes holds; raises OSError and ValueError."""
    try:
        return json.loads(read_text(path, most))
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("this is nested too deeply") from None


def numbers(rows: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
    """Rows of numbers, or of text of numbers, [R, C]; nan and inf are numbers. Raises ValueError with the place."""
    if not rows:
        raise ValueError("there are no rows of numbers")
    for i, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise ValueError(f"row {i} has {len(row)} entries, and the first row {len(rows[0])}")
        for j, cell in enumerate(row, start=1):
            if not is_number(cell):
                raise ValueError(f"row {i}, column {j} is no number: {str(cell)[:20]!r}")
    return np.array([[float(cell) for cell in row] for row in rows], dtype=np.float64)


def is_number(cell: Any) -> bool:
    """Whether a cell of text or JSON is a number that a float can hold."""
    if isinstance(cell, bool):
        return False
    try:
        float(cell)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def read_square(path: Path, most: int = 1_000_000_000) -> NDArray[np.float64]:
    """A square matrix of finite numbers in a .csv or .npy file; raises DataProblem."""
    with reading(path, "rows of numbers with commas, or .npy"):
        content = _read_npy(path) if path.suffix.lower() == ".npy" else numbers(read_rows(path, most)[1])
        square = content.ndim == 2 and 0 < content.shape[0] == content.shape[1]
        if not square or content.dtype.kind not in "iuf" or not np.isfinite(content).all():
            raise ValueError("this is not a square matrix of finite numbers")
        return content.astype(np.float64)


def _read_npy(path: Path) -> NDArray[Any]:
    with path.open("rb") as file:
        return np.lib.format.read_array(file)
