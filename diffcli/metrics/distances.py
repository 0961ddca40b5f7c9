"""How far two sets of points are from each other."""

import torch
from torch import Tensor

from diffcli.core.randomness import keyed

ROWS = 2000  # points of one set compared with all of the other at once


def energy(a: Tensor, b: Tensor) -> float:
    """The energy distance 2 E|a - b| - E|a - a'| - E|b - b'| of points [N, D] and [M, D] (Székely & Rizzo 2013).

    The expectations are over pairs of different points, so two samples of one law are at 0 on the average.
    """
    return 2 * _distance(a, b) / (len(a) * len(b)) - sum(_distance(x, x) / (len(x) * (len(x) - 1)) for x in (a, b))


def sliced_wasserstein(a: Tensor, b: Tensor, directions: int = 256) -> float:
    """The root mean square, over directions, of the 2-Wasserstein distance of two projected sets [N, D], as many each.

    Bonneel et al. 2015; in one dimension the optimal transport sorts.
    """
    normal = torch.randn(a.shape[1], directions, generator=keyed(0, "slices"), dtype=torch.float64)
    normal = normal / normal.norm(dim=0)
    gaps = [(points.double() @ normal).sort(dim=0).values for points in (a, b)]
    return (gaps[0] - gaps[1]).square().mean().sqrt().item()


def _distance(a: Tensor, b: Tensor) -> float:
    """The sum of the distances of all pairs."""
    return sum(torch.cdist(part, b.double()).sum().item() for part in a.double().split(ROWS))
