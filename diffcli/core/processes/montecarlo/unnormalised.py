"""Densities that are known up to their constant, with the constant: what annealed importance sampling is tried on."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from diffcli.core.processes.laws.rbm import Machine, random_machine
from diffcli.core.processes.laws.toys import Components
from diffcli.core.processes.montecarlo.annealing import between
from diffcli.core.processes.montecarlo.kernels import LogDensity

WIDEST = 100
"""The most dimensions, and the furthest that a mode may be from the middle."""

RADII, BLOCK = 240, 1000  # of the quadrature over all dimensions but two: distances, points at once


class Unnormalised(NamedTuple):
    """A density on R^D up to a constant that is known; the way to it begins at the standard normal law.

    dimension:    D
    log_density:  x [B, D] -> log f(x) [B], in nats
    log_z:        log of the integral of f
    draw:         (N, generator) -> exact draws, float64 [N, D]
    plane:        orthonormal directions in which to look at it, [D, 2]
    marginal:     (beta, points [M, 2] of the plane) -> log density there of the law at beta, up to a constant, [M];
                  None where it is not known
    ladder:       the name of one that suits it
    """

    dimension: int
    log_density: LogDensity
    log_z: float
    draw: Callable[[int, Generator], Tensor]
    plane: Tensor
    marginal: Callable[[float, Tensor], Tensor | None]
    ladder: str = "linear"


def standard(x: Tensor) -> Tensor:
    """log N(x; 0, I) of x [B, D], [B]: the normalised start of every way."""
    return -x.square().sum(1) / 2 - x.shape[1] / 2 * math.log(2 * math.pi)


def draw_standard(count: int, dimension: int, generator: Generator) -> Tensor:
    """Exact draws of the start, float64 [count, dimension]."""
    return torch.randn(count, dimension, generator=generator, dtype=torch.float64)


def log_mixture(law: Components, square: Tensor, dimension: int) -> Tensor:
    """log density of a mixture on R^dimension, from squared distances to its means [..., K], [...]."""
    normal = -square / (2 * law.stds**2) - dimension / 2 * (2 * math.pi * law.stds**2).log()
    return (law.weights.log() + normal).logsumexp(-1)


def squares(x: Tensor, means: Tensor) -> Tensor:
    """|x - mean|² of x [B, D] and means [K, D], [B, K]."""
    return (x.unsqueeze(1) - means).square().sum(2)


def of_mixture(law: Components, plane: Tensor, log_z: float, ladder: str) -> Unnormalised:
    """exp(log_z) times a mixture of isotropic Gaussians in the plane [D, 2], with means [K, 2] in its coordinates."""
    dimension, means = len(plane), law.means @ plane.T

    def log_density(x: Tensor) -> Tensor:
        return log_z + log_mixture(law, squares(x, means), dimension)

    def draw(count: int, generator: Generator) -> Tensor:
        chosen = torch.multinomial(law.weights, count, replacement=True, generator=generator)
        return means[chosen] + law.stds[chosen].unsqueeze(1) * draw_standard(count, dimension, generator)

    def marginal(beta: float, points: Tensor) -> Tensor:
        """The law depends on the place in the plane and on the distance r from it only: an integral over r."""
        if dimension == 2:
            return path(beta, points.square().sum(1), squares(points, law.means))
        return torch.cat([around(beta, part) for part in points.split(BLOCK)])

    def around(beta: float, points: Tensor) -> Tensor:
        r = torch.logspace(-3, math.log10(WIDEST), RADII, dtype=torch.float64)  # r^(D - 3) dr = r^(D - 2) d log r
        apart = squares(points, law.means).unsqueeze(1) + r.square().reshape(-1, 1)
        along = path(beta, points.square().sum(1, keepdim=True) + r**2, apart)
        return (along + (dimension - 2) * r.log()).logsumexp(1)

    def path(beta: float, from_middle: Tensor, from_means: Tensor) -> Tensor:
        return beta * log_mixture(law, from_means, dimension) - (1 - beta) * from_middle / 2

    return Unnormalised(dimension, log_density, log_z, draw, plane, marginal, ladder)


def _checked(dimension: int, *stds: float, distance: float = 0.0) -> None:
    if not 2 <= dimension <= WIDEST:
        raise ValueError(f"dimension must be from 2 to {WIDEST}")
    if not all(1e-3 <= std <= WIDEST for std in stds):
        raise ValueError(f"a standard deviation must be from 0.001 to {WIDEST}")
    if abs(distance) > WIDEST:
        raise ValueError(f"a mode may be at most {WIDEST} from the middle")


def _diagonal(dimension: int) -> Tensor:
    """The plane of (1, ..., 1) and (1, -1, 0, ..., 0), as directions of length 1."""
    across = torch.zeros(dimension, dtype=torch.float64)
    across[:2] = torch.tensor([1.0, -1.0], dtype=torch.float64)
    return torch.stack([torch.ones(dimension).double() / math.sqrt(dimension), across / math.sqrt(2)], dim=1)


def _law(weights: list[float], means: list[list[float]], stds: list[float]) -> Components:
    return Components(*(torch.tensor(values, dtype=torch.float64) for values in (weights, means, stds)))


def unimodal(dimension: int = 6, mean: float = 1.0, std: float = 0.1) -> Unnormalised:
    """f(x) = exp(-Σ (x_i - mean)² / 2 std²), independent coordinates, in the manner of Neal 2001."""
    _checked(dimension, std, distance=mean)
    law = _law([1.0], [[mean * math.sqrt(dimension), 0.0]], [std])
    return of_mixture(law, _diagonal(dimension), dimension / 2 * math.log(2 * math.pi * std**2), "neal")


def bimodal(
    dimension: int = 6, separation: float = 1.0, std: float = 0.1, narrow: float = 0.05, weight: float = 2 / 3
) -> Unnormalised:
    """Two Gaussians on the diagonal, the narrower one heavier, in the manner of Neal 2001.

    f(x) = exp(-Σ (x_i - separation)² / 2 std²) + c exp(-Σ (x_i + separation)² / 2 narrow²), where c gives the second a
    share `weight` of the whole: 128 in six dimensions. So Z = (2 π std²)^(D / 2) / (1 - weight).
    """
    _checked(dimension, std, narrow, distance=separation)
    if not 0 < weight < 1:
        raise ValueError("weight must be between 0 and 1")
    far = separation * math.sqrt(dimension)
    law = _law([1 - weight, weight], [[far, 0.0], [-far, 0.0]], [std, narrow])
    log_z = dimension / 2 * math.log(2 * math.pi * std**2) - math.log(1 - weight)
    return of_mixture(law, _diagonal(dimension), log_z, "neal")


def mixture(
    dimension: int = 8, modes: int = 5, radius: float = 3.0, std: float = 0.3, ratio: float = 1.5, log_z: float = 5.0
) -> Unnormalised:
    """exp(log_z) times equal Gaussians on a circle in the first two coordinates, each `ratio` heavier than the last."""
    _checked(dimension, std, distance=radius)
    if not 1 <= modes <= 50:
        raise ValueError("modes must be from 1 to 50")
    if not 0.1 <= ratio <= 10:
        raise ValueError("ratio must be from 0.1 to 10")
    if abs(log_z) > 1000:
        raise ValueError("log-z must be from -1000 to 1000")
    angles = 2 * math.pi * torch.arange(modes, dtype=torch.float64) / modes
    weights = (math.log(ratio) * torch.arange(modes, dtype=torch.float64)).softmax(0)
    means = radius * torch.stack([angles.cos(), angles.sin()], dim=1)
    law = Components(weights, means, torch.full((modes,), std, dtype=torch.float64))
    return of_mixture(law, torch.eye(dimension, 2, dtype=torch.float64), log_z, "linear")


def rbm(visible: int = 10, hidden: int = 6, scale: float = 3.0, seed: int = 0) -> Unnormalised:
    """A Gaussian-Bernoulli restricted Boltzmann machine whose columns of weights have length `scale`, about."""
    machine = random_machine(visible, hidden, scale, seed)
    u, _, _ = torch.linalg.svd(machine.weights, full_matrices=True)
    plane = u[:, :2]

    def marginal(beta: float, points: Tensor) -> Tensor | None:
        if visible == 2:
            return between(standard, machine.log_density, beta)(points @ plane.T) if beta > 0 else standard(points)
        if beta == 0:
            return standard(points)
        return _seen(machine, plane, points) if beta == 1 else None

    return Unnormalised(visible, machine.log_density, machine.log_z(), machine.draw, plane, marginal)


def _seen(machine: Machine, plane: Tensor, points: Tensor) -> Tensor:
    """log density of the machine's visible units in a plane: one Gaussian for every state of the hidden ones."""
    means, log_shares = machine.mixture()
    return (log_shares - squares(points, means @ plane) / 2).logsumexp(1)


PROBLEMS: dict[str, Callable[..., Unnormalised]] = {
    "unimodal": unimodal,
    "bimodal": bimodal,
    "mixture": mixture,
    "rbm": rbm,
}
