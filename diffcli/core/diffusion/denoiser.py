"""What a network predicts, and how a prediction of anything becomes one of (x0, eps)."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.diffusion.times import LossHistory
from diffcli.core.levels import Level

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
    """The estimates of clean data and noise at one level, x = alpha * x0 + sigma * eps; each like x.

    share:  where the log of the reverse step's variance lies, from the posterior's (0) to the forward step's (1), of
            a network that has learned it (Nichol & Dhariwal 2021, eq. 15); None of others
    """

    x0: Tensor
    eps: Tensor
    share: Tensor | None = None


class Denoise(Protocol):
    """Anything that says what is data and what is noise in x [B, ...] at a level."""

    def __call__(self, x: Tensor, level: Level, **cond: Any) -> Prediction: ...


class Denoiser(nn.Module):
    """A network together with the meaning of its output, one of `TARGETS`.

    The network sees x scaled to alpha² + sigma² = 1 and the log-SNR, never the time and never the schedule,
    so that a model trained under one schedule can be sampled under another.

    network:   (x [B, ...], log_snr [B], **cond) -> like x; with twice the channels where it learns the variance
    predicts:  what the output is, and the unit of the loss
    prior:     (x, level) -> mean and std of x0 given each number of x alone. With it the output is what the network
               adds to the mean, in units of the std, and it sees both beside x: knowing nothing it is that law's own
               denoiser, and where that law is certain it cannot err. `predicts` is then the unit of the loss only.
    learned:   whether the output's second half is the `share` of `Prediction`, as 2 share - 1
    history:   what training remembers of its losses; no part of the prediction
    """

    def __init__(
        self,
        network: nn.Module,
        predicts: str = "v",
        *,
        prior: nn.Module | None = None,
        learned: bool = False,
        history: LossHistory | None = None,
    ) -> None:
        super().__init__()
        self.network, self.prior, self.history = network, prior, history
        self.predicts, self.learned = predicts, learned

    def forward(self, x: Tensor, level: Level, **cond: Any) -> Prediction:
        """Two equations, two unknowns: x = alpha x0 + sigma eps and output = a x0 + b eps."""
        x, level = _unit(x, level)
        alpha, sigma = level
        output, share, known = self._output(x, level, **cond)
        if known:
            x0 = known[0] + known[1] * output
            return Prediction(x0, (x - alpha * x0) / sigma, share)
        a, b = TARGETS[self.predicts](alpha, sigma)
        determinant = alpha * b - sigma * a
        return Prediction((b * x - sigma * output) / determinant, (alpha * output - a * x) / determinant, share)

    def loss(self, x0: Tensor, level: Level, eps: Tensor, **cond: Any) -> Tensor:
        """Mean squared error of the output per image, [B], in units of a² + b².

        The unit is 1 for x0, eps and v, so theirs are the papers' losses; it gives the score's loss Song's
        weight sigma² (Song et al. 2021, eq. 7) and halves flow's, which changes no minimum.
        """
        _, level = _unit(x0, level)
        alpha, sigma = level
        a, b = TARGETS[self.predicts](*level)
        output, _, known = self._output(level.noised(x0, eps), level, **cond)
        if known:  # in the same unit: an error of x0 is one of a x0 + b eps
            error = (known[0] + known[1] * output - x0) * (a - b * alpha / sigma) / _size(a, b)
        else:
            error = (output - a * x0 - b * eps) / _size(a, b)
        return error.square().flatten(1).mean(1)

    def _output(
        self, x: Tensor, level: Level, **cond: Any
    ) -> tuple[Tensor, Tensor | None, tuple[Tensor, Tensor] | None]:
        """Output, share, and mean and std of the prior.

        The network works in units of its target, so that a score of size 1 / sigma is as easy as noise of size 1.
        """
        log_snr = level.log_snr.clamp(-LOG_SNR_LIMIT, LOG_SNR_LIMIT).float().flatten().to(x.device)
        known = self.prior(x, level) if self.prior else None
        output = self.network(torch.cat([x, *known], 1) if known else x, log_snr.expand(len(x)), **cond)
        output, share = output.chunk(2, 1) if self.learned else (output, None)
        share = None if share is None else (share + 1) / 2
        return output if known else output * _size(*TARGETS[self.predicts](*level)), share, known


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


def _unit(x: Tensor, level: Level) -> tuple[Tensor, Level]:
    """Both with alpha² + sigma² = 1."""
    length = torch.hypot(level.alpha, level.sigma)
    return x / length, Level(level.alpha / length, level.sigma / length)


def _size(a: Tensor | float, b: Tensor | float) -> Tensor | float:
    return (a**2 + b**2) ** 0.5
