"""What a network predicts, and how a prediction of anything becomes one of (x0, eps)."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from diffcli.core.devices import sent
from diffcli.core.diffusion.schedules import Schedule
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

    variance_fraction:  where the log of the reverse step's variance lies, from the posterior's (0) to the forward
                        step's (1), of a network that has learned it (Nichol & Dhariwal 2021, eq. 15); None of others
    """

    x0: Tensor
    eps: Tensor
    variance_fraction: Tensor | None = None


class Denoise(Protocol):
    """Anything that says what is data and what is noise in x [B, ...] at a level."""

    def __call__(self, x: Tensor, level: Level, **cond: Any) -> Prediction: ...


class Denoiser(nn.Module):
    """A network together with the meaning of its output, one of `TARGETS`.

    The network sees x scaled to alpha² + sigma² = 1 and the log-SNR, never the time and never the schedule,
    so that a model trained under one schedule can be sampled under another.

    network:   (x [B, ...], log_snr [B], **cond) -> like x; with twice the channels where it learns the variance
    predicts:  what the output is, and the unit of the loss
    learned:   whether the output's second half is the `variance_fraction` f of `Prediction`, as 2 f - 1
    """

    def __init__(self, network: nn.Module, predicts: str = "v", *, learned: bool = False) -> None:
        super().__init__()
        self.network, self.predicts, self.learned = network, predicts, learned

    def forward(self, x: Tensor, level: Level, **cond: Any) -> Prediction:
        """Two equations, two unknowns: x = alpha x0 + sigma eps and output = a x0 + b eps."""
        x, level = unit(x, level)
        alpha, sigma = level
        a, b = TARGETS[self.predicts](alpha, sigma)
        output, fraction = self._output(x, level, **cond)
        determinant = alpha * b - sigma * a
        return Prediction((b * x - sigma * output) / determinant, (alpha * output - a * x) / determinant, fraction)

    def loss(self, x0: Tensor, level: Level, eps: Tensor, **cond: Any) -> Tensor:
        """Mean squared error of the output per image, [B], in units of a² + b².

        The unit is 1 for x0, eps and v, so theirs are the papers' losses; it gives the score's loss Song's
        weight sigma² (Song et al. 2021, eq. 7) and halves flow's, which changes no minimum.
        """
        _, level = unit(x0, level)
        a, b = TARGETS[self.predicts](*level)
        output, _ = self._output(level.noised(x0, eps), level, **cond)
        return ((output - a * x0 - b * eps) / target_scale(a, b)).square().flatten(1).mean(1)

    def _output(self, x: Tensor, level: Level, **cond: Any) -> tuple[Tensor, Tensor | None]:
        """The output, and the fraction of the variance.

        The network works in units of its target, so that a score of size 1 / sigma is as easy as noise of size 1.
        """
        output, fraction = evaluated(self.network, x, level, learned=self.learned, **cond)
        return output * target_scale(*TARGETS[self.predicts](*level)), fraction


class Corrector(nn.Module):
    """A network that corrects what a prior makes of each number of x alone.

    Its output is what it adds to the prior's mean, in units of the prior's standard deviation, and it sees both beside
    x. So knowing nothing it is the prior's own denoiser, and where the prior is certain it cannot err.

    network:   (x, mean and std on top of each other [B, 3 C, ...], log_snr [B], **cond) -> [B, C, ...], with twice the
               channels where it learns the variance
    prior:     (x, level) -> mean and std of x0 given each number of x
    predicts:  the target whose units the loss has, as that of `Denoiser`
    learned:   as of `Denoiser`
    """

    def __init__(self, network: nn.Module, prior: nn.Module, predicts: str = "v", *, learned: bool = False) -> None:
        super().__init__()
        self.network, self.prior, self.predicts, self.learned = network, prior, predicts, learned

    def forward(self, x: Tensor, level: Level, **cond: Any) -> Prediction:
        x, level = unit(x, level)
        mean, std = self.prior(x, level)
        output, fraction = evaluated(self.network, torch.cat([x, mean, std], 1), level, learned=self.learned, **cond)
        x0 = mean + std * output
        return Prediction(x0, (x - level.alpha * x0) / level.sigma, fraction)

    def loss(self, x0: Tensor, level: Level, eps: Tensor, **cond: Any) -> Tensor:
        """The loss of `Denoiser`, [B]: given x, an error of x0 is one of a - b alpha / sigma in a x0 + b eps."""
        _, level = unit(x0, level)
        alpha, sigma = level
        a, b = TARGETS[self.predicts](*level)
        error = (self(level.noised(x0, eps), level, **cond).x0 - x0) * (a - b * alpha / sigma) / target_scale(a, b)
        return error.square().flatten(1).mean(1)


def evaluated(
    network: nn.Module, x: Tensor, level: Level, *, learned: bool, **cond: Any
) -> tuple[Tensor, Tensor | None]:
    """What a network says of x at a level of unit length: its output, and the fraction of the variance if learned."""
    log_snr = sent(level.log_snr.clamp(-LOG_SNR_LIMIT, LOG_SNR_LIMIT).float().flatten(), x.device)
    known = getattr(network, "nulls", cond)  # the conditions that it takes
    output = network(x, log_snr.expand(len(x)), **{name: value for name, value in cond.items() if name in known})
    if not learned:
        return output, None
    output, fraction = output.chunk(2, 1)
    return output, (fraction + 1) / 2


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


def unit(x: Tensor, level: Level) -> tuple[Tensor, Level]:
    """x and its level scaled so that alpha² + sigma² = 1."""
    length = torch.hypot(level.alpha, level.sigma)
    return x / length, Level(level.alpha / length, level.sigma / length)


def target_scale(a: Tensor | float, b: Tensor | float) -> Tensor | float:
    """The length of a target a x0 + b eps whose parts have variance 1."""
    return (a**2 + b**2) ** 0.5
