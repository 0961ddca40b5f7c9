"""Rows dealt into groups by chance, as a jackknife leaves them out."""

import torch
from torch import Tensor

from diffcli.core.randomness import keyed


def dealt(count: int, groups: int, stream: str, strata: Tensor | None = None) -> Tensor:
    """Into which of so many groups, of equal size within one, each row falls, [count]; the same for one stream.

    strata:  of each row [count], whole numbers: each group then has its share of every stratum, as a sample has that
             was drawn in fixed numbers of each class
    """
    order = torch.randperm(count, generator=keyed(0, stream))
    if strata is not None:
        order = order[strata[order].argsort(stable=True)]
    found = torch.empty(count, dtype=torch.long)
    found[order] = torch.arange(count) % groups
    return found
