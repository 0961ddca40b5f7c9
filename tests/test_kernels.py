"""The Markov kernels leave their density unchanged; the numbers that judge chains are right where they are known."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from diffcli.core.processes.kernels import LogDensity, Move, choose, hmc, random_walk
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


def test_a_move_to_where_the_density_is_nan_or_nothing_is_refused() -> None:
    x = torch.zeros(3, 1)
    ratio = torch.tensor([math.nan, -math.inf, math.inf])
    moved, accepted = choose(x, x + 1, ratio, keyed(0, "refused"))
    assert moved.flatten().tolist() == [0, 0, 1]
    assert accepted.tolist() == [0, 0, 1]


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_the_time_of_an_autoregression_is_known(rho: float) -> None:
    chain = torch.empty(20_000, 64, dtype=torch.float64)
    chain[0] = torch.randn(64, generator=keyed(0, "start"), dtype=torch.float64)
    noise = torch.randn(chain.shape, generator=keyed(0, "noise"), dtype=torch.float64)
    for n in range(1, len(chain)):
        chain[n] = rho * chain[n - 1] + math.sqrt(1 - rho**2) * noise[n]
    assert statistics.autocorrelation(chain)[:4].tolist() == pytest.approx([rho**k for k in range(4)], abs=0.02)
    assert statistics.autocorrelation_time(chain) == pytest.approx((1 + rho) / (1 - rho), rel=0.08)


def test_a_chain_that_stands_still_is_worth_nothing() -> None:
    assert statistics.autocorrelation_time(torch.ones(50, 2)) == math.inf
    assert statistics.effective_count(torch.ones(50, 2)) == 0


def test_effective_weights() -> None:
    assert statistics.effective_weights(torch.full((7,), -1e4, dtype=torch.float64)) == pytest.approx(7)
    assert statistics.effective_weights(torch.tensor([0.0, -math.inf])) == pytest.approx(1)
    assert statistics.effective_weights(torch.tensor([1.0, 2.0, 3.0]).log()) == pytest.approx(36 / 14)
    assert statistics.effective_weights(torch.full((3,), -math.inf)) == 0


def test_p_values_of_tables() -> None:
    assert statistics.ks_p_value(1.3581 / math.sqrt(1e6), 1e6) == pytest.approx(0.05, rel=0.01)
    assert statistics.chi2_p_value(3.841, 1) == pytest.approx(0.05, rel=0.001)
