"""The laws that `diffcli draw` draws from, by name or from a file of weights."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcli import specs
from diffcli.core.processes.laws.line import SMALLEST, Beta, Exponential, Law, LineMixture, LineNormal, within
from diffcli.core.processes.laws.plane import Banana, Normal2, TableLaw
from diffcli.data import tables
from diffcli.sampling.exact_models import mixture_parts
from diffcli.system.files import is_file

TABLE = "table:"
SUFFIXES = (".csv", ".txt", ".json")
MOST_ENTRIES, MOST_BYTES, MOST_MEANS = 10_000, 10_000_000, 100
LARGEST = 1e5  # of any number of a mixture or a table
FORM = "a file has one weight per line, or value,weight; JSON a list of weights or {value: weight}"


def named_law(text: str) -> Law:
    """The law that is described, e.g. normal,mean=1 or table:weights.csv; a file's name alone is a table too.

    Raises UsageProblem for what is no law, DataProblem for a file that is no table.
    """
    if text.startswith(TABLE):
        return read_weights(Path(text.removeprefix(TABLE)))
    if Path(text).suffix.lower() in SUFFIXES or is_file(Path(text)):
        return read_weights(Path(text))
    return specs.make(LAWS, text, "target")


def mixture(weights: str = "0.3/0.7", means: str = "-2/1", stds: str = "0.5/1") -> LineMixture:
    """Normal laws on the line; numbers with slashes between them, weights and stds as many as means or one for all.

    Weights are normalised.
    """
    count = len(means.split("/"))
    if count > MOST_MEANS:
        raise ValueError(f"at most {MOST_MEANS} means, not {count}")
    parts = mixture_parts(weights, means, stds)
    if parts.means.shape[1] > 1:
        raise ValueError("means on the line have one number each, with slashes between them")
    shares, middles, spreads = (part.flatten().tolist() for part in parts)
    limits = (("weights", shares, SMALLEST), ("means", middles, -LARGEST), ("stds", spreads, SMALLEST))
    for what, values, least in limits:
        for value in values:
            within(what, value, least, LARGEST)
    return LineMixture(tuple(share / sum(shares) for share in shares), tuple(middles), tuple(spreads))


def table() -> TableLaw:
    """What `table` without a file is: refused."""
    raise ValueError(f"its file is missing, as in {TABLE}weights.csv")


LAWS: dict[str, Callable[..., Law]] = {
    "normal": LineNormal,
    "exponential": Exponential,
    "beta": Beta,
    "mixture": mixture,
    "normal2": Normal2,
    "banana": Banana,
    "table": table,
}


def read_weights(path: Path) -> TableLaw:
    """The law of weights of places 0, 1, ... or of values of their own; entries of weight 0 are left out.

    Raises DataProblem.
    """
    with tables.reading(path, FORM):
        if path.suffix.lower() == ".json":
            return table_law(tables.numbers(_json_rows(tables.read_json(path, MOST_BYTES))))
        return table_law(tables.numbers(tables.read_rows(path, MOST_BYTES)[1]))


def _json_rows(content: Any) -> list[list[Any]]:
    """Values and weights of a JSON list or object."""
    if isinstance(content, dict):
        return [[value, weight] for value, weight in content.items()]
    if not isinstance(content, list):
        raise ValueError("neither a list nor an object")
    return [item if isinstance(item, list) else [place, item] for place, item in enumerate(content)]


def table_law(rows: NDArray[np.float64]) -> TableLaw:
    """The law of rows of a weight, or of a value and its weight; raises ValueError."""
    count, columns = rows.shape
    if columns > 2:
        raise ValueError("a row is neither a weight nor a pair of value and weight")
    if count > MOST_ENTRIES:
        raise ValueError(f"{count} entries, and {MOST_ENTRIES} are the most")
    beyond = rows[~(abs(rows) <= LARGEST)]
    if len(beyond):
        raise ValueError(f"{beyond[0]:g} is not a finite number up to {LARGEST:g}")
    values, weights = np.arange(float(count)) if columns == 1 else rows[:, 0], rows[:, -1]
    if (weights < 0).any():
        raise ValueError("a weight is negative")
    values, weights = values[weights > 0], weights[weights > 0]
    if len(weights) < 2:
        raise ValueError(f"it needs two positive weights at least and has {len(weights)}")
    shares = weights / math.fsum(weights)
    if shares.min() < 1e-12:
        raise ValueError("a weight is less than 1e-12 of all")
    return TableLaw(tuple(values.tolist()), tuple(shares.tolist()))
