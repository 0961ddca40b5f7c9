"""The likelihood by the probability flow, and the solver that follows it."""

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core.diffusion.exact import Gaussian, Mixture
from diffcli.core.diffusion.likelihood import PROBES, exact_trace, flowed, hutchinson, log_prior
from diffcli.core.diffusion.schedules import SCHEDULES, LogSNR
from diffcli.core.ode import dormand_prince


def plane_mixture() -> Mixture:
    """Three Gaussians of different width and weight in the plane."""
    means = torch.tensor([[-1.0, 0.2], [0.4, 0.9], [0.8, -1.0]], dtype=torch.float64)
    return Mixture(torch.tensor([0.5, 0.2, 0.3]).double(), means, torch.tensor([0.3, 0.15, 0.5]).double())


@check("log p of a mixture in the plane by its flow, to a thousandth of a nat", "Song et al. 2021, eq. 39")
def flow_of_a_mixture() -> Iterator[Finding]:
    law = plane_mixture()
    x0 = law.draw(12, torch.Generator().manual_seed(1))
    for most in (5.0, 9.0):
        schedule = LogSNR(most, -18.0)
        level = schedule(torch.zeros((), dtype=torch.float64))
        *steps, last = flowed(law, level.alpha * x0, schedule, 0.0, exact_trace, rtol=1e-6, atol=1e-6)
        yield near("evaluations", 1 + 6 * (len(steps) + 1 + last.refused), last.evaluations)
        got = log_prior(last.x, schedule) + last.divergence
        yield near(f"from log-SNR {most}", law.log_density(level.alpha * x0, level), got, abs=1e-3)


@check("along the flow of a Gaussian the density changes by the divergence", "Chen et al. 2018, theorem 1")
def flow_of_a_gaussian() -> Iterator[Finding]:
    law = Gaussian(torch.tensor([0.3, -0.2]).double(), torch.tensor([0.4, 1.5]).double())
    x = torch.tensor([[0.1, 0.9], [-1.0, 3.0]], dtype=torch.float64)
    for name in ("vp", "sub-vp", "ve", "flow", "log-snr"):
        schedule = SCHEDULES[name]()
        start, end = (schedule(torch.tensor(t, dtype=torch.float64)) for t in (schedule.first, 1.0))
        *_, last = flowed(law, x, schedule, schedule.first, exact_trace, rtol=1e-7, atol=1e-7)
        got = law.log_density(last.x, end) + last.divergence
        yield near(name, law.log_density(x, start), got, abs=1e-5)
        std = math.hypot(end.alpha.item(), end.sigma.item())
        prior = -(x**2 / 2 / std**2 + math.log(std) + math.log(2 * math.pi) / 2).sum(1)
        yield near(f"the prior of {name}", prior, log_prior(x, schedule), rel=1e-9)


@check("the trace is exact along the axes, and Hutchinson's is right on average over its probes", "Hutchinson 1990")
def traces() -> Iterator[Finding]:
    matrix = torch.tensor([[1.0, 2.0, -1.0], [0.5, -3.0, 0.2], [4.0, 1.0, 0.7]], dtype=torch.float64)

    def velocity(x: Tensor) -> Tensor:
        return torch.sin(x @ matrix.T)

    x = torch.tensor([[0.1, -0.4, 0.3], [1.0, 0.0, -2.0]], dtype=torch.float64)
    wanted = (torch.cos(x @ matrix.T) * matrix.diagonal()).sum(1)
    value, trace = exact_trace(velocity, x)
    yield near("value", velocity(x), value)
    yield near("exact", wanted, trace, rel=1e-12)
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3)), dtype=torch.float64)
    every = signs.unsqueeze(1).expand(8, 2, 3)
    value, trace = hutchinson(every)(velocity, x)
    yield near("value beside probes", velocity(x), value)
    yield near("all signs", wanted, trace, rel=1e-12)
    axes = math.sqrt(3) * torch.eye(3, dtype=torch.float64).unsqueeze(1).expand(3, 2, 3)
    yield near("scaled axes", wanted, hutchinson(axes)(velocity, x)[1], rel=1e-12)
    normal = torch.tensor([-0.3, 2.0, 0.0], dtype=torch.float64)
    yield near("Rademacher", torch.tensor([-1.0, 1.0, 1.0]), PROBES["rademacher"](normal))
    yield near("Gaussian", normal, PROBES["gaussian"](normal))


@check("the solver keeps to its tolerance; its error falls with the fifth power of the step", "Dormand & Prince 1980")
def solver() -> Iterator[Finding]:
    rates = torch.linspace(0.5, 2.5, 40, dtype=torch.float64)

    def slope(t: float, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return -2 * rates * t * state[0], torch.cos(3 * rates * t)

    counts, misses = [], []
    for tolerance in (1e-4, 1e-6, 1e-8, 1e-10):
        begin = (torch.ones_like(rates), torch.zeros_like(rates))
        *walk, (t, (decay, wave), _) = dormand_prince(slope, begin, 0.0, 2.0, rtol=tolerance, atol=tolerance)
        miss = torch.cat([decay - torch.exp(-4 * rates), wave - torch.sin(6 * rates) / 3 / rates])
        yield near(f"tolerance {tolerance:g}", 0, miss, abs=10 * tolerance)
        yield near("it ends at the end", 2.0, t)
        counts.append(len(walk) + 1)
        misses.append(miss.square().mean().sqrt().item())
    order = math.log(misses[1] / misses[3]) / math.log(counts[3] / counts[1])
    yield near("order", 5, order, abs=0.5)
