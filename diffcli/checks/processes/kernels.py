"""Markov kernels, move by move: proposals, momenta and chances written out; and what chains and weights are worth."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core.processes.montecarlo.kernels import choose, hmc, random_walk
from diffcli.metrics import statistics

PLACES = torch.tensor([[0.4, -1.1], [1.7, 0.2], [-0.3, 0.9], [2.2, -2.0]], dtype=torch.float64)
STEPS = torch.tensor([[0.15], [0.4], [0.7], [0.2]], dtype=torch.float64)


def quartic(x: Tensor) -> Tensor:
    """log p(x) = -(x1⁴ + x1² x2² / 2 + x2²) / 2 + x2, [B]."""
    a, b = x.unbind(1)
    return -(a**4 + a**2 * b**2 / 2 + b**2) / 2 + b


def slope(a: float, b: float) -> tuple[float, float]:
    """The gradient of `quartic` at one place, by hand."""
    return -(2 * a**3 + a * b**2 / 2), -(a**2 * b / 2 + b) + 1


def density(a: float, b: float) -> float:
    return -(a**4 + a**2 * b**2 / 2 + b**2) / 2 + b


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def drawn() -> tuple[Tensor, Tensor]:
    """The normal numbers and then the uniform ones that a kernel draws from `generator()`."""
    source = generator()
    normal = torch.randn(PLACES.shape, generator=source, dtype=torch.float64)
    return normal, torch.rand(len(PLACES), generator=source, dtype=torch.float64)


@check(
    "a random walk proposes a normal step and keeps it with probability min(1, p(x') / p(x))",
    "Metropolis et al. 1953, eq. 1-3; Hastings 1970, section 2.2",
)
def random_walks() -> Iterator[Finding]:
    normal, uniform = drawn()
    found = random_walk(PLACES, quartic, STEPS, generator())
    for i, (place, step) in enumerate(zip(PLACES.tolist(), STEPS.flatten().tolist(), strict=True)):
        proposal = [place[j] + step * normal[i, j].item() for j in (0, 1)]
        ratio = math.exp(density(*proposal)) / math.exp(density(*place))
        yield near(f"chance of chain {i}", min(1.0, ratio), found.accepted[i], rel=1e-12)
        kept = proposal if uniform[i] < ratio else place
        yield near(f"place of chain {i}", torch.tensor(kept, dtype=torch.float64), found.x[i], abs=1e-12)


@check(
    "Hamiltonian moves: a leapfrog by halves of momentum, kept with probability min(1, exp(-change of energy))",
    "Neal 2011, eq. 5.18-5.20 and section 5.3.2",
)
def hamiltonian_moves() -> Iterator[Finding]:
    normal, uniform = drawn()
    for leaps in (1, 2, 5):
        found = hmc(PLACES, quartic, STEPS, leaps, generator())
        for i, (place, step) in enumerate(zip(PLACES.tolist(), STEPS.flatten().tolist(), strict=True)):
            (a, b), (p, r) = place, normal[i].tolist()
            before = -density(a, b) + (p * p + r * r) / 2
            for _ in range(leaps):
                p, r = (m + step / 2 * g for m, g in zip((p, r), slope(a, b), strict=True))
                a, b = a + step * p, b + step * r
                p, r = (m + step / 2 * g for m, g in zip((p, r), slope(a, b), strict=True))
            chance = min(1.0, math.exp(before + density(a, b) - (p * p + r * r) / 2))
            yield near(f"chance of chain {i}, {leaps} leaps", chance, found.accepted[i], rel=1e-10)
            kept = [a, b] if uniform[i] < chance else place
            yield near(
                f"place of chain {i}, {leaps} leaps", torch.tensor(kept, dtype=torch.float64), found.x[i], abs=1e-10
            )


@check("a move to where there is no density, or none that is a number, is refused", "Hastings 1970, section 2.2")
def refused_moves() -> Iterator[Finding]:
    x = torch.zeros(3, 1, dtype=torch.float64)
    found = choose(x, x + 1, torch.tensor([math.nan, -math.inf, math.inf], dtype=torch.float64), generator())
    yield near("chances", torch.tensor([0.0, 0.0, 1.0]), found.accepted)
    yield near("places", torch.tensor([0.0, 0.0, 1.0]), found.x.flatten())


@check(
    "the autocorrelation is the plain sum over pairs, its time that of an autoregression, (1 + rho) / (1 - rho)",
    "Sokal 1997, section 3",
)
def worth_of_chains() -> Iterator[Finding]:
    chains = torch.randn(30, 3, generator=generator(), dtype=torch.float64).cumsum(0)
    centred = chains - chains.mean()
    sums = torch.stack([(centred[lag:] * centred[: 30 - lag]).sum() for lag in range(30)])
    yield near("correlations of a walk", sums / sums[0], statistics.autocorrelation(chains), abs=1e-12)
    for rho in (-0.4, 0.6):
        noise = torch.randn(4000, 64, generator=generator(), dtype=torch.float64)
        chains = noise.clone()
        for n in range(1, len(chains)):
            chains[n] = rho * chains[n - 1] + math.sqrt(1 - rho**2) * noise[n]
        truth = (1 + rho) / (1 - rho)
        yield near(f"time, rho = {rho}", truth, statistics.autocorrelation_time(chains), rel=0.04)
        yield near(f"worth, rho = {rho}", chains.numel() / truth, statistics.effective_count(chains), rel=0.04)


@check(
    "weights are worth (sum w)² / sum w², and the mean of n numbers errs by their deviation over the root of n",
    "Kong 1992; Bienaymé's formula",
)
def worth_of_weights() -> Iterator[Finding]:
    weights = torch.tensor([0.5, 1.0, 2.0, 8.0], dtype=torch.float64)
    size = weights.sum() ** 2 / (weights**2).sum()
    for shift in (0.0, 700.0, -5000.0):
        yield near(f"shifted by {shift:g}", size, statistics.effective_weights(weights.log() + shift), rel=1e-9)
    values = [1.0, 2.0, 4.0, 9.0]
    error = math.sqrt(sum((v - 4) ** 2 for v in values) / 3) / 2
    yield near("standard error", error, statistics.standard_error(torch.tensor(values)), rel=1e-12)


@check(
    "p-values of distances and of Pearson's statistic are those of the tables",
    "Massey 1951, table 1 (n = 20, 0.05: 0.294); Pearson 1900",
)
def p_values() -> Iterator[Finding]:
    yield near("distance 0.294 of 20", 0.05, statistics.ks_p_value(0.294, 20), abs=5e-4)
    series = 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * 1.2) ** 2) for k in range(1, 20))  # Kolmogorov 1933
    yield near("many draws", series, statistics.ks_p_value(1.2 / math.sqrt(1e8), 1e8), rel=1e-3)
    yield near("two degrees", math.exp(-3.0), statistics.chi2_p_value(6.0, 2), rel=1e-9)
