"""Schedules with less or more noise at every time, for items of another size."""

import math

import torch
from torch import Tensor

from diffcli.core.diffusion.schedules import Schedule


class Shifted(Schedule):
    """A schedule with sigma / alpha `shift` times as large at every time: its log-SNR falls by 2 log(shift).

    What of a schedule is constant stays so: alpha² + sigma², alpha + sigma, or alpha. Items of m numbers instead of n,
    alike nearby, are hidden as well by shift sqrt(m / n): for the straight line Esser et al. 2024, 5.3.2; for others
    see Hoogeboom et al. 2023, section 3.1. Raises ValueError for other schedules, and unless 0 < shift < inf.
    """

    def __init__(self, schedule: Schedule, shift: float) -> None:
        if not 0 < shift < math.inf:
            raise ValueError("shift must be a number above 0")
        self.base, self.shift, self.length, self.first = schedule, shift, schedule.length, schedule.first
        level = schedule(torch.linspace(schedule.first, 1, 5, dtype=torch.float64))
        kinds = ((torch.hypot(*level), 2), (level.alpha + level.sigma, 1), (level.alpha, 0))
        powers = [power for total, power in kinds if torch.allclose(total, torch.ones_like(total), atol=1e-9)]
        if not powers:
            raise ValueError("shift needs a schedule whose alpha² + sigma², alpha + sigma or alpha is 1")
        self.power = powers[0]

    def alpha(self, t: Tensor) -> Tensor:
        return self.base.alpha(t) / self._length(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.shift * self.base.sigma(t) / self._length(t)

    def _length(self, t: Tensor) -> Tensor:
        alpha, sigma = self.base.alpha(t), self.shift * self.base.sigma(t)
        if self.power == 2:
            return torch.hypot(alpha, sigma)
        return alpha + sigma if self.power == 1 else alpha

    def training_time(self, t: Tensor) -> Tensor:
        return self.base.training_time(t)
