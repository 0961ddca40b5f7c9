"""Transition matrices in files: CSV, with the names of the states on its first line or without, or JSON."""

import csv
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli.core.processes.chains.finite import MOST_STATES, Finite, finite
from diffcli.errors import DataProblem
from diffcli.system.files import is_file

SUFFIXES = (".csv", ".json")
MOST_BYTES = 30 * MOST_STATES**2  # of a file: more than all digits of the largest matrix
FORM = 'a JSON matrix is a list of rows, or {"states": [names], "matrix": [rows]}'


def read_chain(path: Path) -> Finite:
    """The chain of a file; raises DataProblem for what is no stochastic matrix, naming the row."""
    if not is_file(path):
        raise DataProblem(f"there is no file {path}", "give a matrix as .csv or .json, or a chain by name")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"too large for {MOST_STATES} states")
        text = path.read_text(encoding="utf-8-sig")
        return finite(*(_of_json if path.suffix.lower() == ".json" else _of_csv)(text))
    except (OSError, RecursionError, ValueError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        why = "this is not text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise DataProblem(
            f"{path}: {why}", "each row is the law of the next state: numbers of 0 or more, sum 1"
        ) from None


def _of_csv(text: str) -> tuple[Tensor, list[str]]:
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if any(map(str.strip, row))]
    if not rows:
        raise ValueError("this file is empty")
    named = not any(map(_is_number, rows[0]))
    return _matrix(rows[1:] if named else rows), rows[0] if named else []


def _of_json(text: str) -> tuple[Tensor, list[str]]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON: {error}") from None
    states: Any = []
    if isinstance(found, dict):
        if set(found) - {"states", "matrix"} or "matrix" not in found:
            raise ValueError(f"{FORM}, without other keys")
        states, found = found.get("states", []), found["matrix"]
    if not isinstance(found, list) or not all(isinstance(row, list) for row in found):
        raise ValueError(FORM)
    if not isinstance(states, list) or not all(isinstance(name, str) and name for name in states):
        raise ValueError("the states must be a list of names")
    return _matrix(found), states


def _matrix(rows: list[list[Any]]) -> Tensor:
    """Numbers, or text of numbers; nan and inf are left for `finite` to refuse."""
    if not rows:
        raise ValueError("this matrix has no rows")
    for i, row in enumerate(rows, start=1):
        if len(row) != len(rows):
            raise ValueError(f"not square: {len(rows)} rows, and row {i} has {len(row)} entries")
        for j, cell in enumerate(row, start=1):
            if isinstance(cell, bool) or not isinstance(cell, str | int | float) or not _is_number(cell):
                raise ValueError(f"row {i}, column {j} is no number: {str(cell)[:20]!r}")
    return torch.tensor([[float(cell) for cell in row] for row in rows], dtype=torch.float64)


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (ValueError, OverflowError):
        return False
    return True
