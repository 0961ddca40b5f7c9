"""Walks of few steps among the levels of a long one: the best, and the usual ones beside it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from diffcli.core.diffusion import bound
from diffcli.core.diffusion.walk_costs import WalkCosts
from diffcli.core.levels import Level
from diffcli.evaluation.bound.task import Task
from diffcli.evaluation.bound.terms import ModelErrors, Tally

MOST_STOPS = 200  # to choose from with a learned variance, whose steps must be evaluated pair by pair
NEAR = 0.5  # sigma / alpha below which images can be decoded at all


class ShortWalk(NamedTuple):
    """Places among the levels of a task, and the bound in nats of the walk that stops there only."""

    places: list[int]
    nats: float


def stops(task: Task, kind: str) -> list[int]:
    """The levels that a walk may be chosen from."""
    count = len(task.levels)
    if kind != "learned" or count <= MOST_STOPS:
        return list(range(count))
    return sorted({round(i * (count - 1) / (MOST_STOPS - 1)) for i in range(MOST_STOPS)})


def ends(task: Task, places: Sequence[int]) -> list[int]:
    """Those among them from which a walk might step to the data."""
    return [i for i in places if not task.discrete or _is_near(task.levels[i])]


def _is_near(level: Level) -> bool:
    return bool(level.sigma < NEAR * level.alpha)


def tables(task: Task, found: Tally, own: ModelErrors, kind: str) -> tuple[list[int], WalkCosts]:
    """The levels that a walk may stop at, by their places in the task, and what it pays there, in nats."""
    places = stops(task, kind)
    levels = [task.levels[i] for i in places]
    seen = found.seen.sum(0)
    if kind == "learned":
        table = torch.stack([found.pairs[i] for i in places]) / seen[places].unsqueeze(1)
        table = torch.where(torch.ones_like(table).triu(1) > 0, table, math.inf)
    else:
        errors = (found.errors.sum(0) / seen / task.numbers)[places]
        table = bound.pair_table(kind, errors, task.numbers, levels, own.errors[places])
    first = torch.stack([bound.prior(task.x0.double(), level).mean() for level in levels])
    last = torch.full((len(places),), math.inf, dtype=torch.float64)
    for place, i in enumerate(places):
        if i in found.decoders:
            last[place] = found.decoders[i][kind].sum() * task.samples / seen[i]
    return places, WalkCosts(first, table, last)


def walks(task: Task, found: Tally, own: ModelErrors, kind: str, steps: int) -> dict[str, ShortWalk]:
    """The walk of so many steps with the least bound, and those with even times and even log-SNR, by the same table."""
    places, costs = tables(task, found, own, kind)
    best, nats = bound.best_path(*costs, steps)
    result = {"best": ShortWalk([places[i] for i in best], nats)}
    log_snr = task.log_snr[places]
    even = torch.linspace(log_snr[0].item(), log_snr[-1].item(), steps, dtype=torch.float64)
    plain = {
        "uniform": [round(i * (len(places) - 1) / max(1, steps - 1)) for i in range(steps)],
        "log-snr": [int((log_snr - wanted).abs().argmin()) for wanted in even],
    }
    for name, chosen in plain.items():
        path = sorted(set(chosen))
        result[name] = ShortWalk([places[i] for i in path], costs.total(path))
    return result
