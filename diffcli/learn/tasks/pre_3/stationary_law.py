"""The truth leaves out one state after the other, without subtractions (Grassmann, Taksar & Heyman 1985)."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.core.processes.chains import finite, named
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, right, wrong


def stationary_law(matrix: Tensor) -> Tensor:
    """The one law that a step leaves as it is: π P = π.

    matrix: [S, S], float64, rows sum to 1; every state can be reached from every other one, so that there is exactly
            one such law. The chain may be periodic: then its law after n steps does not settle for any n.

    Returns [S], probabilities that sum to 1.
    """
    states = len(matrix)
    equations = torch.cat([matrix.T - torch.eye(states, dtype=matrix.dtype), torch.ones(1, states, dtype=matrix.dtype)])
    wanted = torch.zeros(states + 1, dtype=matrix.dtype)
    wanted[-1] = 1
    return torch.linalg.lstsq(equations, wanted.unsqueeze(1)).solution.squeeze(1)


def truth(matrix: Tensor) -> Tensor:
    return finite.stationary(matrix)


LOPSIDED = torch.tensor([[0.1, 0.6, 0.2, 0.1], [0.0, 0.3, 0.7, 0.0], [0.25, 0.0, 0.25, 0.5], [0.9, 0.1, 0.0, 0.0]])


def questions(ask: Ask) -> Iterator[Seen]:
    yield Seen("the Land of Oz, three states", ask(named.weather().matrix))
    yield Seen("two states, of which each is left rarely", ask(named.two_state(0.01, 0.03).matrix))
    yield Seen("four states without symmetry", ask(LOPSIDED.double()))
    yield Seen("births and deaths, six states", ask(named.birth_death(5, 0.3, 0.4).matrix))
    yield Seen("Ehrenfest's urn with 5 balls, which has period 2", ask(named.ehrenfest(5).matrix))


@wrong("with the right eigenvector, P f = f, which is a constant for every chain", "which side of P the law stands on")
def right_eigenvector(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eig(matrix)
    vector = vectors[:, (values - 1).abs().argmin()].real
    return vector / vector.sum()


@wrong("with the first of the eigenvectors that are found", "which eigenvalue it belongs to: they come in no order")
def first_eigenvector(matrix: Tensor) -> Tensor:
    vector = torch.linalg.eig(matrix.T)[1][:, 0].real
    return vector / vector.sum()


@wrong("with an eigenvector of length 1", "what probabilities sum to")
def of_unit_length(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eig(matrix.T)
    vector = vectors[:, (values - 1).abs().argmin()].real.abs()
    return vector / vector.norm()


@wrong("with an eigenvector as it comes, not divided by its sum", "what probabilities sum to")
def as_it_comes(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eig(matrix.T)
    return vectors[:, (values - 1).abs().argmin()].real


@wrong(
    "by making very many steps from the first state", "the chain of period 2: half of its states are empty at any time"
)
def after_many_steps(matrix: Tensor) -> Tensor:
    return torch.linalg.matrix_power(matrix, 1000)[0]


@wrong("with one step from a law that is the same for all states", "the next step: it has to leave π as it is")
def mean_of_the_rows(matrix: Tensor) -> Tensor:
    return matrix.mean(0)


@wrong("with the chance to stay, the diagonal of P", "how a state is reached, which is by the other rows")
def by_staying(matrix: Tensor) -> Tensor:
    return matrix.diagonal() / matrix.diagonal().sum()


@right
def left_eigenvector(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eig(matrix.T)
    vector = vectors[:, values.real.argmax()].real
    return vector / vector.sum()


@right
def of_a_lazy_chain(matrix: Tensor) -> Tensor:
    lazy = (matrix + torch.eye(len(matrix)).double()) / 2
    for _ in range(20):
        lazy = lazy @ lazy
        lazy = lazy / lazy.sum(1, keepdim=True)
    return lazy[0]


@right
def one_equation_replaced(matrix: Tensor) -> np.ndarray:
    equations = np.eye(len(matrix)) - matrix.numpy().T
    equations[0] = 1
    return np.linalg.solve(equations, np.eye(len(matrix))[0])


@right
def by_a_long_mean(matrix: Tensor) -> Tensor:
    law, total = torch.full((len(matrix),), 1 / len(matrix), dtype=torch.float64), torch.zeros(len(matrix)).double()
    for n in range(3000):
        total += law if n >= 1000 else 0
        law = law @ matrix
    return total / total.sum()
