"""The truth brackets the time by powers of two and finds it by bisection."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.core.processes.chains import finite, named
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def mixing_time(matrix: Tensor, law: Tensor, near: float) -> int:
    """The number of steps after which a chain is near its stationary law from every start.

    The first n = 0, 1, 2, ... at which d(n) = max over starts x of the total variation of P^n(x, ·) and π is at most
    `near`. Total variation is half the sum of |P^n(x, y) − π(y)| over y.

    matrix: [S, S], float64, rows sum to 1
    law:    [S], float64, its stationary law π, to which the chain does come
    near:   above 0

    Returns n, a whole number.
    """
    power, steps = torch.eye(len(law), dtype=matrix.dtype), 0
    while ((power - law).abs().sum(1) / 2).max() > near:
        power = power @ matrix
        steps += 1
    return steps


def truth(matrix: Tensor, law: Tensor, near: float) -> int:
    found = finite.mixing_time(matrix, law, near)
    assert found is not None
    return found


def questions(ask: Ask) -> Iterator[Seen]:
    births, ring = named.birth_death(8, 0.1, 0.3).matrix, named.cycle(9, 0.7, 0.3).matrix
    for name, matrix in (
        ("births and deaths on nine states", births),
        ("a ring of nine states", ring),
        ("Ehrenfest's urn with 6 balls, lazy", named.ehrenfest(6, 0.2).matrix),
        ("two states", named.two_state(0.05, 0.2).matrix),
    ):
        for near in (0.25, 0.01):
            yield Seen(f"{name}, near {near:g}", ask(matrix, finite.stationary(matrix), near))
    even = torch.tensor([0.5, 0.5], dtype=torch.float64)
    yield Seen(
        "two states, at exactly 1/4 after one step, near 0.25", ask(named.two_state(0.25, 0.25).matrix, even, 0.25)
    )
    yield Seen("two states, at 1/2 from the beginning, near 0.5", ask(named.two_state(0.25, 0.25).matrix, even, 0.5))


WRONG = [
    Swap(
        "no-half",
        "without the ½ of the total variation",
        "the distance of two laws without a common state: it is 1, not 2",
        ".sum(1) / 2)",
        ".sum(1))",
    ),
    Swap(
        "average-start",
        "with the mean over the starts",
        "the starts: the worst of all decides",
        ".max() >",
        ".mean() >",
    ),
    Swap(
        "below",
        "with `below near` instead of `at most near`",
        "the chain that is at exactly 1/4 after one step",
        ".max() > near",
        ".max() >= near",
    ),
    Swap(
        "largest-difference",
        "with the largest difference in a state for half the sum over the states",
        "what total variation sums over",
        ".sum(1) / 2)",
        ".amax(1))",
    ),
    Swap(
        "along-the-columns",
        "with sums over the starts instead of the states that are reached",
        "the axis along which a law lies",
        ".sum(1)",
        ".sum(0)",
    ),
    Swap("counted-from-one", "with one step too many", "which power belongs to n = 0", "), 0\n", "), 1\n"),
    Swap(
        "one-step-less",
        "if P itself is counted as n = 0",
        "the power that belongs to n = 0: the identity, where nothing has moved",
        "torch.eye(len(law), dtype=matrix.dtype), 0",
        "matrix, 0",
    ),
    Swap(
        "never-zero",
        "if the count begins with n = 1",
        "the chain that is near from the beginning",
        "torch.eye(len(law), dtype=matrix.dtype), 0",
        "matrix, 1",
    ),
]


@wrong("if only the first state is a start", "the starts: the worst of all decides")
def from_the_first(matrix: Tensor, law: Tensor, near: float) -> int:
    row, steps = torch.eye(len(law), dtype=matrix.dtype)[0], 0
    while (row - law).abs().sum() / 2 > near:
        row, steps = row @ matrix, steps + 1
    return steps


@right
def by_excess(matrix: Tensor, law: Tensor, near: float) -> int:
    power, steps = torch.eye(len(law), dtype=matrix.dtype), 0
    while True:
        if (power - law).clamp(min=0).sum(1).max() <= near:
            return steps
        power, steps = matrix @ power, steps + 1


@right
def in_numpy(matrix: Tensor, law: Tensor, near: float) -> int:
    p, pi = matrix.numpy(), law.numpy()
    for steps in range(10_000):
        rows = np.linalg.matrix_power(p, steps)
        if all(0.5 * np.abs(row - pi).sum() <= near for row in rows):
            return steps
    raise ValueError("it does not mix")


@right
def as_a_tensor(matrix: Tensor, law: Tensor, near: float) -> Tensor:
    rows, distances = torch.eye(len(law)).double(), []
    for _ in range(120):
        distances.append(0.5 * torch.cdist(rows, law.unsqueeze(0), p=1).max())
        rows = rows @ matrix
    return (torch.stack(distances) > near).sum()
