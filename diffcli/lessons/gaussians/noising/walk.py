"""The chain of the forward process walked beside the jump."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.levels import CLEAN, Level, correlation, shares
from diffcli.core.levels import chain as steps_up
from diffcli.core.randomness import keyed
from diffcli.lessons.gaussians.noising.measures import correlated, correlation_error

STOPS = 8  # times at which the laws are compared


@dataclass
class ChainBesideJump:
    """What was walked: x by the chain at some of the levels' numbers, and the one eps of the jump, both like x0.

    miss:  largest distance of the chain's end from the jump whose eps the steps' noises add up to, over sigma
    """

    x0: Tensor
    levels: list[Level]
    chain: dict[int, Tensor]
    eps: Tensor
    miss: float
    seed: int

    def jump(self, stop: int) -> Tensor:
        """x by the jump to the level of this number."""
        return self.levels[stop].noised(self.x0, self.eps)

    @property
    def middle(self) -> int:
        """The stop whose noise is compared with that of the others."""
        stops = list(self.chain)
        return stops[(len(stops) - 1) // 2]

    def left(self, stop: int) -> Tensor:
        """What the chain's x is without alpha x0."""
        return self.chain[stop] - self.levels[stop].alpha * self.x0

    def time(self, stop: int) -> float:
        """The time of the level of this number, from 0 to 1."""
        return stop / (len(self.levels) - 1)


def levels_up(schedule: Schedule, steps: int) -> list[Level]:
    """The data, then a schedule's levels at steps equal in time, up to t = 1."""
    return [CLEAN, *(schedule(torch.tensor(i / steps, dtype=torch.float64)) for i in range(1, steps + 1))]


def walked(x0: Tensor, levels: list[Level], seed: int, show: Show) -> ChainBesideJump:
    """Walk all chains; the noises are drawn a second time, by their keys, for the eps that they add up to."""

    def noise(step: int) -> Tensor:
        return torch.randn(x0.shape, generator=keyed(seed, "chain", step), dtype=torch.float64)

    steps = len(levels) - 1
    stops = {math.ceil(steps * i / STOPS) for i in range(1, STOPS + 1)}
    kept, eps = {}, torch.zeros_like(x0)
    with show.progress("walking", 2 * steps, "steps") as bar:
        for step, x in enumerate(steps_up(x0, levels, noise), start=1):
            bar.update(step)
            if step in stops:
                kept[step] = x
        for step, share in enumerate(shares(levels)):
            eps += share * noise(step)
            bar.update(steps + step + 1)
    end = levels[-1]
    miss = ((kept[steps] - end.noised(x0, eps)).abs().max() / end.sigma).item()
    fresh = torch.randn(x0.shape, generator=keyed(seed, "jump"), dtype=torch.float64)
    return ChainBesideJump(x0, levels, kept, fresh, miss, seed)


class NoiseCorrelation(NamedTuple):
    """How the noise at time s correlates with that at t: along the chain, in truth with its error, along the jump."""

    s: float
    t: float
    chain: float
    true: float
    standard_error: float
    jump: float


def noise_correlations(walk: ChainBesideJump) -> list[NoiseCorrelation]:
    """Correlations of the noise at the middle stop with that at the others."""
    found, middle = [], walk.middle
    for stop in walk.chain:
        if stop == middle:
            continue
        s, t = sorted((stop, middle))
        true = correlation(walk.levels[s], walk.levels[t]).item()
        jumped = (walk.jump(v) - walk.levels[v].alpha * walk.x0 for v in (s, t))
        found.append(
            NoiseCorrelation(
                s=walk.time(s),
                t=walk.time(t),
                chain=correlated(walk.left(s), walk.left(t)),
                true=true,
                standard_error=correlation_error(true, walk.x0.numel()),
                jump=correlated(*jumped),
            )
        )
    return found
