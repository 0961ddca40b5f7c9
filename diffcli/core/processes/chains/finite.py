"""Finite Markov chains: classes, periods, hitting times, stationary laws, spectrum and mixing, all of them exact.

A matrix is float64 [S, S] and stochastic: its row is the law of the next state, given the present one.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

MOST_STATES = 512
ROUNDING = 1e-6  # by which the sum of a row may differ from 1
BALANCED = 1e-9  # by which two flows may differ, as a part of the larger one
LONGEST = 2**40  # steps; a chain that needs more is taken not to mix


class Finite(NamedTuple):
    """A chain: the names of its states and its matrix."""

    states: tuple[str, ...]
    matrix: Tensor


def finite(matrix: Tensor, states: Sequence[str] = ()) -> Finite:
    """The chain of a matrix, each row divided by its sum, which may be off by the rounding of a written file.

    states:  names; without any they are numbered from 0

    Raises ValueError for what is no stochastic matrix, with the row, and for states that are not one for each row.
    """
    if matrix.dim() != 2 or not matrix.numel() or matrix.shape[0] != matrix.shape[1]:
        shape = " x ".join(map(str, matrix.shape))
        raise ValueError(f"a transition matrix is square, with a row and a column for each state, not {shape}")
    if len(matrix) > MOST_STATES:
        raise ValueError(f"{len(matrix)} states are too many: at most {MOST_STATES}")
    names = tuple(states) or tuple(map(str, range(len(matrix))))
    if len(set(names)) != len(matrix) or len(names) != len(matrix):
        raise ValueError(f"{len(matrix)} rows need {len(matrix)} different states, not {', '.join(names)}")
    for i, (name, row) in enumerate(zip(names, matrix.double(), strict=True), start=1):
        if not bool(row.isfinite().all()):
            raise ValueError(f"row {i} ({name}) has an entry that is not a finite number")
        if bool((row < 0).any()):
            raise ValueError(f"row {i} ({name}) has a negative probability, {row.min():.6g}, to {names[row.argmin()]}")
        if abs(row.sum().item() - 1) > ROUNDING:
            raise ValueError(f"row {i} ({name}) sums to {row.sum():.6g}, not to 1")
    return Finite(names, matrix.double() / matrix.double().sum(1, keepdim=True))


class CommunicatingClass(NamedTuple):
    """States that can all be reached from each other.

    members:  their indices, int64 [M]
    closed:   whether it is never left
    period:   the greatest common divisor of the lengths of all loops; 0 where there is no loop
    """

    members: Tensor
    closed: bool
    period: int


def classes(matrix: Tensor) -> list[CommunicatingClass]:
    """The communicating classes, by their first states (Levin, Peres & Wilmer 2017, sections 1.3 and 1.7)."""
    reach = reachable(matrix)
    label = torch.where(reach & reach.T, torch.arange(len(matrix)), len(matrix)).amin(1)
    found = []
    for first in label.unique():
        inside = label == first
        members = inside.nonzero().flatten()
        edges = matrix[members][:, members] > 0
        found.append(CommunicatingClass(members, not bool(reach[first][~inside].any()), _period(edges)))
    return found


def reachable(matrix: Tensor) -> Tensor:
    """Whether there is a path, of no step perhaps, from row to column; bool [S, S]."""
    reach = (matrix > 0).float() + torch.eye(len(matrix))
    for _ in range(math.ceil(math.log2(max(2, len(matrix))))):
        reach = (reach @ reach).clamp(max=1)
    return reach > 0


def _period(edges: Tensor) -> int:
    """Of a class: every edge from depth d to depth e of a breadth-first tree closes loops that differ by d + 1 - e."""
    depth = torch.full((len(edges),), -1)
    level, front = 0, torch.arange(len(edges)) == 0
    while bool(front.any()):
        depth[front] = level
        level, front = level + 1, edges[front].any(0) & (depth < 0)
    tail, head = edges.nonzero(as_tuple=True)
    return math.gcd(*(depth[tail] + 1 - depth[head]).unique().tolist())


def hitting_probabilities(matrix: Tensor, target: Tensor) -> Tensor:
    """The probability of ever being in the target, bool [S], from each state, [S].

    The least solution of h = P h outside the target (Norris 1997, theorem 1.3.2).
    """
    possible = reachable(matrix)[:, target].any(1)
    h = target.double()
    inside = possible & ~target
    if bool(inside.any()):
        among = matrix[inside][:, inside]
        h[inside] = torch.linalg.solve(torch.eye(len(among)).double() - among, matrix[inside][:, target].sum(1))
    return h


def hitting_times(matrix: Tensor, target: Tensor) -> Tensor:
    """The mean number of steps to the target, bool [S], from each state, [S]; inf where it may never be reached.

    The least solution of k = 1 + P k outside the target (Norris 1997, theorem 1.3.5).
    """
    stopped = torch.where(target.unsqueeze(1), torch.eye(len(matrix)).double(), matrix)
    reach = reachable(stopped)
    certain = ~reach[:, ~reach[:, target].any(1)].any(1)
    k = torch.where(certain, 0.0, torch.inf).double()
    inside = certain & ~target
    if bool(inside.any()):
        among = matrix[inside][:, inside]
        k[inside] = torch.linalg.solve(torch.eye(len(among)).double() - among, torch.ones(len(among)).double())
    return k


def stationary(matrix: Tensor) -> Tensor:
    """The stationary law of an irreducible chain, [S], every entry to nearly full precision.

    One state after the other is left out, with no subtraction (Grassmann, Taksar & Heyman 1985).
    """
    censored = matrix.clone()
    for n in range(len(matrix) - 1, 0, -1):
        censored[:n, n] /= censored[n, :n].sum()
        censored[:n, :n] += torch.outer(censored[:n, n], censored[n, :n])
    law = torch.ones(len(matrix), dtype=torch.float64)
    for n in range(1, len(matrix)):
        law[n] = law[:n] @ censored[:n, n]
        law[: n + 1] /= law[: n + 1].sum()
    return law


def stationary_laws(matrix: Tensor, parts: Sequence[CommunicatingClass]) -> Tensor:
    """The stationary law of each closed class, [K, S]; every other one is a mixture of them."""
    closed = [part.members for part in parts if part.closed]
    laws = torch.zeros(len(closed), len(matrix), dtype=torch.float64)
    for law, members in zip(laws, closed, strict=True):
        law[members] = stationary(matrix[members][:, members])
    return laws


def eigenvector(matrix: Tensor) -> Tensor:
    """The left eigenvector of the eigenvalue nearest to 1, as a law, [S]: a second way to the stationary law."""
    values, vectors = torch.linalg.eig(matrix.T)
    vector = vectors[:, (values - 1).abs().argmin()].real
    return vector / vector.sum()


def imbalance(matrix: Tensor, law: Tensor) -> float:
    """The largest |π(x) P(x, y) - π(y) P(y, x)|: 0 under detailed balance (Levin, Peres & Wilmer 2017, section 1.6)."""
    flow = law.unsqueeze(1) * matrix
    return (flow - flow.T).abs().max().item()


def is_reversible(matrix: Tensor, law: Tensor) -> bool:
    """Whether every two flows are the same but for rounding."""
    flow = law.unsqueeze(1) * matrix
    return bool(((flow - flow.T).abs() <= BALANCED * torch.maximum(flow, flow.T) + 1e-15).all())


def eigenvalues(matrix: Tensor, reversible: bool = False) -> Tensor:
    """Complex [S], the largest modulus first.

    reversible:  the chain is, and irreducible: the matrix is similar to the symmetric √(P(x, y) P(y, x)), which is
                 the √π(x) P(x, y) / √π(y) of Levin, Peres & Wilmer 2017, lemma 12.2, without π
    """
    if reversible:
        values = torch.linalg.eigvalsh((matrix * matrix.T).sqrt()).to(torch.complex128)
    else:
        values = torch.linalg.eigvals(matrix)
    return values[values.abs().argsort(descending=True, stable=True)]


def spectral_gap(values: Tensor) -> float:
    """1 minus the second largest modulus: the absolute spectral gap (Levin, Peres & Wilmer 2017, section 12.2).

    0 for periodic chains and for those with more than one closed class; 1 for a single state.
    """
    second = values.abs()[1].item() if len(values) > 1 else 0.0
    return 1 - second if second < 1 - 1e-13 * len(values) else 0.0


def total_variation(rows: Tensor, law: Tensor) -> Tensor:
    """Half the sum of the differences of laws [..., S], in [0, 1]."""
    return (rows - law).abs().sum(-1) / 2


def mixing_time(matrix: Tensor, law: Tensor, near: float = 0.25) -> int | None:
    """The first step after which every start is within `near` of the law in total variation; None if there is none.

    The distance d(t) of the worst start never grows (Levin, Peres & Wilmer 2017, section 4.5), so
    powers of two bracket the time and a bisection finds it.
    """

    def far(power: Tensor) -> bool:
        return total_variation(power, law).max().item() > near

    if not far(torch.eye(len(matrix)).double()):
        return 0
    powers = [matrix]
    while far(powers[-1]):
        if 2 ** len(powers) > LONGEST:
            return None
        powers.append(_stochastic(powers[-1] @ powers[-1]))
    time, here = 0, torch.eye(len(matrix)).double()
    for k in range(len(powers) - 2, -1, -1):
        if far(ahead := _stochastic(here @ powers[k])):
            time, here = time + 2**k, ahead
    return time + 1


def bounds(gap: float, least: float, near: float = 0.25) -> tuple[float, float]:
    """Between which the mixing time of a reversible, irreducible, aperiodic chain lies.

    (t_rel - 1) log(1 / 2ε) and t_rel log(1 / ε π_min), t_rel = 1 / gap (Levin, Peres & Wilmer 2017, theorems 12.4-5).
    """
    relaxation = 1 / gap
    return (relaxation - 1) * math.log(1 / (2 * near)), relaxation * -math.log(near * least) if least else math.inf


def laws_over_time(matrix: Tensor, laws: Tensor, stride: int = 1) -> Iterator[Tensor]:
    """The laws [K, S] that those at the start become after 0, stride, 2 stride, ... steps; without end."""
    jump = _stochastic(torch.linalg.matrix_power(matrix, stride))
    while True:
        yield laws
        laws = laws @ jump


def walks(matrix: Tensor, states: Tensor, generator: Generator) -> Iterator[Tensor]:
    """Many chains at once: their states int64 [C] at the start and after each step; without end."""
    below = matrix.cumsum(1)
    below = below / below[:, -1:]  # exactly 1 at the end: no uniform number lies beyond
    while True:
        yield states
        uniform = torch.rand(len(states), 1, generator=generator, dtype=torch.float64)
        states = torch.searchsorted(below[states], uniform, right=True).squeeze(1)


def _stochastic(matrix: Tensor) -> Tensor:
    """Rows that sum to 1 again, or the rounding of a power would grow with every squaring."""
    return matrix / matrix.sum(1, keepdim=True)
