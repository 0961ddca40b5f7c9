"""The truth raises the densities themselves to their powers."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong

Log = Callable[[Tensor], Tensor]


def annealed_log_density(
    x: Tensor, beta: float, log_start: Callable[[Tensor], Tensor], log_target: Callable[[Tensor], Tensor]
) -> Tensor:
    """The log density of the geometric path, p_β(x) ∝ start(x)^(1 − β) target(x)^β, not normalised, at each x.

    A density that has the power 0 does not count, even where it is 0 itself, so that its logarithm is −inf.

    x:          [B, D], float64
    beta:       from 0, where the path is at the start, to 1, where it is at the target; both may be asked for
    log_start:  function of [B, D], gives the log density of the start [B], −inf where it is 0
    log_target: function of [B, D], likewise of the target, up to a constant that the path keeps

    Returns [B].
    """
    if beta == 0:
        return log_start(x)
    if beta == 1:
        return log_target(x)
    return (1 - beta) * log_start(x) + beta * log_target(x)


def normal(x: Tensor) -> Tensor:
    """log N(x; 0, I)."""
    return -x.square().sum(1) / 2 - x.shape[1] / 2 * math.log(2 * math.pi)


def bumps(x: Tensor) -> Tensor:
    """Two bumps with a constant of 2."""
    return torch.logsumexp(torch.stack([-2 * (x - 1).square().sum(1), -(x + 1.5).square().sum(1)]), 0) + 2


def box(x: Tensor) -> Tensor:
    """log of the uniform density of [-1, 1]^D: -inf outside."""
    inside = (x.abs() <= 1).all(1)
    return torch.where(inside, -x.shape[1] * math.log(2), -math.inf).double()


def truth(x: Tensor, beta: float, log_start: Log, log_target: Log) -> Tensor:
    start, target = log_start(x).exp().tolist(), log_target(x).exp().tolist()
    products = [s ** (1 - beta) * t**beta for s, t in zip(start, target, strict=True)]  # 0 ** 0 is 1
    return torch.tensor([math.log(p) if p > 0 else -math.inf for p in products], dtype=torch.float64)


def questions(ask: Ask) -> Iterator[Seen]:
    x = torch.tensor([[0.3, -0.4], [1.2, 0.8], [-1.5, 2.0]], dtype=torch.float64)
    for beta in (0.25, 0.7):
        yield Seen(f"from a normal law to two bumps, beta {beta:g}, x = {x.tolist()}", ask(x, beta, normal, bumps))
    line = torch.tensor([[0.5], [-0.9], [1.7], [0.1]], dtype=torch.float64)
    for beta in (0.4, 0.0, 1.0):
        yield Seen(f"from a normal law to a box, beta {beta:g}, x = {line.tolist()}", ask(line, beta, normal, box))
    yield Seen(f"from a box to two bumps, beta 1, x = {line.tolist()}", ask(line, 1.0, box, bumps))


WRONG = [
    Swap(
        "ends-exchanged",
        "when beta goes from the target to the start",
        "which density has the power 1 − β",
        "    if beta == 0:\n        return log_start(x)\n    if beta == 1:\n        return log_target(x)\n"
        "    return (1 - beta) * log_start(x) + beta * log_target(x)",
        "    if beta == 0:\n        return log_target(x)\n    if beta == 1:\n        return log_start(x)\n"
        "    return beta * log_start(x) + (1 - beta) * log_target(x)",
    ),
    Swap(
        "powers-exchanged",
        "when the powers β and 1 − β are exchanged, and the ends are not",
        "the density that has the power 1 − β",
        "(1 - beta) * log_start(x) + beta * log_target(x)",
        "beta * log_start(x) + (1 - beta) * log_target(x)",
    ),
    Swap(
        "all-exchanged",
        "when the powers β and 1 − β are exchanged, with the formula at 0 and 1 too",
        "the density that has the power 1 − β, and then at 0 times −inf",
        "    if beta == 0:\n        return log_start(x)\n    if beta == 1:\n        return log_target(x)\n"
        "    return (1 - beta) * log_start(x) + beta * log_target(x)",
        "    return beta * log_start(x) + (1 - beta) * log_target(x)",
    ),
    Swap(
        "zero-times-infinity",
        "with the formula at 0 and 1 too, where 0 times −inf is nan",
        "what beta 0 and beta 1 are to give where one of the densities is 0, its logarithm −inf",
        "    if beta == 0:\n        return log_start(x)\n    if beta == 1:\n        return log_target(x)\n",
        "",
    ),
    Swap(
        "start-undimmed",
        "when the start keeps the power 1",
        "the sum of the powers, which is 1",
        "(1 - beta) * log_start(x) + beta",
        "log_start(x) + beta",
    ),
]


@wrong(
    "with a mixture, (1 − β) start + β target, an arithmetic mean for a geometric one",
    "the powers, which become factors of logarithms",
)
def mixture(x: Tensor, beta: float, log_start: Log, log_target: Log) -> Tensor:
    return ((1 - beta) * log_start(x).exp() + beta * log_target(x).exp()).log()


@wrong(
    "with `nan_to_num`, which makes a finite number of −inf and 0 of nan",
    "the points where a density is 0: the ends of the path have to be decided before anything is multiplied",
)
def patched(x: Tensor, beta: float, log_start: Log, log_target: Log) -> Tensor:
    return torch.nan_to_num((1 - beta) * log_start(x) + beta * log_target(x))


@wrong("with the density itself, not its logarithm", "the name of the function")
def not_logarithmic(x: Tensor, beta: float, log_start: Log, log_target: Log) -> Tensor:
    return annealed_log_density(x, beta, log_start, log_target).exp()


@wrong(
    "when the path is also moved in space, x to beta x",
    "what changes with beta: the density, not where it is asked for",
)
def heated(x: Tensor, beta: float, log_start: Log, log_target: Log) -> Tensor:
    return annealed_log_density(beta * x, beta, log_start, log_target)


@right
def by_torch(x: Tensor, beta: float, log_start: Log, log_target: Log) -> Tensor:
    def part(power: float, log_density: Log) -> Tensor:
        return power * log_density(x) if power > 0 else torch.zeros(len(x), dtype=x.dtype)

    return part(beta, log_target) + part(1 - beta, log_start)


@right
def by_powers(x: Tensor, beta: float, log_start: Log, log_target: Log) -> Tensor:
    return (log_start(x).exp() ** (1 - beta) * log_target(x).exp() ** beta).log()


@right
def in_numpy(x: Tensor, beta: float, log_start: Log, log_target: Log) -> np.ndarray:
    found = np.zeros(len(x), dtype=np.float32)
    for power, log_density in ((1 - beta, log_start), (beta, log_target)):
        if power:
            found += power * log_density(x).numpy()
    return found
