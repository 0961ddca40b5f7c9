"""How far two sets of points are from each other."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.randomness import keyed
from diffcli.metrics.groups import dealt

ROWS = 2000  # points of one set compared with all of the other at once
AT_ONCE = 1 << 21  # numbers: pairs in a block of squared distances, projections of points on some of the directions
ALPHA = 3.0  # of MIND, for each dimension


def energy(a: Tensor, b: Tensor) -> float:
    """The energy distance 2 E|a - b| - E|a - a'| - E|b - b'| of points [N, D] and [M, D] (Székely & Rizzo 2013).

    The expectations are over pairs of different points, so two samples of one law are at 0 on the average.
    """
    return 2 * _distance(a, b) / (len(a) * len(b)) - sum(_distance(x, x) / (len(x) * (len(x) - 1)) for x in (a, b))


def squared_distances(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    """The squared distances of points [N, D] from all of [M, D], [n, M] in float64, for some rows after others."""
    a, b = a.double(), b.double()
    lengths = b.square().sum(1)
    for part in a.split(max(1, AT_ONCE // len(b))):
        yield torch.addmm(lengths, part, b.T, alpha=-2).add_(part.square().sum(1, keepdim=True)).clamp_(min=0)


def sliced_wasserstein(a: Tensor, b: Tensor, directions: int = 256) -> float:
    """The root mean square, over random directions, of the 2-Wasserstein distance of two projected sets [N, D], [M, D].

    Bonneel et al. 2015; in one dimension the optimal transport sorts.
    """
    return math.sqrt(_mean_square(a, b, directions, seed=0))


def mind(x: Tensor, y: Tensor, projections: int = 1000, seed: int = 0) -> float:
    """The Monge Inception distance of features [N, D] and [M, D]: 3 D times the mean squared sliced one.

    Berthet et al. 2026, with alpha = 3 D: a shift by v is at 3 |v|². Unlike there no feature is left out where one set
    is larger: the quantile functions of both are compared, whatever their numbers. The directions are random, the same
    for one seed. Two samples of one law are at more than 0, by about 1 / N.
    """
    return ALPHA * x.shape[1] * _mean_square(x, y, projections, seed)


def sliced_error(
    x: Tensor, y: Tensor, projections: int = 100, seed: int = 0, groups: int = 20,
    strata: tuple[Tensor | None, Tensor | None] = (None, None),
) -> float:  # fmt: skip
    """The standard error of `mind`: a jackknife that leaves out one of so many groups of x, then of y.

    The rows fall into groups by chance. It tells how another sample of the same size would differ, not the bias; and
    hardly changes with the number of directions, so fewer do.

    strata:  of x [N] and of y [M], or None: every group has its share of each, see `groups.dealt`
    """
    labels = [
        dealt(len(points), groups, f"groups {i}", own)
        for i, (points, own) in enumerate(zip((x, y), strata, strict=True))
    ]
    left = torch.zeros(2, groups, dtype=torch.float64)
    for slices in _directions(x.shape[1], max(len(x), len(y)), projections, seed):
        (a, order_a), (b, order_b) = ((points.double() @ slices).sort(dim=0) for points in (x, y))
        of_a, of_b = labels[0][order_a], labels[1][order_b]
        for group in range(groups):
            left[0, group] += _squared_gaps(_without(a, of_a, group), b).sum()
            left[1, group] += _squared_gaps(a, _without(b, of_b, group)).sum()
    left *= ALPHA * x.shape[1] / projections
    return math.sqrt((groups - 1) * left.var(dim=1, correction=0).sum().item())


def _mean_square(a: Tensor, b: Tensor, count: int, seed: int) -> float:
    """The mean, over so many directions, of the squared 2-Wasserstein distance of the projections."""
    total = 0.0
    for slices in _directions(a.shape[1], max(len(a), len(b)), count, seed):
        total += _squared_gaps(*((points.double() @ slices).sort(dim=0).values for points in (a, b))).sum().item()
    return total / count


def _directions(dimensions: int, points: int, count: int, seed: int) -> Iterator[Tensor]:
    """Random unit vectors [D, P], as many at once as the projections of so many points may take."""
    normal = torch.randn(dimensions, count, generator=keyed(seed, "slices"), dtype=torch.float64)
    yield from (normal / normal.norm(dim=0)).split(max(1, AT_ONCE // points), dim=1)


def _squared_gaps(a: Tensor, b: Tensor) -> Tensor:
    """The integral of (F^-1 - G^-1)² of two sets of sorted numbers, [N, P] and [M, P]: [P].

    Both quantile functions are constant between multiples of 1 / (N M).
    """
    if len(a) == len(b):
        return (a - b).square().mean(0)
    n, m = len(a), len(b)
    ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    widths = ends.diff(prepend=torch.zeros(1, dtype=torch.long)).double() / (n * m)
    return widths @ (a[(ends - 1) // m] - b[(ends - 1) // n]).square()


def _without(ordered: Tensor, labels: Tensor, group: int) -> Tensor:
    """Sorted columns [N, P] without the members of a group, whose labels [N, P] are in the same order."""
    columns = ordered.shape[1]
    return ordered.T[(labels != group).T].reshape(columns, -1).T


def _distance(a: Tensor, b: Tensor) -> float:
    """The sum of the distances of all pairs."""
    return sum(torch.cdist(part, b.double()).sum().item() for part in a.double().split(ROWS))
