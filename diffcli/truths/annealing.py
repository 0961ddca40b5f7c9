"""Annealed importance sampling: normalising constants that are known."""

import math
from collections.abc import Iterator
from itertools import product

import torch
from torch import Generator, Tensor

from diffcli.core.processes.ais import ais, reverse
from diffcli.core.processes.kernels import LogDensity, Move
from diffcli.truths import Finding, check, near

START = [0.5, 0.3, 0.2]
TARGET = [1.2, 0.1, 3.1]
BETAS = [0.0, 0.15, 0.4, 1.0]


def _transition(density: list[float]) -> list[list[float]]:
    """Metropolis' matrix on three states: each other state is proposed with probability 1/2."""
    rows = []
    for i in range(3):
        row = [0.5 * min(1.0, density[j] / density[i]) if j != i else 0.0 for j in range(3)]
        row[i] = 1 - sum(row)
        rows.append(row)
    return rows


def _log(values: list[float]) -> LogDensity:
    """The logarithm of a table, for states [B, 1]."""
    return lambda x: torch.tensor(values, dtype=torch.float64).log()[x.flatten().long()]


@check(
    "summed over all paths of three states: mean weights are ratios of constants, upwards and downwards",
    "Neal 2001, eq. 5-11; Jarzynski 1997; Crooks 1999",
)
def every_path() -> Iterator[Finding]:
    rungs = len(BETAS) - 1
    matrices = [_transition([s ** (1 - b) * t**b for s, t in zip(START, TARGET, strict=True)]) for b in BETAS]
    paths = list(product(range(3), repeat=rungs + 1))
    states = torch.tensor(paths, dtype=torch.float64)

    def upward(x: Tensor, _: LogDensity, k: int, __: Generator) -> Move:
        return Move(states[:, k : k + 1], torch.ones(len(x)))

    def downward(x: Tensor, _: LogDensity, k: int, __: Generator) -> Move:
        return Move(states[:, k - 1 : k], torch.ones(len(x)))

    laws, betas, generator = (_log(START), _log(TARGET)), torch.tensor(BETAS, dtype=torch.float64), Generator()
    up = list(ais(states[:, :1], *laws, betas, upward, generator))
    down = list(reverse(states[:, -1:], *laws, betas, downward, generator))
    chances_up, chances_down = [], []
    for path in paths:
        steps = list(enumerate(zip(path, path[1:], strict=False), start=1))
        chances_up.append(START[path[0]] * math.prod(matrices[k][i][j] for k, (i, j) in steps))
        chances_down.append(TARGET[path[-1]] / sum(TARGET) * math.prod(matrices[k][j][i] for k, (i, j) in steps))
    forth, back = (torch.tensor(v, dtype=torch.float64) for v in (chances_up, chances_down))
    yield near("every path is there", 1, forth.sum(), abs=1e-12)
    for k, state in enumerate(up, start=1):
        law = [s ** (1 - BETAS[k]) * t ** BETAS[k] for s, t in zip(START, TARGET, strict=True)]
        for i in range(3):
            here = state.x.flatten() == i
            yield near(f"state {i} at rung {k}", law[i], (forth * state.log_weight.exp())[here].sum(), rel=1e-12)
    ratio = sum(TARGET) / sum(START)
    yield near("upwards", ratio, (forth * up[-1].log_weight.exp()).sum(), rel=1e-12)
    yield near("downwards", 1 / ratio, (back * down[-1].log_weight.exp()).sum(), rel=1e-12)
    yield near("Crooks, path by path", back * ratio, forth * up[-1].log_weight.exp(), rel=1e-12)
    yield near("the same weight both ways", -up[-1].log_weight, down[-1].log_weight, abs=1e-12)
