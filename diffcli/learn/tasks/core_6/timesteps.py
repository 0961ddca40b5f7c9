"""Held to the package's grids, which are the papers'."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion import grids
from diffcli.core.diffusion.schedules import BetaTable
from diffcli.core.diffusion.tables import linear_betas
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def timesteps(total: int, steps: int, spacing: str) -> list[int]:
    """At which entries of a table a walk of few steps stops, from noise to data; the data are not among them.

    Entries are counted from 1, the least noisy, to T = total. What is no whole number is rounded to the nearest.
        "trailing": T, T − T/S, T − 2 T/S, ..., T/S: equal steps back from the noisiest
        "leading":  S entries from 1 up, in strides of the whole number T // S: 1 + (S − 1) (T // S), ..., 1 + T // S, 1
        "linspace": from T to 1 in S entries that are evenly spaced, both ends among them

    total: T, the entries of the table
    steps: S, with 2 <= S <= T

    Returns S whole numbers that fall.
    """
    if spacing == "trailing":
        return [round(total * k / steps) for k in range(steps, 0, -1)]
    if spacing == "leading":
        return [1 + k * (total // steps) for k in range(steps - 1, -1, -1)]
    return [round(1 + (total - 1) * k / (steps - 1)) for k in range(steps - 1, -1, -1)]


def truth(total: int, steps: int, spacing: str) -> list[int]:
    found: Tensor = grids.times(BetaTable(linear_betas(total)), steps, spacing) * total
    return [round(value) for value in found.tolist()]


def questions(ask: Ask) -> Iterator[Seen]:
    for spacing in ("trailing", "leading", "linspace"):
        for total, steps in ((1000, 10), (1000, 6), (250, 30), (100, 100)):
            yield Seen(f'T = {total}, {steps} steps, "{spacing}"', ask(total, steps, spacing))


WRONG = [
    Swap("rising-leading", "with the leading entries from data to noise", "the order: a walk goes from noise to data",
         "for k in range(steps - 1, -1, -1)]\n    return", "for k in range(steps)]\n    return"),
    Swap("cut-off", "with trailing entries cut off and not rounded", "the docstring: rounded to the nearest",
         "round(total * k / steps)", "total * k // steps"),
    Swap("whole-trailing", "with whole strides for trailing too, as leading has them",
         "trailing: T/S need not be whole", "round(total * k / steps)", "total - (steps - k) * (total // steps)"),
    Swap("noisiest-leading",
         "with leading entries that are not moved to 1, so that they are those of code that counts from 0",
         "leading: 1 + ..., as entries count from 1", "1 + k * (total // steps)", "k * (total // steps)"),
    Swap("real-leading", "with leading strides that are not whole", "leading: the stride is T // S",
         "1 + k * (total // steps)", "round(1 + k * total / steps)"),
    Swap("from-zero", "with linspace down to 0, which is the data", "linspace: the last entry is 1",
         "round(1 + (total - 1) * k / (steps - 1))", "round(total * k / (steps - 1))"),
    Swap("linspace-cut-off", "with linspace cut off and not rounded", "the docstring: rounded to the nearest",
         "round(1 + (total - 1) * k / (steps - 1))", "1 + (total - 1) * k // (steps - 1)"),
]  # fmt: skip


@wrong("with int(), which cuts off, for round()", "the docstring: rounded to the nearest")
def cut_off_everywhere(total: int, steps: int, spacing: str) -> list[int]:
    if spacing == "leading":
        return timesteps(total, steps, spacing)
    if spacing == "trailing":
        return [total * k // steps for k in range(steps, 0, -1)]
    return [1 + (total - 1) * k // (steps - 1) for k in range(steps - 1, -1, -1)]


@wrong("with entries that count from 0 to T − 1, and with int() for round()",
       "the docstring, twice: entries count from 1, and are rounded to the nearest")  # fmt: skip
def from_zero_cut_off(total: int, steps: int, spacing: str) -> list[int]:
    return [entry - 1 for entry in cut_off_everywhere(total, steps, spacing)]


@wrong("with leading entries that count from 0, and with int() for round()",
       "the docstring, twice: entries count from 1, and are rounded to the nearest")  # fmt: skip
def leading_from_zero_cut_off(total: int, steps: int, spacing: str) -> list[int]:
    shift = 1 if spacing == "leading" else 0
    return [entry - shift for entry in cut_off_everywhere(total, steps, spacing)]


@wrong("with leading entries that are the multiples of T // S, of which the last is T // S",
       "leading: the last entry is 1, and the first 1 + (S − 1) (T // S)")  # fmt: skip
def leading_multiples(total: int, steps: int, spacing: str) -> list[int]:
    if spacing == "leading":
        return [k * (total // steps) for k in range(steps, 0, -1)]
    return timesteps(total, steps, spacing)


@wrong("with leading entries all the way up to T: more than S of them, if T/S is not whole",
       "leading: S entries, and the noisiest are left out")  # fmt: skip
def leading_by_range(total: int, steps: int, spacing: str) -> list[int]:
    if spacing == "leading":
        return list(range(1, total + 1, total // steps))[::-1]
    return timesteps(total, steps, spacing)


@wrong("with trailing by `range` in whole strides, which gives more than S entries if T/S is not whole",
       "trailing: S entries, T k/S rounded one by one")  # fmt: skip
def trailing_by_range(total: int, steps: int, spacing: str) -> list[int]:
    if spacing == "trailing":
        return list(range(total, 0, -(total // steps)))
    return timesteps(total, steps, spacing)


@wrong("with trailing and leading by `range` in whole strides, which gives more than S entries if T/S is not whole",
       "how many entries there are: S; and at trailing, where T k/S is rounded one by one")  # fmt: skip
def both_by_range(total: int, steps: int, spacing: str) -> list[int]:
    if spacing == "trailing":
        return trailing_by_range(total, steps, spacing)
    return leading_by_range(total, steps, spacing)


@wrong("with entries that count from 0 to T − 1", "the docstring: entries count from 1, and 0 is the data")
def from_zero_on(total: int, steps: int, spacing: str) -> list[int]:
    return [entry - 1 for entry in timesteps(total, steps, spacing)]


@wrong("with the entries from data to noise", "the order: a walk begins at the noisiest entry")
def rising(total: int, steps: int, spacing: str) -> list[int]:
    return timesteps(total, steps, spacing)[::-1]


@wrong("with 0 among the entries: the step to the data, which is not to be there", "the docstring: S entries, no 0")
def with_the_data(total: int, steps: int, spacing: str) -> list[int]:
    return [*timesteps(total, steps, spacing), 0]


@right
def by_tensors(total: int, steps: int, spacing: str) -> Tensor:
    k = torch.arange(steps, dtype=torch.float64)
    found = {
        "trailing": total - k * total / steps,
        "leading": 1 + (steps - 1 - k) * (total // steps),
        "linspace": torch.linspace(total, 1, steps, dtype=torch.float64),
    }[spacing]
    return found.round().long()


@right
def by_a_loop(total: int, steps: int, spacing: str) -> list[int]:
    found = []
    here = 1.0 + (steps - 1) * (total // steps) if spacing == "leading" else float(total)
    stride = {"trailing": total / steps, "leading": float(total // steps), "linspace": (total - 1) / (steps - 1)}[
        spacing
    ]
    for _ in range(steps):
        found.append(int(here + 0.5))
        here -= stride
    return found


@right
def by_numpy(total: int, steps: int, spacing: str) -> list[float]:
    import numpy as np

    if spacing == "leading":
        return [float(entry) for entry in (np.arange(0, steps) * (total // steps) + 1)[::-1]]
    if spacing == "trailing":
        return [float(entry) for entry in np.round(np.arange(steps, 0, -1) * (total / steps))]
    return [float(entry) for entry in np.linspace(1, total, steps)[::-1].round()]
