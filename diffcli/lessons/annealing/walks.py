"""Chains on a ladder of laws between the standard normal one and a density whose constant is looked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from diffcli import specs
from diffcli.core.processes.montecarlo.annealing import (
    LADDERS,
    Kernel,
    ais,
    log_ratio,
    metropolis,
    reverse,
    stepping,
    tuned,
)
from diffcli.core.processes.montecarlo.kernels import LogDensity, Move, hmc
from diffcli.core.processes.montecarlo.unnormalised import PROBLEMS, Unnormalised, draw_standard, standard
from diffcli.core.randomness import keyed
from diffcli.errors import UsageProblem, one_of
from diffcli.lessons.annealing import KERNELS
from diffcli.lessons.annealing.weights import log_mean

PLAIN = 1_000_000  # draws of plain importance sampling at most
BLOCK = 50_000  # of them at once
MOST = 3_000_000_000  # numbers that are moved: an hour or so
LEAPS, PILOTS, RUNGS = 5, 100, 50  # of hmc: steps of a move; chains and temperatures of the run that finds step sizes
SHOWN = 6  # temperatures at which the chains are kept


@dataclass(frozen=True)
class AnnealingSetting:
    """The density whose constant is looked for, by its name as it was written, and how to anneal to it."""

    name: str
    problem: Unnormalised
    ladder: str
    temperatures: int
    chains: int
    kernel: str
    moves: int
    seed: int

    @property
    def plain_draws(self) -> int:
        """How many draws plain importance sampling gets: as many as there are moves, up to a limit."""
        return min(PLAIN, self.temperatures * self.chains)


def annealing_setting(
    name: str, *, ladder: str | None, temperatures: int, chains: int, kernel: str, moves: int, seed: int
) -> AnnealingSetting:
    """What was asked for, checked; without a ladder the one that suits the density. Raises UsageProblem."""
    one_of(kernel, KERNELS, "kernel")
    problem = specs.make(PROBLEMS, name, "problem")
    ladder = one_of(ladder or problem.ladder, LADDERS, "ladder")
    if temperatures * chains * moves * problem.dimension > MOST:
        raise UsageProblem("that would take hours", "use fewer --temperatures, --chains or --moves")
    return AnnealingSetting(name, problem, ladder, temperatures, chains, kernel, moves, seed)


class KeptChains(NamedTuple):
    """Chains [B, D] as they are at beta, and their log-weights there, [B]."""

    beta: float
    x: Tensor
    log_weight: Tensor


class Climb(NamedTuple):
    """A run up the ladder, by temperature: betas [K + 1], and [K] each for betas[1:] the next three.

    log_z:       log of the mean weight
    average:     mean of the log-weights
    accepted:    share of the moves
    log_weights: at the end, [B]
    kept:        the chains at some of the temperatures
    """

    betas: Tensor
    log_z: Tensor
    average: Tensor
    accepted: Tensor
    log_weights: Tensor
    kept: list[KeptChains]


def moves_of(setting: AnnealingSetting) -> Callable[[Tensor], Kernel]:
    """betas -> the moves at these temperatures; those of hmc have step sizes from a run of their own, then fixed."""
    if setting.kernel == "random-walk":
        return lambda betas: metropolis(repeats=setting.moves)
    problem = setting.problem
    at, generator = LADDERS[problem.ladder](RUNGS), keyed(setting.seed, "ais-steps")
    pilots = draw_standard(PILOTS, problem.dimension, generator)
    steps = tuned(_leap, pilots, standard, problem.log_density, at, generator)

    def kernel_of(betas: Tensor) -> Kernel:
        return stepping(_leap, torch.from_numpy(np.interp(betas, at[1:], steps[1:])), setting.moves)

    return kernel_of


def _leap(x: Tensor, log_density: LogDensity, step: float, generator: Generator) -> Move:
    return hmc(x, log_density, step, LEAPS, generator)


def climbed(setting: AnnealingSetting, betas: Tensor, kernel: Kernel) -> Climb:
    """All chains from the standard normal law up to the density."""
    problem, count = setting.problem, len(betas) - 1
    generator = keyed(setting.seed, "ais-up", len(betas))
    x = draw_standard(setting.chains, problem.dimension, generator)
    shown = [round(k) for k in torch.linspace(0, count, min(SHOWN, count + 1)).tolist()]
    kept, rows = [KeptChains(0.0, x, x.new_zeros(setting.chains))], []
    for k, step in enumerate(ais(x, standard, problem.log_density, betas, kernel, generator), start=1):
        rows.append((log_mean(step.log_weight), step.log_weight.mean().item(), step.accepted.mean().item()))
        if k in shown:
            kept.append(KeptChains(betas[k].item(), step.x, step.log_weight))
    log_z, average, accepted = torch.tensor(rows, dtype=torch.float64).T
    return Climb(betas, log_z, average, accepted, step.log_weight, kept)


def descended(setting: AnnealingSetting, betas: Tensor, kernel: Kernel) -> Tensor:
    """The log-weights of a run down the ladder, from exact draws of the density, [B]."""
    problem, generator = setting.problem, keyed(setting.seed, "ais-down", len(betas))
    x = problem.draw(setting.chains, generator)
    *_, last = reverse(x, standard, problem.log_density, betas, kernel, generator)
    return last.log_weight


def unmoved(setting: AnnealingSetting) -> Tensor:
    """The log-weights of draws of the start with no moves at all: plain importance sampling, [plain_draws]."""
    problem, generator = setting.problem, keyed(setting.seed, "ais-plain")
    blocks = [min(BLOCK, setting.plain_draws - done) for done in range(0, setting.plain_draws, BLOCK)]
    draws = (draw_standard(block, problem.dimension, generator) for block in blocks)
    return torch.cat([log_ratio(x, standard, problem.log_density) for x in draws])
