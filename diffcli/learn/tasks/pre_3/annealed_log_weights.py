"""Held to the package's own, and to a sum over every path of a small chain, which has to be the ratio of constants."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from diffcli.core.processes.montecarlo.annealing import ais
from diffcli.core.processes.montecarlo.kernels import LogDensity
from diffcli.core.processes.montecarlo.kernels import Move as Moved
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong

Log = Callable[[Tensor], Tensor]
Move = Callable[[Tensor, float], Tensor]


def annealed_log_weights(
    x: Tensor,
    betas: Tensor,
    log_start: Callable[[Tensor], Tensor],
    log_target: Callable[[Tensor], Tensor],
    move: Callable[[Tensor, float], Tensor],
) -> Tensor:
    """The log-weights of annealed importance sampling.

    For k = 1, ..., K: first the log-weight gains log p_k(x) − log p_{k−1}(x), where p_k(x) = start(x)^(1 − β_k)
    target(x)^β_k is not normalised and x is where the chain stands; then the chain moves by a kernel that leaves p_k
    as it is. Nothing moves at β_0. Neither density is 0 where a chain stands.

    x:          [B, D], float64, independent draws of the start
    betas:      [K + 1], float64, β_0 = 0 < β_1 < ... < β_K = 1
    log_start:  function of [B, D], gives the log density of the start [B]
    log_target: function of [B, D], that of the target up to a constant
    move:       (x [B, D], β_k as a float) → the chains after a move that leaves p_k as it is, [B, D]

    Returns [B]; the mean of their exponentials estimates Z_target / Z_start.
    """
    log_weight = torch.zeros(len(x), dtype=torch.float64)
    for before, beta in itertools.pairwise(betas.tolist()):
        log_weight = log_weight + (beta - before) * (log_target(x) - log_start(x))
        x = move(x, beta)
    return log_weight


def truth(x: Tensor, betas: Tensor, log_start: Log, log_target: Log, move: Move) -> Tensor:
    def kernel(x: Tensor, _: LogDensity, k: int, __: Generator) -> Moved:
        return Moved(move(x, float(betas[k])), torch.ones(len(x)))

    *_, last = ais(x, log_start, log_target, betas, kernel, Generator())
    return last.log_weight


START, TARGET = [0.5, 0.3, 0.2], [1.2, 0.1, 3.1]  # of three states
LADDER = [0.0, 0.15, 0.4, 1.0]


def log_of(values: list[float]) -> Log:
    return lambda x: torch.tensor(values, dtype=torch.float64).log()[x.flatten().long()]


def transition(beta: float) -> Tensor:
    """Metropolis' matrix for the law at beta: each other state is proposed with probability 1/2."""
    density = torch.tensor([s ** (1 - beta) * t**beta for s, t in zip(START, TARGET, strict=True)], dtype=torch.float64)
    matrix = 0.5 * (density / density.unsqueeze(1)).clamp(max=1) * (1 - torch.eye(3))
    return matrix + torch.diag(1 - matrix.sum(1))


def every_path() -> tuple[Tensor, Tensor]:
    """All paths of the three states, [P, K + 1], and the probability of each."""
    paths = torch.tensor(list(itertools.product(range(3), repeat=len(LADDER))))
    chances = torch.tensor(START, dtype=torch.float64)[paths[:, 0]]
    for k in range(1, len(LADDER)):
        chances = chances * transition(LADDER[k])[paths[:, k - 1], paths[:, k]]
    return paths, chances


def normal(x: Tensor) -> Tensor:
    return -x.square().sum(1) / 2 - x.shape[1] / 2 * math.log(2 * math.pi)


def bump(x: Tensor) -> Tensor:
    return 1.7 - 2 * (x - 0.8).square().sum(1)


def questions(ask: Ask) -> Iterator[Seen]:
    source = torch.Generator().manual_seed(6)
    x = torch.randn(4, 2, generator=source, dtype=torch.float64)
    for ladder in ([0.0, 1.0], [0.0, 0.3, 1.0], [0.0, 0.1, 0.25, 0.6, 1.0]):
        betas = torch.tensor(ladder, dtype=torch.float64)
        yield Seen(f"4 chains, betas {ladder}", ask(x, betas, normal, bump, lambda y, beta: 0.7 * y + beta))
    paths, chances = every_path()

    def forced(x: Any, beta: float) -> Tensor:
        return paths[:, [min(range(len(LADDER)), key=lambda k: abs(LADDER[k] - float(beta)))]].double()

    betas = torch.tensor(LADDER, dtype=torch.float64)
    log_weights = ask(paths[:, :1].double(), betas, log_of(START), log_of(TARGET), forced)
    mean = chances @ torch.as_tensor(log_weights).double().exp()
    yield Seen("the mean weight over all paths of three states, which is Z_target / Z_start = 4.4", mean.item())


GAIN = "        log_weight = log_weight + (beta - before) * (log_target(x) - log_start(x))\n"
MOVE = "        x = move(x, beta)\n"
WRONG = [
    Swap(
        "moved-first",
        "when the chains move before their weight is taken",
        "the place where a chain is weighed: where the rung below left it",
        GAIN + MOVE,
        MOVE + GAIN,
    ),
    Swap(
        "moved-at-the-start",
        "when the chains move at β_0 before the first weight",
        "the first weight: it is taken before anything has moved",
        GAIN + MOVE,
        "        x = move(x, before)\n" + GAIN,
    ),
    Swap(
        "never-moved",
        "when the chains never move: plain importance sampling",
        "what `move` is for",
        "move(x, beta)",
        "x",
    ),
    Swap(
        "moved-for-the-rung-below",
        "when each move is one for the rung below",
        "which beta `move` is given",
        "move(x, beta)",
        "move(x, before)",
    ),
    Swap(
        "upside-down",
        "with the weights upside down",
        "which density is in the numerator",
        "(log_target(x) - log_start(x))",
        "(log_start(x) - log_target(x))",
    ),
    Swap(
        "beta-for-step",
        "with β_k for β_k − β_{k−1}",
        "what is left of log p_k − log p_{k−1}",
        "(beta - before) *",
        "beta *",
    ),
    Swap(
        "no-start",
        "without the density of the start",
        "the two factors of p_k: both change as beta grows",
        "(log_target(x) - log_start(x))",
        "log_target(x)",
    ),
    Swap(
        "last-only",
        "if only the last rung counts",
        "the sum over k: the weights of all rungs multiply",
        "log_weight = log_weight + (beta",
        "log_weight = (beta",
    ),
]


@wrong(
    "with log p_k(x_k) − log p_{k−1}(x_{k−1}), before and after a move",
    "the place where p_k and p_{k−1} are compared: the same x for both",
)
def across_the_move(x: Tensor, betas: Tensor, log_start: Log, log_target: Log, move: Move) -> Tensor:
    def at(k: int, x: Tensor) -> Tensor:
        return (1 - betas[k]) * log_start(x) + betas[k] * log_target(x)

    total = x.new_zeros(len(x))
    for k in range(1, len(betas)):
        moved = move(x, betas[k].item())
        total = total + at(k, moved) - at(k - 1, x)
        x = moved
    return total


@wrong("with the weights and not their logarithms", "what is returned: log-weights")
def not_logarithmic(x: Tensor, betas: Tensor, log_start: Log, log_target: Log, move: Move) -> Tensor:
    return annealed_log_weights(x, betas, log_start, log_target, move).exp()


@wrong("when the mean over the chains is taken", "the shape: one log-weight for each chain")
def of_all_chains(x: Tensor, betas: Tensor, log_start: Log, log_target: Log, move: Move) -> Tensor:
    return annealed_log_weights(x, betas, log_start, log_target, move).mean()


@right
def by_densities(x: Tensor, betas: Tensor, log_start: Log, log_target: Log, move: Move) -> Tensor:
    def at(k: int) -> Tensor:
        return (1 - betas[k]) * log_start(x) + betas[k] * log_target(x)

    gains = []
    for k in range(1, len(betas)):
        gains.append(at(k) - at(k - 1))
        x = move(x, betas[k].item())
    return torch.stack(gains).sum(0)


@right
def without_the_last_move(x: Tensor, betas: Tensor, log_start: Log, log_target: Log, move: Move) -> Tensor:
    ratios = [log_target(x) - log_start(x)]
    for beta in betas[1:-1]:
        x = move(x, float(beta))
        ratios.append(log_target(x) - log_start(x))
    return betas.diff() @ torch.stack(ratios)


@right
def in_numpy(x: Tensor, betas: Tensor, log_start: Log, log_target: Log, move: Move) -> np.ndarray:
    total = np.zeros(len(x))
    for k, width in enumerate(np.diff(betas.numpy())):
        total += width * log_target(x).numpy() - width * log_start(x).numpy()
        x = move(x, betas[k + 1].item())
    return total


@right
def by_steps_of_beta(x: Tensor, betas: Tensor, log_start: Log, log_target: Log, move: Move) -> list[Tensor]:
    total = x.new_zeros(len(x))
    for k in range(len(betas) - 1):
        total += torch.lerp(log_start(x), log_target(x), betas[k + 1]) - torch.lerp(
            log_start(x), log_target(x), betas[k]
        )
        x = move(x, betas[k + 1].item())
    return list(total)
