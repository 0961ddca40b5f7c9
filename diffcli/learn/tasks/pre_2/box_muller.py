"""Held to the package's own map, which `verify` holds to a density, and to the covariance of a grid."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.core.processes.montecarlo.methods import ring
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def box_muller(u: Tensor) -> Tensor:
    """Two standard normal numbers from each pair of uniform ones.

    u: [N, 2], uniform numbers in (0, 1); the radius is made of u[:, 0], the angle, from 0 to 2π, of u[:, 1]

    Returns [N, 2]: radius · cos(angle), radius · sin(angle).
    """
    radius = torch.sqrt(-2 * torch.log(u[:, 0]))
    angle = 2 * math.pi * u[:, 1]
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)


truth = ring


def questions(ask: Ask) -> Iterator[Seen]:
    yield Seen("u = (0.5, 0.1)", ask(torch.tensor([[0.5, 0.1]])))
    yield Seen("u = (0.9, 0.3), (0.01, 0.6), (0.2, 0.95)", ask(torch.tensor([[0.9, 0.3], [0.01, 0.6], [0.2, 0.95]])))
    even = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
    z = torch.as_tensor(ask(torch.cartesian_prod(even, even))).reshape(-1, 2)
    yield Seen("covariance of z over a grid of 40,000 even pairs u", z.T @ z / len(z))


WRONG = [
    Swap("no-two", "without the 2 under the root: these numbers are too small by √2", "P(radius > r) = exp(−r²/2)",
         "-2 * torch.log", "-torch.log"),
    Swap("no-root", "with the squared radius", "the meaning of −2 log u: the square of the radius",
         "torch.sqrt(-2 * torch.log(u[:, 0]))", "-2 * torch.log(u[:, 0])"),
    Swap("half-circle", "with angles over half a circle only", "the size of a full turn", "2 * math.pi", "math.pi"),
    Swap("swapped", "when the radius is made of the second number and the angle of the first",
         "the order that the docstring gives",
         "radius = torch.sqrt(-2 * torch.log(u[:, 0]))\n    angle = 2 * math.pi * u[:, 1]",
         "radius = torch.sqrt(-2 * torch.log(u[:, 1]))\n    angle = 2 * math.pi * u[:, 0]"),
    Swap("same-twice", "with the cosine for both, so that the two are one number", "the second coordinate on a circle",
         "torch.sin(angle)", "torch.cos(angle)"),
    Swap("sine-first", "with sine and cosine the other way round", "the order that the docstring gives",
         "[radius * torch.cos(angle), radius * torch.sin(angle)]",
         "[radius * torch.sin(angle), radius * torch.cos(angle)]"),
    Swap("turns", "when the angle is a share of a turn, not in radians", "the unit that torch.cos takes: radians",
         "2 * math.pi * u[:, 1]", "u[:, 1]"),
]  # fmt: skip


@wrong("with 1 − u₁ in the logarithm: right in its law, but other numbers", "the number in the logarithm: u₁")
def one_minus(u: Tensor) -> Tensor:
    return ring(torch.stack([1 - u[:, 0], u[:, 1]], dim=1))


@wrong("with log to the base of 10", "the base of the logarithm: e")
def base_ten(u: Tensor) -> Tensor:
    return ring(u) / math.sqrt(math.log(10))


@right
def by_complex_numbers(u: Tensor) -> Tensor:
    return torch.view_as_real(torch.polar((-2 * u[:, 0].log()).sqrt(), 2 * math.pi * u[:, 1]))


@right
def in_numpy(u: Tensor) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    first, second = u.double().numpy().T
    radius = np.sqrt(2 * np.log(1 / first))
    return np.stack([radius * np.cos(2 * np.pi * second), radius * np.sin(2 * np.pi * second)], axis=-1)


@right
def in_place(u: Tensor) -> Tensor:
    z = torch.empty_like(u)
    z[:, 0], z[:, 1] = torch.cos(u[:, 1] * math.tau), torch.sin(u[:, 1] * math.tau)
    z *= torch.log(u[:, :1] ** -2) ** 0.5
    return z
