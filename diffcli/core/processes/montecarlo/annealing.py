"""Annealed importance sampling: from draws of a law that is known to the normalising constant of one that is not."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from diffcli.core.processes.montecarlo.kernels import LogDensity, Move, random_walk

Kernel = Callable[[Tensor, LogDensity, int, Generator], Move]
"""(x [B, ...], log p_k, the temperature's index k, generator) -> a move that leaves p_k as it is; k is 1 ... K."""

Walk = Callable[[Tensor, LogDensity, float, Generator], Move]
"""(x [B, ...], log p, step size, generator) -> a move that leaves p as it is."""

Ladder = Callable[[int], Tensor]
"""K -> betas [K + 1], float64, rising from 0 to 1."""


class Weighted(NamedTuple):
    """Chains x [B, ...], their log-weights [B], float64 on the CPU, and how often their moves were accepted [B]."""

    x: Tensor
    log_weight: Tensor
    accepted: Tensor


def between(log_start: LogDensity, log_target: LogDensity, beta: float) -> LogDensity:
    """The geometric path, p_start^(1 - beta) p_target^beta, not normalised (Neal 2001, eq. 3); beta in (0, 1]."""
    if beta == 1:  # there p_start may be 0
        return log_target
    return lambda x: (1 - beta) * log_start(x) + beta * log_target(x)


def log_ratio(x: Tensor, log_start: LogDensity, log_target: LogDensity) -> Tensor:
    """log p_target - log p_start at x [B, ...], float64 on the CPU: what a path's log density gains as beta grows."""
    return (log_target(x) - log_start(x)).detach().cpu().double()


@torch.no_grad()
def ais(
    x: Tensor, log_start: LogDensity, log_target: LogDensity, betas: Tensor, kernel: Kernel, generator: Generator
) -> Iterator[Weighted]:
    """At each temperature first the weight of where the chain is, then a move (Neal 2001, eq. 4-11).

    x:       [B, ...], exact draws of the start
    betas:   [K + 1], from 0 to 1; there is no move at 0, and the one at 1 changes no weight

    Yields K times; at each the chains with their weights stand for p_beta: for any f the mean of exp(log_weight) f(x)
    has the expectation E_beta[f] Z_beta / Z_start. The last mean of exp(log_weight) is unbiased for Z_target / Z_start.
    """
    log_weight = torch.zeros(len(x), dtype=torch.float64)
    for k, (before, beta) in enumerate(pairwise(betas.tolist()), start=1):
        log_weight = log_weight + (beta - before) * log_ratio(x, log_start, log_target)
        x, accepted = kernel(x, between(log_start, log_target, beta), k, generator)
        yield Weighted(x, log_weight, accepted)


@torch.no_grad()
def reverse(
    x: Tensor, log_start: LogDensity, log_target: LogDensity, betas: Tensor, kernel: Kernel, generator: Generator
) -> Iterator[Weighted]:
    """The same ladder downwards: at each temperature first a move, then the weight of where it leads.

    x:  [B, ...], exact draws of the target

    Yields K times, first at betas[K - 1], last at 0, where the mean of exp(log_weight) is unbiased for Z_start /
    Z_target: minus its logarithm is a stochastic upper bound of log Z_target / Z_start, as that of `ais` is a lower
    one (Grosse, Ghahramani & Adams 2015).
    """
    log_weight = torch.zeros(len(x), dtype=torch.float64)
    rungs = list(enumerate(pairwise(betas.tolist()), start=1))
    for k, (before, beta) in reversed(rungs):
        x, accepted = kernel(x, between(log_start, log_target, beta), k, generator)
        log_weight = log_weight - (beta - before) * log_ratio(x, log_start, log_target)
        yield Weighted(x, log_weight, accepted)


def metropolis(scales: tuple[float, ...] = (0.05, 0.15, 0.5), repeats: int = 1) -> Kernel:
    """Random-walk Metropolis moves of several widths, one after another, so that one of them suits (as Neal 2001 does).

    The same at every temperature. `accepted` is the mean over the moves.
    """

    def kernel(x: Tensor, log_density: LogDensity, _: int, generator: Generator) -> Move:
        accepted = []
        for scale in scales * repeats:
            x, share = random_walk(x, log_density, scale, generator)
            accepted.append(share)
        return Move(x, torch.stack(accepted).mean(0))

    return kernel


def stepping(walk: Walk, steps: Tensor, repeats: int = 1) -> Kernel:
    """`repeats` moves of one walk, with a step size per temperature, steps [K + 1] by index."""
    sizes = steps.tolist()

    def kernel(x: Tensor, log_density: LogDensity, k: int, generator: Generator) -> Move:
        accepted = []
        for _ in range(repeats):
            x, share = walk(x, log_density, sizes[k], generator)
            accepted.append(share)
        return Move(x, torch.stack(accepted).mean(0))

    return kernel


ROUNDS = 3  # of adaptation at each temperature


def tuned(
    walk: Walk,
    x: Tensor,
    log_start: LogDensity,
    log_target: LogDensity,
    betas: Tensor,
    generator: Generator,
    *,
    goal: float = 0.8,
    first: float = 0.5,
) -> Tensor:
    """Step sizes [K + 1] with which about a share `goal` of a walk's moves is accepted, from a run of its own.

    x:  [B, ...], exact draws of the start, to be thrown away: a kernel that adapts to the chains which it moves
        leaves no density as it is, so those that are weighed afterwards keep these steps.

    By index of the temperature, for `stepping`; the first, at beta 0, is never used.
    """
    steps = torch.full((len(betas),), first, dtype=torch.float64)
    size = first

    def kernel(x: Tensor, log_density: LogDensity, k: int, generator: Generator) -> Move:
        nonlocal size
        for _ in range(ROUNDS):
            move = walk(x, log_density, size, generator)
            x, size = move.x, size * math.exp(move.accepted.mean().item() - goal)
        steps[k] = size
        return move

    for _ in ais(x, log_start, log_target, betas, kernel, generator):
        pass
    return steps


def linear(count: int) -> Tensor:
    """Equal steps."""
    return torch.linspace(0, 1, count + 1, dtype=torch.float64)


LEAST = 1e-4


def geometric(count: int) -> Tensor:
    """0, then from 1e-4 to 1 by equal factors, for targets far narrower than their start."""
    if count == 1:
        return linear(1)
    return torch.cat([torch.zeros(1).double(), torch.logspace(math.log10(LEAST), 0, count, dtype=torch.float64)])


SPREAD = 4.0


def sigmoid(count: int) -> Tensor:
    """Small steps near both ends: a logistic curve from -4 to 4, stretched to 0 ... 1 (Wu et al. 2017, code)."""
    curve = torch.linspace(-SPREAD, SPREAD, count + 1, dtype=torch.float64).sigmoid()
    return (curve - curve[0]) / (curve[-1] - curve[0])


def neal(count: int) -> Tensor:
    """A fifth of the steps equal up to 0.01, the rest by equal factors up to 1, in the manner of Neal 2001."""
    few = count // 5
    if few == 0:
        return linear(count)
    straight = torch.linspace(0, 0.01, few + 1, dtype=torch.float64)
    return torch.cat([straight, torch.logspace(-2, 0, count - few + 1, dtype=torch.float64)[1:]])


LADDERS: dict[str, Ladder] = {"linear": linear, "geometric": geometric, "sigmoid": sigmoid, "neal": neal}
