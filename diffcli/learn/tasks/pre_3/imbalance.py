"""The truth looks at pairs of states, one by one."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.core.processes.chains import finite, named
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def imbalance(matrix: Tensor, law: Tensor) -> float:
    """How far a chain is from detailed balance: the largest |π(x) P(x, y) − π(y) P(y, x)| over all pairs of states.

    matrix: [S, S], float64; matrix[x, y] is the probability of going from x to y
    law:    [S], float64, π

    Returns a number, 0 under detailed balance.
    """
    flow = law.unsqueeze(1) * matrix
    return (flow - flow.T).abs().max().item()


def truth(matrix: Tensor, law: Tensor) -> float:
    p, pi, states = matrix.tolist(), law.tolist(), range(len(law))
    return max(abs(pi[x] * p[x][y] - pi[y] * p[y][x]) for x in states for y in states)


TURNING = torch.tensor([[0.1, 0.7, 0.2], [0.3, 0.3, 0.4], [0.5, 0.1, 0.4]], dtype=torch.float64)


def questions(ask: Ask) -> Iterator[Seen]:
    law = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    yield Seen("three states and a law that is not their stationary one", ask(TURNING, law))
    yield Seen("the same chain with its stationary law", ask(TURNING, finite.stationary(TURNING)))
    even = torch.full((5,), 0.2, dtype=torch.float64)
    yield Seen("a ring of five states, 0.8 forward, 0.2 back", ask(named.cycle(5, 0.8, 0.0).matrix, even))
    births = named.birth_death(5, 0.2, 0.5).matrix
    yield Seen("births and deaths: every chain on a line is reversible", ask(births, finite.stationary(births)))


WRONG = [
    Swap(
        "symmetric-matrix",
        "without the law: whether the matrix is symmetric",
        "what flows: a probability of being there times one of going on",
        "law.unsqueeze(1) * matrix",
        "matrix",
    ),
    Swap(
        "law-of-the-end",
        "with the law of the state that is reached",
        "the axis of the matrix along which π goes",
        "law.unsqueeze(1) * matrix",
        "law * matrix",
    ),
    Swap(
        "sum-for-largest",
        "with the sum over all pairs",
        "what is asked for: the largest difference",
        ".max()",
        ".sum()",
    ),
    Swap(
        "mean-for-largest",
        "with the mean over all pairs",
        "what is asked for: the largest difference",
        ".max()",
        ".mean()",
    ),
]


@wrong(
    "when π P is compared with π",
    "what is compared: detailed balance is asked of each pair of states, stationarity of their sum",
)
def only_stationary(matrix: Tensor, law: Tensor) -> float:
    return (law @ matrix - law).abs().max().item()


@right
def by_pairs(matrix: Tensor, law: Tensor) -> float:
    worst = 0.0
    for x in range(len(law)):
        for y in range(x):
            worst = max(worst, abs(float(law[x] * matrix[x, y]) - float(law[y] * matrix[y, x])))
    return worst


@right
def by_a_diagonal(matrix: Tensor, law: Tensor) -> Tensor:
    flow = torch.diag(law) @ matrix
    return (flow - flow.T).max()


@right
def in_numpy(matrix: Tensor, law: Tensor) -> np.floating:
    flow = np.einsum("x,xy->xy", law.numpy(), matrix.numpy()).astype(np.float32)
    return np.abs(flow - flow.transpose()).max()
