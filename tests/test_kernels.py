"""The Markov kernels leave their density unchanged; the numbers that judge chains are right where they are known."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from diffcli.core.processes.montecarlo.kernels import LogDensity, Move, hmc, random_walk
from diffcli.core.randomness import keyed
from diffcli.metrics import statistics

Kernel = Callable[[Tensor, LogDensity, Generator], Move]
KERNELS: dict[str, Kernel] = {
    "random walk": lambda x, p, g: random_walk(x, p, 0.8, g),
    "one leap": lambda x, p, g: hmc(x, p, 0.5, 1, g),
    "five leaps": lambda x, p, g: hmc(x, p, 0.25, 5, g),
    "a step per chain": lambda x, p, g: hmc(x, p, torch.linspace(0.1, 0.6, len(x)).unsqueeze(1), 3, g),
}


def gamma(x: Tensor) -> Tensor:
    """The sum of two independent gamma laws of shape 3, skew and with a hard edge."""
    return torch.where(x > 0, 2 * x.clamp(min=1e-300).log() - x, -torch.inf).sum(1)


@pytest.mark.parametrize("name", KERNELS)
def test_a_law_stays_as_it_is(name: str) -> None:
    generator = keyed(0, name)
    x = -torch.rand(100_000, 2, 3, generator=generator, dtype=torch.float64).log().sum(2)  # exact draws
    for _ in range(5):
        x, accepted = KERNELS[name](x, gamma, generator)
        assert 0.2 < accepted.mean() < 1
    for power, truth in ((1, 3), (2, 12), (3, 60)):
        values = x.pow(power).mean(1)
        assert abs(values.mean().item() - truth) < 4.5 * statistics.standard_error(values)


def test_hmc_keeps_the_energy_to_second_order() -> None:
    x, lost = torch.full((64, 2), 0.3, dtype=torch.float64), []
    for leaps in (40, 80, 160):
        accepted = hmc(x, lambda y: -(y**4).sum(1), 1.0 / leaps, leaps, keyed(3, "energy")).accepted
        lost.append(-accepted.log())
    worse = (lost[0] > 0) & (lost[1] > 0) & (lost[2] > 0)
    assert worse.sum() > 10
    for coarse, fine in zip(lost, lost[1:], strict=False):
        assert 3.8 < (coarse[worse].sum() / fine[worse].sum()).item() < 4.2


def test_a_chain_that_stands_still_is_worth_nothing() -> None:
    assert statistics.autocorrelation_time(torch.ones(50, 2)) == math.inf
    assert statistics.effective_count(torch.ones(50, 2)) == 0


def test_weights_that_are_all_nothing_are_worth_nothing() -> None:
    assert statistics.effective_weights(torch.full((3,), -math.inf)) == 0
