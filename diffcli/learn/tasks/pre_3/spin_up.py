"""The truth compares the two energies of the whole configuration, spin by spin."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def spin_up(spins: Tensor, beta: float, field: float) -> Tensor:
    """The probability that each spin of an Ising model is 1, given all the others: what Gibbs sampling draws from.

    p(s) ∝ exp(−beta H(s)), H(s) = −Σ s_i s_j − field Σ s_i, where the first sum is over neighbours, each pair once.
    Neighbours are next to each other in a row or a column; the edges of the lattice do not wrap around.

    spins: [R, C], float64, each −1 or 1
    beta:  inverse temperature, 0 or above
    field: any number

    Returns [R, C], probabilities; the entry of a spin does not depend on that spin itself.
    """
    around = torch.zeros_like(spins)
    around[1:] += spins[:-1]
    around[:-1] += spins[1:]
    around[:, 1:] += spins[:, :-1]
    around[:, :-1] += spins[:, 1:]
    return torch.sigmoid(2 * beta * (around + field))


def truth(spins: Tensor, beta: float, field: float) -> Tensor:
    rows, columns = spins.shape
    bonds = [((r, c), (r + 1, c)) for r in range(rows - 1) for c in range(columns)]
    bonds += [((r, c), (r, c + 1)) for r in range(rows) for c in range(columns - 1)]

    def weight(s: Tensor) -> float:
        energy = -sum(float(s[a] * s[b]) for a, b in bonds) - field * float(s.sum())
        return math.exp(-beta * energy)

    up = torch.empty_like(spins)
    for r in range(rows):
        for c in range(columns):
            plus, minus = spins.clone(), spins.clone()
            plus[r, c], minus[r, c] = 1, -1
            up[r, c] = weight(plus) / (weight(plus) + weight(minus))
    return up


def questions(ask: Ask) -> Iterator[Seen]:
    source = torch.Generator().manual_seed(2)
    for shape, beta, field in (((3, 3), 0.4, 0.0), ((2, 4), 0.7, 0.3), ((3, 2), 1.1, -0.6), ((1, 3), 0.25, 0.5)):
        spins = torch.where(torch.rand(shape, generator=source) < 0.6, 1.0, -1.0).double()
        case = f"spins {[[int(s) for s in row] for row in spins.tolist()]}, beta {beta:g}, field {field:g}"
        yield Seen(case, ask(spins, beta, field))


WRONG = [
    Swap("no-two", "without the 2 in the exponent", "the difference of the energies at −1 and 1", "2 * beta", "beta"),
    Swap("no-field", "without the field", "the second sum of H", "(around + field)", "around"),
    Swap(
        "field-without-beta",
        "if beta does not multiply the field",
        "the exponent −beta H: beta stands before all of H",
        "2 * beta * (around + field)",
        "2 * beta * around + 2 * field",
    ),
    Swap(
        "field-alone",
        "with 2 β before the neighbours and nothing before the field",
        "the exponent −beta H: what stands before the neighbours stands before the field, too",
        "2 * beta * (around + field)",
        "2 * beta * around + field",
    ),
    Swap(
        "wrong-sign",
        "with the probability of −1",
        "the sign of H: like neighbours lower the energy",
        "sigmoid(2",
        "sigmoid(-2",
    ),
    Swap(
        "rows-only",
        "with the neighbours in the column only",
        "how many neighbours a spin in the middle has",
        "    around[:, 1:] += spins[:, :-1]\n    around[:, :-1] += spins[:, 1:]\n",
        "",
    ),
]


@wrong("if the edges wrap around", "the edges: corners have two neighbours, and `roll` and the index -1 give them four")
def wrapped(spins: Tensor, beta: float, field: float) -> Tensor:
    around = spins.roll(1, 0) + spins.roll(-1, 0) + spins.roll(1, 1) + spins.roll(-1, 1)
    return torch.sigmoid(2 * beta * (around + field))


@wrong("if a spin is a neighbour of itself", "the middle of the kernel, which has to be 0")
def with_itself(spins: Tensor, beta: float, field: float) -> Tensor:
    kernel = torch.tensor([[[[0.0, 1, 0], [1, 1, 1], [0, 1, 0]]]], dtype=spins.dtype)
    around = F.conv2d(spins[None, None], kernel, padding=1)[0, 0]
    return torch.sigmoid(2 * beta * (around + field))


@wrong("if the diagonals are neighbours too", "the neighbours: they are next to each other in a row or a column")
def with_diagonals(spins: Tensor, beta: float, field: float) -> Tensor:
    kernel = torch.tensor([[[[1.0, 1, 1], [1, 0, 1], [1, 1, 1]]]], dtype=spins.dtype)
    around = F.conv2d(spins[None, None], kernel, padding=1)[0, 0]
    return torch.sigmoid(2 * beta * (around + field))


@wrong(
    "with the probability of the value that a spin has", "the value whose probability is asked for: 1, for every spin"
)
def of_its_own_value(spins: Tensor, beta: float, field: float) -> Tensor:
    around = F.conv2d(spins[None, None], torch.tensor([[[[0.0, 1, 0], [1, 0, 1], [0, 1, 0]]]]).double(), padding=1)[
        0, 0
    ]
    return torch.sigmoid(2 * beta * spins * (around + field))


@right
def by_padding(spins: Tensor, beta: float, field: float) -> Tensor:
    wide = F.pad(spins, (1, 1, 1, 1))
    around = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
    return 1 / (1 + torch.exp(-2 * beta * (around + field)))


@right
def by_a_loop(spins: Tensor, beta: float, field: float) -> list[list[float]]:
    s = spins.tolist()
    found = []
    for r in range(len(s)):
        row = []
        for c in range(len(s[0])):
            places = [(r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)]
            around = sum(s[i][j] for i, j in places if 0 <= i < len(s) and 0 <= j < len(s[0]))
            plus, minus = math.exp(beta * (around + field)), math.exp(-beta * (around + field))
            row.append(plus / (plus + minus))
        found.append(row)
    return found


@right
def by_tanh(spins: Tensor, beta: float, field: float) -> np.ndarray:
    wide = np.pad(spins.numpy().astype(np.float32), 1)
    around = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
    return (1 + np.tanh(beta * (around + field))) / 2
