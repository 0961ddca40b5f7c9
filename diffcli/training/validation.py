"""The loss on items that are held out."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffcli.core.diffusion.exact import linear_loss
from diffcli.core.diffusion.guidance import Conditions
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.levels import Level
from diffcli.core.randomness import image_noise


@dataclass(frozen=True)
class Validation:
    """Images with levels and noise that never change, so that their loss changes with the network only."""

    x0: Tensor
    conditions: Conditions
    level: Level
    eps: Tensor

    @classmethod
    def fixed(cls, x0: Tensor, conditions: Conditions, schedule: Schedule, seed: int) -> "Validation":
        """Levels spread evenly over t, image by image; noise keyed by image."""
        t = (torch.arange(len(x0), dtype=torch.float64) + 0.5) / len(x0)
        level = schedule(schedule.training_time(t).reshape(-1, *[1] * (x0.dim() - 1)))
        eps = image_noise(seed, "validation", range(len(x0)), x0.shape[1:])
        return cls(x0, conditions, Level(*(part.to(x0.dtype) for part in level)), eps)

    @torch.no_grad()
    def loss(self, denoiser: Any, batch: int = 256) -> float:
        """The mean loss of a `Denoiser` or `Corrector` on them, conditions given."""
        device = next(denoiser.parameters()).device
        total = 0.0
        for i in range(0, len(self.x0), batch):
            x0, alpha, sigma, eps = (part[i : i + batch].to(device) for part in (self.x0, *self.level, self.eps))
            told = {name: value[i : i + batch].to(device) for name, value in self.conditions.items()}
            total += denoiser.loss(x0, Level(alpha, sigma), eps, **told).sum().item()
        return total / len(self.x0)

    def linear_loss(self, spectrum: Tensor, predicts: str) -> float:
        """The expected loss, at the same levels, of the best linear denoiser of data with this spectrum."""
        return linear_loss(spectrum, self.x0[0].numel(), self.level, predicts).mean().item()
