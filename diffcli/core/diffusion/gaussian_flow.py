"""The probability flow of a Gaussian law in closed form, and the part of a schedule that is left after it."""

import torch
from torch import Tensor

from diffcli.core.diffusion.exact import Gaussian
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.levels import Level


def flowed(law: Gaussian, x: Tensor, t: Level, s: Level) -> Tensor:
    """Where the probability flow of the law takes x [B, ...] from level t to level s, like x.

    Along each principal axis a point keeps its quantile: its distance from alpha times the mean is multiplied by the
    ratio of the standard deviations there, (alpha² v + sigma²)^½ (Wang & Vastola 2024, section 3). At a level without
    signal that is finite, too.
    """
    flat = x.flatten(1).double()
    here, there = (torch.hypot(level.alpha * law.std, level.sigma) for level in (t, s))
    kept = law.back(law.along(flat - t.alpha * law.mean) * (there / here))
    return (s.alpha * law.mean + kept).to(x.dtype).reshape(x.shape)


class Remaining(Schedule):
    """A schedule from the data up to one of its times, as a schedule of its own: its noisiest time is 1.

    last:  that time of the whole schedule, in (0, 1]
    """

    def __init__(self, whole: Schedule, last: float) -> None:
        self.whole, self.last = whole, last
        self.first = whole.first / last

    def alpha(self, t: Tensor) -> Tensor:
        return self.whole.alpha(t * self.last)

    def sigma(self, t: Tensor) -> Tensor:
        return self.whole.sigma(t * self.last)
