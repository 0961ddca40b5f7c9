"""The kernel distance of two sets of features (KID): unbiased, so at 0 on the average for one law at any count."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.metrics.groups import dealt

AT_ONCE = 1 << 17  # pairs, a megabyte of them: more would not stay in a processor's cache


Strata = tuple[Tensor | None, Tensor | None]


class Measured(NamedTuple):
    """A value with its standard error."""

    value: float
    error: float


class _Sums(NamedTuple):
    """Sums of the kernel over pairs of features from any two groups, [G, G]: both in x, both in y, or one in each.

    No feature is paired with itself. The sizes of the groups are [G].
    """

    xx: Tensor
    yy: Tensor
    xy: Tensor
    size_x: Tensor
    size_y: Tensor


def kernel_distance(x: Tensor, y: Tensor, blocks: int = 20, strata: Strata = (None, None)) -> Measured:
    """The squared maximum mean discrepancy of features [N, D] and [M, D], unbiased (Gretton et al. 2012, eq. 3).

    Under the kernel (x·y / D + 1)³ (Bińkowski et al. 2018, section 4), over all pairs. The standard error is that of a
    jackknife which leaves out one of so many blocks of x, then of y (Efron & Stein 1981); the rows fall into blocks by
    chance, in whatever order they come. For two samples of one law it is about √2 too large, as a jackknife of pairs
    is where single features tell nothing. Raises ValueError where a set has fewer than four features.

    strata:  of x [N] and of y [M], or None: every block has its share of each, see `groups.dealt`
    """
    if min(len(x), len(y)) < 4:
        raise ValueError(f"a kernel distance needs four features of each, not {len(x)} and {len(y)}")
    groups = min(blocks, len(x) // 2, len(y) // 2)
    sums = _sums(_grouped(x, groups, strata[0]), _grouped(y, groups, strata[1]))
    every = torch.ones(groups, dtype=torch.float64)
    without = every - torch.eye(groups, dtype=torch.float64)
    left_x = torch.stack([_discrepancy(sums, some, every) for some in without])
    left_y = torch.stack([_discrepancy(sums, every, some) for some in without])
    variance = (groups - 1) * (left_x.var(correction=0) + left_y.var(correction=0))
    return Measured(_discrepancy(sums, every, every).item(), math.sqrt(variance.item()))


def _discrepancy(sums: _Sums, of_x: Tensor, of_y: Tensor) -> Tensor:
    """The estimate from some of the groups of x and of y, chosen by ones among zeros, [G]."""
    n, m = sums.size_x @ of_x, sums.size_y @ of_y
    within = of_x @ sums.xx @ of_x / (n * (n - 1)) + of_y @ sums.yy @ of_y / (m * (m - 1))
    return within - 2 * (of_x @ sums.xy @ of_y) / (n * m)


def _grouped(features: Tensor, groups: int, strata: Tensor | None) -> list[Tensor]:
    labels = dealt(len(features), groups, "blocks", strata)
    return [features.double()[labels == group] for group in range(groups)]


def _sums(x: list[Tensor], y: list[Tensor]) -> _Sums:
    size_x, size_y = (torch.tensor([len(part) for part in parts], dtype=torch.float64) for parts in (x, y))
    return _Sums(_between(x, x) - _own(x), _between(y, y) - _own(y), _between(x, y), size_x, size_y)


def _between(x: list[Tensor], y: list[Tensor]) -> Tensor:
    """The sums of the kernel over all pairs of two groups, [G, G]."""
    others, sizes = torch.cat(y), [len(part) for part in y]
    rows = []
    for group in x:
        columns = [_kernel(group, part).sum(0) for part in others.split(max(1, AT_ONCE // len(group)))]
        rows.append(torch.stack([part.sum() for part in torch.cat(columns).split(sizes)]))
    return torch.stack(rows)


def _own(groups: list[Tensor]) -> Tensor:
    """The sums of the kernel over the pairs of a feature with itself, on the diagonal of [G, G]."""
    return torch.stack([(part.square().sum(1) / part.shape[1] + 1).pow(3).sum() for part in groups]).diag()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """(x·y / D + 1)³ of all pairs [N, M]."""
    inner = (x @ y.T).div_(x.shape[1]).add_(1)
    return inner * inner * inner
