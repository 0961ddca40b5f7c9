"""Turns, spreads and tables: what every measurement here is made of."""

import re
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

DRAWN = 64  # images per sampling


class Spread(NamedTuple):
    """The median of some measurements and the range they lie in."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def cells(self) -> list[str]:
        """The median, and the range, as table cells."""
        return [number(self.median), f"{number(self.least)} to {number(self.most)}"]


@dataclass(frozen=True)
class Goal:
    """What was to be reached, what was measured, and whether it was."""

    name: str
    measured: str
    wanted: str
    reached: bool


@dataclass(frozen=True)
class Section:
    """One part of the report. raw: all single measurements, for --json."""

    title: str
    lines: list[str]
    raw: dict[str, Any]
    goals: list[Goal] = field(default_factory=list)


def alternate(turns: dict[Any, Callable[[], float]], rounds: int, title: str) -> dict[Any, list[float]]:
    """Let everyone have a turn, round after round; the measurements of each, in the order of the rounds."""
    measured: dict[Any, list[float]] = {name: [] for name in turns}
    for i in range(rounds if turns else 0):
        note(f"{title}: round {i + 1} of {rounds}")
        for name, turn in turns.items():
            measured[name].append(turn())
    return measured


def at_least(name: str, ours: list[float], theirs: list[float], wanted: float) -> Goal:
    """The ratio of two contestants, taken round by round."""
    ratio = Spread.of([a / b for a, b in zip(ours, theirs, strict=True)])
    median, spread = ratio.cells()
    return Goal(name, f"{median} ({spread})", f"at least {wanted:g}", ratio.median >= wanted)


def number(value: float) -> str:
    """Three significant digits, never an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table, its columns aligned in plain text too."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]


def note(text: str) -> None:
    """A line for whoever watches."""
    print(text, file=sys.stderr, flush=True)


def put(path: Path, name: str, lines: Sequence[str]) -> None:
    """Replace what stands in a file between `<!-- name: ... -->` and `<!-- name: end -->`."""
    text = path.read_text()
    found = re.search(rf"(<!-- {name}: (?!end -->)[^\n]*-->\n).*?(<!-- {name}: end -->)", text, re.DOTALL)
    if found is None:
        raise SystemExit(f"error: {path} has no marks of {name}")
    path.write_text(text[: found.end(1)] + "\n" + "\n".join(lines).strip() + "\n\n" + text[found.start(2) :])
