"""Precision, recall, density, coverage: is what a model draws near the data, and the data near what it draws?"""

from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.metrics.distances import squared_distances

ROUNDING = 1e-9  # of a squared distance: the neighbour that a ball reaches to is inside, by whatever product it comes


class Coverage(NamedTuple):
    """Of generated features beside real ones.

    precision:  the share of generated ones inside a ball round a real one
    recall:     the share of real ones inside a ball round a generated one
    density:    how many real balls a generated one is in, over the number that is expected for one law
    coverage:   the share of real balls with a generated one inside
    """

    precision: float
    recall: float
    density: float
    coverage: float


def coverage(real: Tensor, generated: Tensor, nearest: int = 5, of_manifold: int = 3) -> Coverage:
    """Features [N, D] and [M, D]; a ball reaches to the k-th nearest neighbour in its own set, itself left out.

    Precision and recall are those of Kynkäänniemi et al. 2019 (eq. 1 and 2), with k = of_manifold; density and coverage
    those of Naeem et al. 2020 (section 3), with k = nearest. For two samples of one law density is 1 on the average and
    coverage `expected_coverage`. Raises ValueError where a set has too few features for its balls.
    """
    if len(real) <= max(nearest, of_manifold) or len(generated) <= of_manifold:
        raise ValueError(f"{len(real)} and {len(generated)} features are too few to have that many neighbours each")
    radii = _radii(real, max(nearest, of_manifold))
    wide, narrow = radii[:, nearest - 1], radii[:, of_manifold - 1]
    of_generated = _radii(generated, of_manifold)[:, of_manifold - 1]
    inside = torch.zeros(len(generated), dtype=torch.bool)
    recalled = covered = balls = first = 0
    for squares in squared_distances(real, generated):
        rows = slice(first, first := first + len(squares))
        inside |= (squares <= narrow[rows, None]).any(0)
        recalled += int((squares <= of_generated).any(1).sum())
        within = squares <= wide[rows, None]
        covered += int(within.any(1).sum())
        balls += int(within.sum())
    n, m = len(real), len(generated)
    return Coverage(inside.double().mean().item(), recalled / n, balls / (nearest * m), covered / n)


def expected_coverage(real: int, generated: int, nearest: int = 5) -> float:
    """The coverage that samples of one law have on the average, by their numbers (Naeem et al. 2020, section 3.3).

    A ball is empty if the k nearest of all other features are real.
    """
    empty = 1.0
    for i in range(1, nearest + 1):
        empty *= (real - i) / (real + generated - i)
    return 1 - empty


def _radii(features: Tensor, nearest: int) -> Tensor:
    """The squared distances of each of [N, D] from its nearest others, in increasing order, [N, nearest]."""
    found, first = [], 0
    for squares in squared_distances(features, features):
        rows = torch.arange(len(squares))
        squares[rows, first + rows] = torch.inf
        found.append(squares.topk(nearest, largest=False).values)
        first += len(squares)
    return torch.cat(found) * (1 + ROUNDING)
