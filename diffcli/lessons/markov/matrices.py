"""Transition matrices in files: CSV, with the names of the states on its first line or without, or JSON."""

from pathlib import Path
from typing import Any

import torch

from diffcli.core.processes.chains.finite import MOST_STATES, Finite, finite
from diffcli.data import tables

SUFFIXES = (".csv", ".json")
MOST_BYTES = 30 * MOST_STATES**2  # of a file: more than all digits of the largest matrix
FORM = 'a JSON matrix is a list of rows, or {"states": [names], "matrix": [rows]}'
HINT = "a .csv or .json file; each row is the law of the next state: numbers of 0 or more, sum 1"


def read_chain(path: Path) -> Finite:
    """The chain of a file; raises DataProblem for what is no stochastic matrix, naming the row."""
    with tables.reading(path, HINT):
        named = _states_and_rows if path.suffix.lower() == ".json" else tables.read_rows
        states, rows = named(path, MOST_BYTES)
        return finite(torch.from_numpy(tables.numbers(rows)), states)


def _states_and_rows(path: Path, most: int) -> tuple[list[str], list[list[Any]]]:
    content, states = tables.read_json(path, most), []
    if isinstance(content, dict):
        if set(content) - {"states", "matrix"} or "matrix" not in content:
            raise ValueError(f"{FORM}, without other keys")
        states, content = content.get("states", []), content["matrix"]
    if not isinstance(content, list) or not all(isinstance(row, list) for row in content):
        raise ValueError(FORM)
    if not isinstance(states, list) or not all(isinstance(name, str) and name for name in states):
        raise ValueError("the states must be a list of names")
    return states, content
