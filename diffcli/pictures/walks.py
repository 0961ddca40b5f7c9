"""Where walks of few steps stop, beside the usual ones."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

BEST = "#2563eb"
SHADES = ("#4b5563", "#8b95a3", "#b6bec9")  # of the usual walks
GAP = 0.19  # between the lines of a row


class DrawnWalk(NamedTuple):
    """The noise levels sigma / alpha that a walk stops at, falling, and what it costs."""

    noise: Sequence[float]
    cost: float


def grids_figure(rows: Mapping[int, Mapping[str, DrawnWalk]], title: str, cost: str) -> Figure:
    """Where walks stop on their way from noise, on a log axis: a row per number of steps, the first of each in blue.

    rows:  number of steps -> name -> walk
    cost:  what it is, for the text above the numbers
    """
    names = list(next(iter(rows.values())))
    colors = dict(zip(names, (BEST, *SHADES), strict=False))
    figure = Figure(figsize=(9.6, 1.3 + 0.82 * len(rows)), layout="constrained")
    ax = figure.subplots()
    for place, walks in enumerate(rows.values()):
        for line, name in enumerate(names):
            if name not in walks:
                continue
            (noise, paid), y, best = walks[name], place + (line - (len(names) - 1) / 2) * GAP, line == 0
            ax.plot(noise, [y] * len(noise), "-", color=colors[name], linewidth=0.7, alpha=0.5)
            ax.plot(
                noise, [y] * len(noise), "o" if best else "|", color=colors[name],
                markersize=6 if best else 7, markeredgewidth=1.5, label=name if place == 0 else None,
            )  # fmt: skip
            ax.annotate(
                f"{paid:.4g}" if math.isfinite(paid) else "no way", (1.015, y), xycoords=("axes fraction", "data"),
                va="center", fontsize=8, color=colors[name], fontweight="bold" if best else "normal",
            )  # fmt: skip
    ax.set_xscale("log")
    ax.invert_xaxis()
    ax.set_yticks(range(len(rows)), [f"{count} steps" for count in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel("sigma / alpha at the stops  (left noise, right data, where every walk ends)")
    ax.grid(axis="x", alpha=0.25)
    ax.set_title(title, fontsize=10, loc="left")
    ax.annotate(cost, (1.0, 1.01), xycoords="axes fraction", fontsize=8, ha="left", va="bottom")
    ax.legend(frameon=False, fontsize=8, ncols=len(names), loc="upper left", bbox_to_anchor=(0.0, -0.13))
    return figure
