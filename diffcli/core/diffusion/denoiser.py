"""What a network predicts, and how a prediction of anything becomes one of (x0, eps)."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from diffcli.core.diffusion.schedules import Level, Schedule

Pair = tuple[Tensor | float, Tensor | float]

TARGETS: dict[str, Callable[[Tensor, Tensor], Pair]] = {
    # The network's output is a * x0 + b * eps, with (a, b) from a level of unit length, alpha² + sigma² = 1.
    "x0": lambda alpha, sigma: (1.0, 0.0),
    "eps": lambda alpha, sigma: (0.0, 1.0),  # Ho et al. 2020, eq. 14
    "v": lambda alpha, sigma: (-sigma, alpha),  # Salimans & Ho 2022, appendix D
    "flow": lambda alpha, sigma: (-1.0, 1.0),  # Lipman et al. 2023, eq. 23, time turned round
    "score": lambda alpha, sigma: (0.0, -1 / sigma),  # Song et al. 2021, eq. 7
}

LOG_SNR_LIMIT = 20.0  # beyond it either the signal or the noise is below float32's rounding


class Prediction(NamedTuple):
    """The estimates of clean data and noise at one level, x = alpha * x0 + sigma * eps; each like x."""

    x0: Tensor
    eps: Tensor


class Denoise(Protocol):
    """Anything that says what is data and what is noise in x [B, ...] at a level."""

    def __call__(self, x: Tensor, level: Level, **cond: Any) -> Prediction: ...


class Denoiser(nn.Module):
    """A network together with the meaning of its output, one of `TARGETS`.

    The network sees x scaled to alpha² + sigma² = 1 and the log-SNR, never the time and never the schedule,
    so that a model trained under one schedule can be sampled under another.

    network:  (x [B, ...], log_snr [B], **cond) -> like x
    """

    def __init__(self, network: nn.Module, predicts: str = "v") -> None:
        super().__init__()
        self.network = network
        self.predicts = predicts

    def forward(self, x: Tensor, level: Level, **cond: Any) -> Prediction:
        """Two equations, two unknowns: x = alpha x0 + sigma eps and output = a x0 + b eps."""
        length = torch.hypot(level.alpha, level.sigma)
        x, alpha, sigma = x / length, level.alpha / length, level.sigma / length
        a, b = TARGETS[self.predicts](alpha, sigma)
        output = self._output(x, Level(alpha, sigma), **cond)
        determinant = alpha * b - sigma * a
        return Prediction((b * x - sigma * output) / determinant, (alpha * output - a * x) / determinant)

    def loss(self, x0: Tensor, level: Level, eps: Tensor, **cond: Any) -> Tensor:
        """Mean squared error of the output per image, [B], in units of a² + b².

        The unit is 1 for x0, eps and v, so theirs are the papers' losses; it gives the score's loss Song's
        weight sigma² (Song et al. 2021, eq. 7) and halves flow's, which changes no minimum.
        """
        length = torch.hypot(level.alpha, level.sigma)
        level = Level(level.alpha / length, level.sigma / length)
        a, b = TARGETS[self.predicts](*level)
        error = (self._output(level.noised(x0, eps), level, **cond) - a * x0 - b * eps) / _size(a, b)
        return error.square().flatten(1).mean(1)

    def _output(self, x: Tensor, level: Level, **cond: Any) -> Tensor:
        """The network works in units of its target, so that a score of size 1 / sigma is as easy as noise of size 1."""
        log_snr = level.log_snr.clamp(-LOG_SNR_LIMIT, LOG_SNR_LIMIT).float().flatten().to(x.device)
        size = _size(*TARGETS[self.predicts](*level))
        return self.network(x, log_snr.expand(len(x)), **cond) * size


def check_pair(schedule: Schedule, predicts: str) -> None:
    """Refuse a target that cannot be turned into (x0, eps) at some level of the schedule.

    Raises ValueError where alpha(1) = 0 and the network predicts eps or its score: pure noise says nothing of x0.
    """
    alpha, sigma = schedule(torch.ones((), dtype=torch.float64))
    a, b = TARGETS[predicts](alpha, sigma)
    if abs(alpha * b - sigma * a) < 1e-12:
        raise ValueError(
            f"the schedule ends in pure noise (alpha(1) = 0), where predicting {predicts} does not tell x0"
        )


def _size(a: Tensor | float, b: Tensor | float) -> Tensor | float:
    return (a**2 + b**2) ** 0.5
