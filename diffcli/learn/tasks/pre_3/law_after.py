"""The truth is a sum over all paths, one by one."""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def law_after(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    """The law of the state of a Markov chain after some steps.

    matrix: [S, S], float64; matrix[x, y] is the probability of going from x to y, so that every row sums to 1
    start:  [S], float64, the law before the first step
    steps:  how many, 0 or more; after 0 steps the law is the one at the start

    Returns [S], probabilities.
    """
    law = start
    for _ in range(steps):
        law = law @ matrix
    return law


WEATHER = torch.tensor([[0.6, 0.3, 0.1], [0.5, 0.0, 0.5], [0.2, 0.1, 0.7]], dtype=torch.float64)
RING = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.0, 0.1, 0.9, 0.0], [0.0, 0.0, 0.0, 1.0], [0.8, 0.0, 0.2, 0.0]]).double()


def truth(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    law = torch.zeros_like(start)
    for path in itertools.product(range(len(start)), repeat=steps + 1):
        chance = start[path[0]]
        for here, there in itertools.pairwise(path):
            chance = chance * matrix[here, there]
        law[path[-1]] += chance
    return law


def questions(ask: Ask) -> Iterator[Seen]:
    for name, matrix, start, steps in (
        ("three states", WEATHER, [1.0, 0.0, 0.0], 1),
        ("three states", WEATHER, [0.0, 0.25, 0.75], 2),
        ("three states", WEATHER, [0.0, 1.0, 0.0], 4),
        ("three states", WEATHER, [0.2, 0.3, 0.5], 0),
        ("four states in a ring", RING, [0.0, 0.5, 0.0, 0.5], 3),
    ):
        case = f"{name}, from {start}, after {steps} step{'' if steps == 1 else 's'}"
        yield Seen(case, ask(matrix, torch.tensor(start, dtype=torch.float64), steps))


WRONG = [
    Swap(
        "wrong-side",
        "with the matrix times the law, P p, where the rows are laws: that averages a function over the next state",
        "the side of the matrix on which a law stands",
        "law @ matrix",
        "matrix @ law",
    ),
    Swap("one-step-more", "with one step more", "what the law is after 0 steps", "range(steps)", "range(steps + 1)"),
    Swap("one-step-less", "with one step less", "how often the loop runs", "range(steps)", "range(steps - 1)"),
]


@wrong(
    "when each entry of the matrix is raised to the power", "the difference of `matrix ** n` and a product of matrices"
)
def entries_to_the_power(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    return start @ matrix**steps


@wrong("when only the likeliest state is followed", "what a law is: all states have a part in it")
def likeliest_path(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    law = start
    for _ in range(steps):
        law = matrix[law.argmax()]
    return law


@right
def by_matrix_power(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    return start @ torch.linalg.matrix_power(matrix, steps)


@right
def by_sums(matrix: Tensor, start: Tensor, steps: int) -> list[float]:
    law = start.tolist()
    for _ in range(steps):
        law = [sum(law[x] * matrix[x, y].item() for x in range(len(law))) for y in range(len(law))]
    return law


@right
def in_numpy(matrix: Tensor, start: Tensor, steps: int) -> np.ndarray:
    law = start.numpy().astype(np.float32).copy()
    for _ in range(steps):
        law = matrix.numpy().T.astype(np.float32) @ law
    return law
