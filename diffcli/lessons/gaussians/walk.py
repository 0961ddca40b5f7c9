"""The chain of the forward process walked beside the jump, for `diffcli noise chain`."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.console.show import Show
    from diffcli.core.diffusion.schedules import Schedule
    from diffcli.core.levels import Level

STOPS = 8  # times at which the laws are compared


@dataclass
class ChainBesideJump:
    """What was walked: x by the chain at some of the levels' numbers, and the one eps of the jump, both like x0.

    miss:  largest distance of the chain's end from the jump whose eps the steps' noises add up to, over sigma
    """

    x0: "Tensor"
    levels: "list[Level]"
    chain: "dict[int, Tensor]"
    eps: "Tensor"
    miss: float
    seed: int

    def jump(self, stop: int) -> "Tensor":
        """x by the jump to the level of this number."""
        return self.levels[stop].noised(self.x0, self.eps)

    @property
    def middle(self) -> int:
        """The stop whose noise is compared with that of the others."""
        stops = list(self.chain)
        return stops[(len(stops) - 1) // 2]

    def left(self, stop: int) -> "Tensor":
        """What the chain's x is without alpha x0."""
        return self.chain[stop] - self.levels[stop].alpha * self.x0

    def time(self, stop: int) -> float:
        """Of the level of this number, from 0 to 1."""
        return stop / (len(self.levels) - 1)


def levels_up(law: "Schedule", steps: int) -> "list[Level]":
    """The data, then a schedule's levels at steps equal in time, up to t = 1."""
    import torch

    from diffcli.core.levels import CLEAN

    return [CLEAN, *(law(torch.tensor(i / steps, dtype=torch.float64)) for i in range(1, steps + 1))]


def walked(x0: "Tensor", levels: "list[Level]", seed: int, show: "Show") -> ChainBesideJump:
    """Walk all chains; the noises are drawn a second time, by their keys, for the eps that they add up to."""
    import torch

    from diffcli.core.levels import chain as walk
    from diffcli.core.levels import shares
    from diffcli.core.randomness import keyed

    def noise(step: int) -> "Tensor":
        return torch.randn(x0.shape, generator=keyed(seed, "chain", step), dtype=torch.float64)

    steps = len(levels) - 1
    stops = {math.ceil(steps * i / STOPS) for i in range(1, STOPS + 1)}
    kept, eps = {}, torch.zeros_like(x0)
    with show.progress("walking", 2 * steps, "steps") as bar:
        for step, x in enumerate(walk(x0, levels, noise), start=1):
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


def bonds(walk: ChainBesideJump) -> list[dict[str, float]]:
    """Correlations of the noise at the middle stop with that at the others."""
    from diffcli.core.levels import correlation
    from diffcli.lessons.gaussians.noising import correlated, correlation_error

    found, middle = [], walk.middle
    for stop in walk.chain:
        if stop == middle:
            continue
        s, t = sorted((stop, middle))
        true = correlation(walk.levels[s], walk.levels[t]).item()
        jumped = (walk.jump(v) - walk.levels[v].alpha * walk.x0 for v in (s, t))
        found.append(
            {
                "s": walk.time(s),
                "t": walk.time(t),
                "chain": correlated(walk.left(s), walk.left(t)),
                "true": true,
                "standard_error": correlation_error(true, walk.x0.numel()),
                "jump": correlated(*jumped),
            }
        )
    return found
