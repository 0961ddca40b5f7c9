"""The kernel distance of two sets of features (KID): unbiased, so 0 on the average for one law, however few there are."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.randomness import keyed


class Measured(NamedTuple):
    """A value with its standard error."""

    value: float
    error: float


class _Sums(NamedTuple):
    """Sums of the kernel over pairs of groups: within x, within y (no feature with itself) [G, G], between [G, G]."""

    xx: Tensor
    yy: Tensor
    xy: Tensor


def kernel_distance(x: Tensor, y: Tensor, blocks: int = 20) -> Measured:
    """The squared maximum mean discrepancy of features [N, D] and [M, D], unbiased (Gretton et al. 2012, eq. 3).

    Under the kernel (x·y / D + 1)³ (Bińkowski et al. 2018, section 4), over all pairs. The standard error is that of a
    jackknife which leaves out one of so many blocks of x, then of y (Efron & Stein 1981); the rows fall into blocks by
    chance, in whatever order they come. For two samples of one law it is about √2 too large, as a jackknife of pairs
    is where single features tell nothing. Raises ValueError where a set has fewer than four features.
    """
    if min(len(x), len(y)) < 4:
        raise ValueError(f"a kernel distance needs four features of each, not {len(x)} and {len(y)}")
    groups = min(blocks, len(x) // 2, len(y) // 2)
    of_x, of_y = _grouped(x, groups), _grouped(y, groups)
    sums = _Sums(_within(of_x), _within(of_y), torch.stack([_between(of_x, part) for part in of_y], dim=1))
    sizes = [torch.tensor([len(part) for part in parts], dtype=torch.float64) for parts in (of_x, of_y)]
    every = torch.ones(groups, dtype=torch.float64)
    without = [every - place for place in torch.eye(groups, dtype=torch.float64)]
    left_x = torch.stack([_discrepancy(sums, *sizes, some, every) for some in without])
    left_y = torch.stack([_discrepancy(sums, *sizes, every, some) for some in without])
    variance = (groups - 1) * (left_x.var(correction=0) + left_y.var(correction=0))
    return Measured(_discrepancy(sums, *sizes, every, every).item(), math.sqrt(variance.item()))


def _discrepancy(sums: _Sums, size_x: Tensor, size_y: Tensor, of_x: Tensor, of_y: Tensor) -> Tensor:
    """The estimate from some of the groups, chosen by zeros and ones [G]."""
    n, m = size_x @ of_x, size_y @ of_y
    within = of_x @ sums.xx @ of_x / (n * (n - 1)) + of_y @ sums.yy @ of_y / (m * (m - 1))
    return within - 2 * (of_x @ sums.xy @ of_y) / (n * m)


def _grouped(features: Tensor, groups: int) -> list[Tensor]:
    order = torch.randperm(len(features), generator=keyed(0, "blocks"))
    return list(features.double()[order].tensor_split(groups))


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """(x·y / D + 1)³ of all pairs [N, M]."""
    inner = (x @ y.T).div_(x.shape[1]).add_(1)
    return inner * inner * inner


def _between(groups: list[Tensor], part: Tensor) -> Tensor:
    return torch.stack([_kernel(group, part).sum() for group in groups])


def _within(groups: list[Tensor]) -> Tensor:
    """The sums over pairs of two different features, [G, G]."""
    sums = torch.zeros(len(groups), len(groups), dtype=torch.float64)
    for i, group in enumerate(groups):
        own = _kernel(group, group)
        sums[i, i] = own.sum() - own.trace()
        for j in range(i):
            sums[i, j] = sums[j, i] = _kernel(group, groups[j]).sum()
    return sums
