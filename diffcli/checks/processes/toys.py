"""The toy laws in the plane: their draws have the moments of the curves and squares that they are said to be."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray

from diffcli.checks.check import Finding, check, near
from diffcli.core.processes.laws import toys
from diffcli.core.randomness import keyed

DRAWS = 100_000
Numbers = NDArray[np.float64]
Law = tuple[Numbers, Numbers, float]
"""Points [K, 2], their shares [K], and the standard deviation of the noise around each."""


def along(start: float, end: float, count: int = 60) -> tuple[Numbers, Numbers]:
    """Places between two ends and their shares, for smooth functions of a uniform number (Gauss and Legendre)."""
    nodes, weights = leggauss(count)
    return start + (end - start) * (nodes + 1) / 2, weights / 2


def curve(x: Numbers, y: Numbers, shares: Numbers) -> Law:
    """A curve in standard units, as the noise of a tenth leaves it."""
    points = np.stack([x, y], axis=1)
    points = points - shares @ points
    points = points / np.sqrt(shares @ points**2)
    return math.sqrt(1 - 0.1**2) * points, shares, 0.1


def moons() -> Law:
    """scikit-learn's `make_moons`: (cos, sin) above, (1 - cos, 1/2 - sin) below, angles uniform in a half turn."""
    angle, share = along(0, math.pi)
    x = np.concatenate([np.cos(angle), 1 - np.cos(angle)])
    return curve(x, np.concatenate([np.sin(angle), 0.5 - np.sin(angle)]), np.concatenate([share, share]) / 2)


def roll() -> Law:
    """scikit-learn's `make_swiss_roll`: t (cos t, sin t), t uniform from 3/2 π to 9/2 π."""
    angle, share = along(1.5 * math.pi, 4.5 * math.pi)
    return curve(angle * np.cos(angle), angle * np.sin(angle), share)


def ring() -> Law:
    """Eight Gaussians on a circle whose radius makes the variance of a coordinate 1."""
    angle = 2 * np.pi * np.arange(8) / 8
    return 1.4 * np.stack([np.cos(angle), np.sin(angle)], axis=1), np.full(8, 1 / 8), math.sqrt(0.02)


def board() -> Law:
    """Squares of a 4x4 board of side 2 √3 where column and row add up to an even number."""
    nodes, weights = along(0, 1, 16)
    x, y = np.meshgrid(nodes, nodes)
    inside, shares = np.stack([x.ravel(), y.ravel()], axis=1), np.outer(weights, weights).ravel()
    dark = [(i, j) for i in range(4) for j in range(4) if (i + j) % 2 == 0]
    return np.concatenate([(inside + corner - 2) * math.sqrt(3) / 2 for corner in dark]), np.tile(shares, 8) / 8, 0.0


TOYS = {"mixture": ring, "moons": moons, "swiss-roll": roll, "checkerboard": board}


def monomials(x: Numbers, y: Numbers) -> Numbers:
    """x^i y^j for i + j = 1 ... 6, and waves that tell squares apart, [27 + 4, ...]."""
    waves = [f(2 * x) * g(2 * y) for f in (np.sin, np.cos) for g in (np.sin, np.cos)]
    powers = [[np.ones_like(v)] for v in (x, y)]
    for values, v in zip(powers, (x, y), strict=True):
        for _ in range(6):
            values.append(values[-1] * v)
    return np.stack([powers[0][i] * powers[1][j] for i in range(7) for j in range(7) if 0 < i + j <= 6] + waves)


def expected(law: Law) -> Numbers:
    """Their means under the law, by quadrature over its noise too."""
    points, shares, noise = law
    nodes, weights = hermegauss(7 if noise else 1)
    total = np.zeros(31)
    for a, p in zip(nodes, weights, strict=True):
        for b, q in zip(nodes, weights, strict=True):
            values = monomials(points[:, 0] + noise * a, points[:, 1] + noise * b)
            total += p * q / (2 * math.pi) * (values @ shares)
    return total


@check(
    "the toys have mean 0 and variance 1 in closed form, and the moments of their curves and squares up to the sixth",
    "Metz et al. 2017, section 3.1; Sohl-Dickstein et al. 2015; Grathwohl et al. 2019; scikit-learn's make_moons",
)
def toy_laws() -> Iterator[Finding]:
    for name, make in TOYS.items():
        law = make()
        points, shares, noise = law
        yield near(f"{name}, mean", 0, torch.as_tensor(shares @ points), abs=1e-12)
        yield near(f"{name}, variance", 1, torch.as_tensor(shares @ points**2) + noise**2, rel=1e-9)
        drawn = toys.TOYS[name](DRAWS, keyed(3, f"truth {name}"))
        values = monomials(*drawn.double().numpy().T)
        error = values.std(1) / math.sqrt(DRAWS)
        miss = (values.mean(1) - expected(law)) / error
        yield near(f"{name}, moments, the worst in standard errors", 0, np.abs(miss).max(), abs=4.5)
        yield near(f"{name}, bytes of a number", 4, drawn.element_size())


@check("a ring of any number and width has variance 1", "the variance of a coordinate is radius² / 2 + std²")
def rings() -> Iterator[Finding]:
    for count, std in ((8, math.sqrt(0.02)), (3, 0.5), (5, 0.0)):
        law = toys.ring(count, std)
        yield near(f"{count}, weights", 1 / count, law.weights, rel=1e-6)
        yield near(f"{count}, radius", math.sqrt(2 - 2 * std**2), law.means.norm(dim=1), rel=1e-12)
        turn = torch.atan2(law.means[:, 1], law.means[:, 0]) / (2 * math.pi) * count % count
        yield near(f"{count}, angles", torch.arange(count).double(), (turn + 0.5) % count - 0.5, abs=1e-9)
        yield near(f"{count}, widths", std, law.stds, rel=1e-6)
