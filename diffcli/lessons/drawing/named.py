"""The laws that `diffcli draw` draws from, by name or from a file of weights."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diffcli import specs
from diffcli.core.processes.laws.line import SMALLEST, Beta, Exponential, Law, LineMixture, LineNormal, within
from diffcli.core.processes.laws.plane import Banana, Normal2, TableLaw
from diffcli.errors import DataProblem
from diffcli.system.files import is_file

TABLE = "table:"
SUFFIXES = (".csv", ".txt", ".json")
MOST_ENTRIES, MOST_BYTES, MOST_MEANS = 10_000, 10_000_000, 100
LARGEST = 1e5  # of any number of a mixture or a table
FORM = "a file has one weight per line, or value,weight; JSON a list of weights or {value: weight}"


def named_law(target: str) -> Law:
    """The law that the target describes, e.g. normal,mean=1 or table:weights.csv; a file's name alone is a table too.

    Raises UsageProblem for what is no target, DataProblem for a file that is no table.
    """
    if target.startswith(TABLE):
        return read_table(Path(target.removeprefix(TABLE)))
    if Path(target).suffix.lower() in SUFFIXES or is_file(Path(target)):
        return read_table(Path(target))
    return specs.make(TARGETS, target, "target")


def mixture(weights: str = "0.3/0.7", means: str = "-2/1", stds: str = "0.5/1") -> LineMixture:
    """Normal laws on the line; numbers with slashes between them, weights and stds as many as means or one for all.

    Weights are normalised.
    """
    middles = _numbers(means, "means", -LARGEST)
    count = len(middles)
    if count > MOST_MEANS:
        raise ValueError(f"at most {MOST_MEANS} means, not {count}")
    shares = _for_all(_numbers(weights, "weights", SMALLEST), count, "weights")
    spreads = _for_all(_numbers(stds, "stds", SMALLEST), count, "stds")
    return LineMixture(tuple(share / sum(shares) for share in shares), middles, spreads)


def table() -> TableLaw:
    raise ValueError(f"its file is missing, as in {TABLE}weights.csv")


TARGETS: dict[str, Callable[..., Law]] = {
    "normal": LineNormal,
    "exponential": Exponential,
    "beta": Beta,
    "mixture": mixture,
    "normal2": Normal2,
    "banana": Banana,
    "table": table,
}


def _numbers(text: str, what: str, least: float) -> tuple[float, ...]:
    """ "1/2/3" -> numbers from `least` to LARGEST."""
    try:
        values = tuple(float(part) for part in text.split("/"))
    except ValueError:
        raise ValueError(f"{what} must be numbers with slashes between them, not '{text}'") from None
    for value in values:
        within(what, value, least, LARGEST)
    return values


def _for_all(values: tuple[float, ...], count: int, what: str) -> tuple[float, ...]:
    if len(values) not in (1, count):
        raise ValueError(f"{what} has {len(values)} numbers for {count} means")
    return values * count if len(values) == 1 else values


def read_table(path: Path) -> TableLaw:
    """Weights, not negative, of places 0, 1, ... or of values of their own; entries of weight 0 are left out."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataProblem(f"{path} is too large for a table of weights", f"at most {MOST_ENTRIES} entries")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # a ValueError is bytes that are no text, or a name that is none
        reason = getattr(error, "strerror", None) or ("it is not text" if isinstance(error, UnicodeError) else error)
        raise DataProblem(f"cannot read {path}: {reason}", FORM) from None
    try:
        pairs = _of_json(text) if path.suffix.lower() == ".json" else _of_lines(text)
        return _table([(_number(value), _number(weight)) for value, weight in pairs])
    except (ValueError, OverflowError, RecursionError) as error:
        raise DataProblem(f"{path} is not a table of weights: {error}", FORM) from None


def _of_json(text: str) -> list[tuple[Any, Any]]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from None
    if isinstance(content, dict):
        return list(content.items())
    if not isinstance(content, list):
        raise ValueError("neither a list nor an object")
    paired = [item if isinstance(item, list) else (place, item) for place, item in enumerate(content)]
    if any(len(pair) != 2 for pair in paired):
        raise ValueError("an entry is neither a weight nor a pair of value and weight")
    return [(value, weight) for value, weight in paired]


def _of_lines(text: str) -> list[tuple[Any, Any]]:
    """Lines of numbers; empty ones, comments after #, and a first line without any number are skipped."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if line]
    if rows and not any(_is_number(cell) for cell in rows[0]):
        rows = rows[1:]
    for row in rows:
        if len(row) != len(rows[0]) or len(row) > 2:
            raise ValueError(f"a line is neither a weight nor value,weight like the first: {','.join(row)[:40]}")
    return [(row[0] if len(row) == 2 else place, row[-1]) for place, row in enumerate(rows)]


def _table(pairs: list[tuple[float, float]]) -> TableLaw:
    if len(pairs) > MOST_ENTRIES:
        raise ValueError(f"{len(pairs)} entries, and {MOST_ENTRIES} are the most")
    if any(weight < 0 for _, weight in pairs):
        raise ValueError("a weight is negative")
    kept = [(value, weight) for value, weight in pairs if weight > 0]
    if len(kept) < 2:
        raise ValueError(f"it needs two positive weights at least and has {len(kept)}")
    total = math.fsum(weight for _, weight in kept)
    shares = tuple(weight / total for _, weight in kept)
    if min(shares) < 1e-12:
        raise ValueError("a weight is less than 1e-12 of all")
    return TableLaw(tuple(value for value, _ in kept), shares)


def _number(cell: Any) -> float:
    if isinstance(cell, bool) or not _is_number(cell):
        raise ValueError(f"'{str(cell)[:40]}' is not a number")
    if not abs(float(cell)) <= LARGEST:
        raise ValueError(f"{str(cell)[:40]} is not a finite number up to {LARGEST:g}")
    return float(cell)


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError, OverflowError):
        return isinstance(cell, int)
    return True
