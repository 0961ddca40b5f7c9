"""The forward process as a chain: from level to level, each step with noise of its own."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.processes.gaussian import HasLevel, bridge


class Noising(NamedTuple):
    """One step x' = ratio * x + std * eps."""

    ratio: Tensor
    std: Tensor


def noising(s: HasLevel, t: HasLevel) -> Noising:
    """The step from level s to the noisier t, q(x_t | x_s) (Ho et al. 2020, eq. 2; Kingma et al. 2021, app. A.1)."""
    return Noising(t.alpha / s.alpha, bridge(t, s).forward_variance.sqrt())


def noisier(x: Tensor, s: HasLevel, t: HasLevel, eps: Tensor) -> Tensor:
    """A draw of q(x_t | x_s) for x at level s, from standard normal eps like x."""
    ratio, std = noising(s, t)
    return ratio * x + std * eps


def chain(x0: Tensor, levels: Sequence[HasLevel], noise: Callable[[int], Tensor]) -> Iterator[Tensor]:
    """Walk up from x0, which is at levels[0], to each further level by q(x_t | x_s).

    levels:  from CLEAN, for data, to noise
    noise:   step -> standard normal like x0, independent from step to step; steps count from 0
    """
    x = x0
    for step, (s, t) in enumerate(pairwise(levels)):
        x = noisier(x, s, t, noise(step))
        yield x


def shares(levels: Sequence[HasLevel]) -> Tensor:
    """By how much each step's noise enters the eps of x = alpha x0 + sigma eps at the last level, [len(levels) - 1].

    The squares add up to 1 for a walk from CLEAN: the chain ends where the jump with that eps does.
    """
    end = levels[-1]
    scaled = [end.alpha / t.alpha if t is not end else torch.ones_like(end.alpha) for t in levels[1:]]
    spreads = [noising(s, t).std for s, t in pairwise(levels)]
    return torch.stack([factor * spread / end.sigma for factor, spread in zip(scaled, spreads, strict=True)])


def correlation(s: HasLevel, t: HasLevel) -> Tensor:
    """Of x_s and x_t along a chain, given x0, for s the less noisy: the root of the ratio of their SNRs."""
    return t.alpha * s.sigma / (s.alpha * t.sigma)
