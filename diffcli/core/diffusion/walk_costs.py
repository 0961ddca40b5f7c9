"""What leaving out levels of a walk costs, and the student's own walks beside a teacher's.

A deterministic walk is a curve u = x / alpha over the noise level rho = sigma / alpha with slope du / drho = eps
(Song et al. 2021, DDIM, eq. 14). A teacher follows it in small steps; a step of DDIM jumps along the tangent.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.devices import exact_on
from diffcli.core.levels import Level

Encode = Callable[[Tensor], Tensor]
"""Items [B, ...] in [-1, 1] -> features [B, D]."""

Measure = Callable[[Tensor], Tensor]
"""How far items missed by a gap [B, ...] are off, [B]."""


class WalkCosts(NamedTuple):
    """What a walk among N levels, from noise, pays.

    first:  for starting at each level, [N]
    steps:  for a step from level i to level j, infinite where there is none, [N, N]
    last:   for the step from each level to CLEAN, [N]
    """

    first: Tensor
    steps: Tensor
    last: Tensor

    @classmethod
    def of_table(cls, table: Tensor) -> "WalkCosts":
        """Of walks that start at the first level for nothing; table [N, N + 1] has CLEAN in its last column."""
        first = torch.full_like(table[0, :-1], math.inf)
        first[0] = 0
        return cls(first, table[:, :-1], table[:, -1])

    def each(self, places: Sequence[int]) -> list[float]:
        """The cost of every step of the walk that stops at these levels, the last to CLEAN."""
        return [*(self.steps[i, j].item() for i, j in pairwise(places)), self.last[places[-1]].item()]

    def total(self, places: Sequence[int], discount: float = 1.0) -> float:
        """Of the walk: the start, and step k = 0, 1, ... times discount^k."""
        steps = (discount**k * cost for k, cost in enumerate(self.each(places)))
        return self.first[places[0]].item() + sum(steps)


class Curves(NamedTuple):
    """Where a teacher's walks stood at each of its levels, the data last.

    rho:    sigma / alpha, [N + 1] float64, falling to 0
    u:      x / alpha, [N + 1, B, ...]
    slope:  the estimate of eps at each level but the last, [N, B, ...]
    """

    rho: Tensor
    u: Tensor
    slope: Tensor

    def miss(self, place: int, later: int) -> Tensor:
        """From the curve to where one step of DDIM from a level lands on a later one, [B, ...]."""
        return self.u[place] + (self.rho[later] - self.rho[place]) * self.slope[place] - self.u[later]


def curves(levels: Sequence[Level], xs: Sequence[Tensor], estimates: Sequence[Tensor]) -> Curves:
    """The curves of walks that stood at xs [B, ...] at levels that end in CLEAN.

    estimates:  x0 at each level but the last; the slope is the noise that then explains x

    Raises ValueError where a level has no signal, and so no u.
    """
    if any(level.alpha == 0 for level in levels):
        raise ValueError("a walk from a level without signal is no curve in x / alpha")
    rho = torch.stack([level.sigma / level.alpha for level in levels])
    slope = [(x - t.alpha * x0) / t.sigma for t, x, x0 in zip(levels, xs, estimates, strict=False)]
    return Curves(rho, torch.stack([x / t.alpha for t, x in zip(levels, xs, strict=True)]), torch.stack(slope))


def length(gap: Tensor) -> Tensor:
    """The Euclidean norm of each item of a gap [B, ...], [B] float64: the measure of GITS's table."""
    return gap.to(exact_on(gap.device)).double().flatten(1).norm(dim=1)


def in_features(encode: Encode, clean: Tensor) -> Measure:
    """How far the ends of walks [B, ...] are in features from themselves with a gap added, both held to [-1, 1]."""
    known = encode(clean.clamp(-1, 1))
    return lambda gap: length(encode((clean + gap).clamp(-1, 1)) - known)


def cost_rows(teacher: Curves, measure: Measure = length) -> Iterator[Tensor]:
    """The mean cost of a step of DDIM from each level to every later one: N rows [N + 1], infinite where not later.

    With `length` it is the table of Chen et al. 2024 (GITS), section 4.
    """
    count = len(teacher.rho)
    for place in range(count - 1):
        row = torch.full((count,), math.inf, dtype=torch.float64)
        for later in range(place + 1, count):
            row[later] = measure(teacher.miss(place, later)).mean()
        yield row


class NearestWalks(NamedTuple):
    """How near a student's walks of some number of steps come to the teacher's.

    distance:  at each level, the data last, the mean over walks; infinite where none leads, [N + 1]
    origin:    the level that the nearest ones come from, [N + 1]
    """

    distance: Tensor
    origin: Tensor


def rollout(slope: Callable[[Tensor, int], Tensor], teacher: Curves, steps: int) -> Iterator[list[NearestWalks]]:
    """The stages 1 ... steps of a student that walks by DDIM from its own states (Pei et al. 2025, algorithm 1).

    Of all walks of k steps that lead to a level the one that ends nearest to the teacher there is kept, with its
    states, and goes on. The list grows; what is yielded after every evaluation is complete at the end.

    slope:  (u [B, ...], place of the level) -> the estimate of eps there
    """
    rho, count = teacher.rho, len(teacher.rho)
    stages: list[NearestWalks] = []
    states = {0: teacher.u[0]}
    for taken in range(steps):
        distance = torch.full((count,), math.inf, dtype=torch.float64)
        origin, landed = torch.full((count,), -1), dict[int, Tensor]()
        stages.append(NearestWalks(distance, origin))
        for place, u in sorted(states.items()):
            eps = slope(u, place) if taken else teacher.slope[0]
            for later in range(place + 1, count):
                ahead = u + (rho[later] - rho[place]) * eps
                off = length(ahead - teacher.u[later]).mean().cpu()
                if off < distance[later]:
                    distance[later], origin[later], landed[later] = off, place, ahead
            yield stages
        landed.pop(count - 1, None)
        states = landed


def traced(stages: Sequence[NearestWalks], steps: int) -> list[int]:
    """The levels that the walk of so many steps to the data stops at.

    Raises ValueError where none leads there.
    """
    path = [len(stages[0].origin) - 1]
    for stage in reversed(stages[:steps]):
        path.append(int(stage.origin[path[-1]]))
        if path[-1] < 0:
            raise ValueError(f"no walk of {steps} steps leads to the data")
    return path[:0:-1]
