"""Walks of few steps among the levels of a long one: the best by a table of costs, and the usual ones beside it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from diffcli.core.diffusion import bound, grids, walk_costs
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.diffusion.walk_costs import NearestWalks, WalkCosts

USUAL = ("trailing", "karras", "log-snr")  # that begin at the noisiest level, as all walks of a table do


class CostedWalk(NamedTuple):
    """Levels of a long walk, by their places in it, and what the walk that stops at them costs."""

    places: list[int]
    cost: float


class Choice(NamedTuple):
    """The best walk of so many steps, and the usual ones by name."""

    best: CostedWalk
    usual: dict[str, CostedWalk]


def by_table(costs: WalkCosts, count: int, discount: float, usual: dict[str, list[int]]) -> Choice:
    """The walk of so many steps that is cheapest by a table."""
    places, cost = bound.best_path(*costs, count, discount)
    others = {name: CostedWalk(stops, costs.total(stops, discount)) for name, stops in usual.items()}
    return Choice(CostedWalk(places, cost), others)


def by_rollout(
    stages: Sequence[NearestWalks], count: int, distance: Callable[[list[int]], float], usual: dict[str, list[int]]
) -> Choice:
    """The student's walk of so many steps that ended nearest to the teacher's; `distance` says how near others do."""
    places = walk_costs.traced(stages, count)
    others = {name: CostedWalk(stops, distance(stops)) for name, stops in usual.items()}
    return Choice(CostedWalk(places, stages[count - 1].distance[-1].item()), others)


def usual_walks(schedule: Schedule, log_snr: Tensor, steps: int) -> dict[str, list[int]]:
    """Where the usual grids of so many steps would stop, at the nearest levels of a long walk.

    log_snr:  of its levels, [N], rising; N >= steps
    """
    found = {}
    for name in USUAL:
        if name == "trailing" and schedule.length and steps > schedule.length:
            continue  # it stops at entries of the table only
        wanted = schedule(grids.times(schedule, steps, name)).log_snr
        found[name] = apart([int((log_snr - v).abs().argmin()) for v in wanted.clamp(min=float(log_snr[0]))], log_snr)
    return found


def apart(places: list[int], among: Tensor) -> list[int]:
    """Places that rise, moved as little as it takes for no two to be one."""
    places = list(places)
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + 1)
    for i in range(len(places)):
        places[i] = min(places[i], len(among) - len(places) + i)
    return places
