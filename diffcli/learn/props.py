"""What exercises hand to a learner's functions that has to be there where they run: small modules, and no truths."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, weights are drawn from this seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def parted(found: Any, *names: str) -> list[Any]:
    """The things of an answer that returns several, each for a `Seen` of its own; of no answer, nothing for each.

    names:  as one would tell a learner: "the mean", "the variance"

    Raises ValueError where these are not as many.
    """
    if found is None:
        return [None] * len(names)
    if not isinstance(found, list | tuple | Tensor) or (isinstance(found, Tensor) and not found.ndim):
        raise ValueError(f"{len(names)} things are wanted: {', '.join(names)}")
    if len(found) != len(names):
        raise ValueError(f"{len(names)} things are wanted, and not {len(found)}: {', '.join(names)}")
    return list(found)


class Mlp(nn.Module):
    """(x [B, ...] of `dimensions` numbers each, t [B] or a number) -> like x: a small network of a seed.

    outputs:  numbers that it gives for each item, [B, outputs], where they are not those of x
    """

    def __init__(self, dimensions: int, outputs: int | None = None, width: int = 16, seed: int = 0) -> None:
        super().__init__()
        self.outputs = outputs
        with seeded(seed):
            self.layers = nn.Sequential(
                nn.Linear(dimensions + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
                nn.Linear(width, dimensions if outputs is None else outputs),
            )  # fmt: skip

    def forward(self, x: Tensor, t: Tensor | float) -> Tensor:
        time = torch.as_tensor(t, dtype=x.dtype).expand(len(x)).unsqueeze(1)
        found: Tensor = self.layers(torch.cat([x.flatten(1), time], dim=1))
        return found.reshape(x.shape) if self.outputs is None else found


class SmallDenoiser(Mlp):
    """(y [B, ...], sigma [B] or a number) -> like y: the same network, told the noise."""

    def forward(self, y: Tensor, sigma: Tensor | float) -> Tensor:
        if isinstance(sigma, Tensor) and sigma.shape not in ((), (len(y),)):
            raise ValueError(
                f"sigma has the shape {list(sigma.shape)}, the denoiser takes [{len(y)}], one σ for each item"
            )
        return super().forward(y, sigma)


class ToldBlock(nn.Module):
    """(h [B, C, H, W], told [B, E]) -> [B, channels, H, W]: the smallest block of a U-Net that is told something."""

    def __init__(self, channels_in: int, channels: int, told: int, seed: int = 0) -> None:
        super().__init__()
        with seeded(seed):
            self.mix, self.tell = nn.Conv2d(channels_in, channels, 1), nn.Linear(told, channels)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        return torch.tanh(self.mix(h) + self.tell(told).unsqueeze(-1).unsqueeze(-1))


class Polynomial(nn.Module):
    """x of any shape, or a number -> like x, Σ c[k] x^k: a density that costs nothing to ask for."""

    def __init__(self, *coefficients: float) -> None:
        super().__init__()
        self.coefficients = coefficients

    def forward(self, x: Tensor | float) -> Tensor:
        x = torch.as_tensor(x)
        found = torch.zeros_like(x) + self.coefficients[-1]
        for coefficient in reversed(self.coefficients[:-1]):
            found = found * x + coefficient
        return found


class Powers(nn.Module):
    """x in [0, 1], of any shape, or a number -> like x, x^a (1 - x)^b: a beta law but for its constant."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x: Tensor | float) -> Tensor:
        x = torch.as_tensor(x)
        return x**self.a * (1 - x) ** self.b
