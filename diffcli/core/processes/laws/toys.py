"""Points in the plane from known laws, every coordinate with mean 0 and variance 1: data that can be seen whole."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

Draw = Callable[[int, Generator], Tensor]
"""(N, generator) -> float32 [N, 2], each point drawn on its own."""


class Components(NamedTuple):
    """Gaussians with weights [K], means [K, D] and standard deviations [K], the same in every direction."""

    weights: Tensor
    means: Tensor
    stds: Tensor


def ring(count: int = 8, std: float = math.sqrt(0.02)) -> Components:
    """Equal Gaussians evenly on a circle (as Metz et al. 2017, section 3.1), float64.

    A coordinate has variance radius² / 2 + std², which the radius makes 1 (1.4 for the default std).
    """
    angles = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    radius = math.sqrt(2 * (1 - std**2))
    means = radius * torch.stack([angles.cos(), angles.sin()], dim=1)
    return Components(torch.full((count,), 1 / count).double(), means, torch.full((count,), std).double())


MIXTURE = ring()
"""The law of the data set `mixture`."""


def mixture(count: int, generator: Generator, law: Components = MIXTURE) -> Tensor:
    """Draws from a mixture of Gaussians, [count, D]."""
    chosen = torch.multinomial(law.weights, count, replacement=True, generator=generator)
    noise = torch.randn(count, law.means.shape[1], generator=generator)
    return (law.means[chosen] + law.stds[chosen].unsqueeze(1) * noise).float()


def moons(count: int, generator: Generator) -> Tensor:
    """Two half circles that reach into each other, as scikit-learn's `make_moons`, and noise."""
    angle = math.pi * torch.rand(count, generator=generator, dtype=torch.float64)
    lower = torch.rand(count, generator=generator) < 0.5
    x = torch.where(lower, 1 - angle.cos(), angle.cos())
    y = torch.where(lower, 0.5 - angle.sin(), angle.sin())
    return _blurred((x, 0.5, 0.75), (y, 0.25, 9 / 16 - 1 / math.pi), generator)


def swiss_roll(count: int, generator: Generator) -> Tensor:
    """A spiral of one turn and a half, as scikit-learn's `make_swiss_roll` seen from the end, and noise.

    The toy of Sohl-Dickstein et al. 2015, figure 1. Its angle is uniform, so the inner turn is the denser one.
    """
    angle = 1.5 * math.pi * (1 + 2 * torch.rand(count, generator=generator, dtype=torch.float64))
    x, y = angle * angle.cos(), angle * angle.sin()
    square = 4.875 * math.pi**2  # half of E angle², which cos² and sin² share but for 1/4
    return _blurred(
        (x, 2.0, square - 0.25 - 4),
        (y, 2 / (3 * math.pi), square + 0.25 - 4 / (9 * math.pi**2)),
        generator,
    )


def checkerboard(count: int, generator: Generator) -> Tensor:
    """Uniform on the eight dark squares of a 4x4 board over [-√3, √3]² (Grathwohl et al. 2019, section 4.1).

    Square (i, j), counted from the lower left, is dark where i + j is even.
    """
    place = 4 * torch.rand(count, generator=generator, dtype=torch.float64)
    row = 2 * torch.randint(0, 2, (count,), generator=generator) + place.floor() % 2
    height = row + torch.rand(count, generator=generator, dtype=torch.float64)
    return ((torch.stack([place, height], dim=1) - 2) * (math.sqrt(3) / 2)).float()


NOISE = 0.1
"""Standard deviation of the noise around the curves, in units of the data."""


def _blurred(x: tuple[Tensor, float, float], y: tuple[Tensor, float, float], generator: Generator) -> Tensor:
    """Each coordinate with its mean and variance -> standard units, at the noise level (√(1 - NOISE²), NOISE)."""
    curve = torch.stack([(value - mean) / math.sqrt(variance) for value, mean, variance in (x, y)], dim=1)
    noise = torch.randn(curve.shape, generator=generator, dtype=torch.float64)
    return (math.sqrt(1 - NOISE**2) * curve + NOISE * noise).float()


TOYS: dict[str, Draw] = {
    "mixture": mixture,
    "moons": moons,
    "swiss-roll": swiss_roll,
    "checkerboard": checkerboard,
}
