"""What pixels are given a picture's parameters: bits, one of 256 values, or real numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from diffcli.core.draws import Source, drawn_uniform

STEP = 2 / 255
"""Between neighbours of the 256 values in [-1, 1]."""


class Pixels(Protocol):
    """p(x | parameters) of pixels x [B, C, H, W] in [-1, 1] that are independent given parameters [B, P * C, H, W].

    count:  P, numbers per pixel
    """

    @property
    def count(self) -> int: ...

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """In nats, of whole images, [B]."""
        ...

    def mean(self, parameters: Tensor) -> Tensor:
        """What to show, in [-1, 1]."""
        ...

    def draw(self, parameters: Tensor, generator: Generator) -> Tensor:
        """Pixels drawn from it."""
        ...


@dataclass(frozen=True)
class Bits:
    """Pixels that are -1 or 1; the parameter is the logit of 1."""

    count: int = 1

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        return F.logsigmoid(parameters * x).flatten(1).sum(1)

    def mean(self, parameters: Tensor) -> Tensor:
        return 2 * parameters.sigmoid() - 1

    def draw(self, parameters: Tensor, generator: Generator) -> Tensor:
        return bits(self.mean(parameters), generator)


@dataclass(frozen=True)
class Bytes:
    """Pixels with one of 256 values: a logistic law's share of each value's bin, the outer bins open to infinity.

    Salimans et al. 2017, eq. 1-2, with one component; the parameters are its mean and the log of its scale.
    """

    count: int = 2
    least: float = -7.0  # of the log-scale: a bin is e^-4.8 wide

    def law(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and scale."""
        mean, log_scale = parameters.chunk(2, dim=1)
        return mean, log_scale.clamp(min=self.least).exp()

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        mean, scale = self.law(parameters)
        upper, lower = (x + STEP / 2 - mean) / scale, (x - STEP / 2 - mean) / scale
        # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(l - u)), which does not cancel
        inner = F.logsigmoid(upper) + F.logsigmoid(-lower) + (-torch.expm1(-STEP / scale)).log()
        darkest, brightest = x < -1 + STEP / 2, x > 1 - STEP / 2
        share = torch.where(darkest, F.logsigmoid(upper), torch.where(brightest, F.logsigmoid(-lower), inner))
        return share.flatten(1).sum(1)

    def mean(self, parameters: Tensor) -> Tensor:
        return self.law(parameters)[0].clamp(-1, 1)

    def draw(self, parameters: Tensor, generator: Generator) -> Tensor:
        mean, scale = self.law(parameters)
        share = torch.rand(mean.shape, generator=generator).to(mean).clamp(1e-6, 1 - 1e-6)
        value = (mean + scale * share.logit()).clamp(-1, 1)
        return ((value + 1) / STEP).round() * STEP - 1


@dataclass(frozen=True)
class Reals:
    """Pixels that are real numbers: the parameter is the mean of a Gaussian with this standard deviation."""

    std: float = 0.5
    count: int = 1

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        square = ((x - parameters) / self.std).square()
        return -(square + math.log(2 * math.pi * self.std**2)).flatten(1).sum(1) / 2

    def mean(self, parameters: Tensor) -> Tensor:
        return parameters

    def draw(self, parameters: Tensor, generator: Generator) -> Tensor:
        return parameters + self.std * torch.randn(parameters.shape, generator=generator).to(parameters)


def bits(x: Tensor, source: Source) -> Tensor:
    """Each value of x in [-1, 1] as a bit, -1 or 1, that is x on average."""
    uniform = drawn_uniform(source, "bits", x.shape, x.dtype).to(x.device)
    return torch.where(2 * uniform - 1 < x, 1.0, -1.0)


PIXELS: dict[str, Callable[[float], Pixels]] = {  # of the noise
    "dynamic": lambda _: Bits(),
    "static": lambda _: Bits(),
    "8bit": lambda _: Bytes(),
    "real": Reals,
}
"""What is modelled, by name: bits drawn afresh at each step or once for all, the 256 values, or real numbers."""
