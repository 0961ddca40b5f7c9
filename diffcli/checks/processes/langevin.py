"""Langevin dynamics: its steps written out, its stationary law, and the bias of its step."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core.diffusion.exact import Gaussian, Mixture
from diffcli.core.levels import CLEAN, Level
from diffcli.core.processes.montecarlo.langevin import annealed, geometric, mala, ula
from diffcli.lessons.langevin.dynamics import clean_score
from diffcli.lessons.langevin.modes import inflated, responsibilities, weights, within

START = torch.tensor([[0.3], [-1.2], [2.0], [-0.1]], dtype=torch.float64)
PARTS = ((0.3, -2.0, 0.5), (0.7, 1.5, 0.8))  # weights, means and deviations
LAW = Mixture(*(torch.tensor(v, dtype=torch.float64) for v in ([0.3, 0.7], [[-2.0], [1.5]], [0.5, 0.8])))

DRAWS = 20_000


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(11)


def bells(x: float) -> list[float]:
    """The components' parts in the density of the mixture, by its formula."""
    return [w * math.exp(-((x - m) ** 2) / (2 * s * s)) / (s * math.sqrt(2 * math.pi)) for w, m, s in PARTS]


def log_density(x: float) -> float:
    return math.log(sum(bells(x)))


def score(x: float) -> float:
    """Its derivative, a sum over the components' posterior shares."""
    return sum(bell * (m - x) / s**2 for bell, (_, m, s) in zip(bells(x), PARTS, strict=True)) / sum(bells(x))


@check("an unadjusted step is x + h/2 score + √h z", "Song & Ermon 2019, eq. 4")
def unadjusted_steps() -> Iterator[Finding]:
    source = generator()

    def slopes(x: Tensor) -> Tensor:
        return torch.tensor([[score(v)] for v in x.flatten().tolist()], dtype=torch.float64)

    found = ula(slopes, START, 0.09, 3, generator())
    x = START.flatten().tolist()
    for n, moved in enumerate(found):
        z = torch.randn(4, 1, generator=source, dtype=torch.float64).flatten().tolist()
        x = [v + 0.045 * score(v) + 0.3 * e for v, e in zip(x, z, strict=True)]
        yield near(f"step {n + 1}", torch.tensor(x, dtype=torch.float64), moved.flatten(), abs=1e-9)


@check(
    "an adjusted step is kept with probability min(1, p(x') q(x | x') / (p(x) q(x' | x)))",
    "Roberts & Tweedie 1996, section 1.4.1",
)
def adjusted_steps() -> Iterator[Finding]:
    for h in (0.05, 0.6):
        source, x = generator(), START.flatten().tolist()
        for n, move in enumerate(mala(LAW.log_density, START, h, 2, generator()), 1):
            z = torch.randn(4, 1, generator=source, dtype=torch.float64).flatten().tolist()
            uniform = torch.rand(4, generator=source, dtype=torch.float64).tolist()
            for i in range(4):
                proposal = x[i] + h / 2 * score(x[i]) + math.sqrt(h) * z[i]
                there = -((proposal - x[i] - h / 2 * score(x[i])) ** 2) / (2 * h)
                back = -((x[i] - proposal - h / 2 * score(proposal)) ** 2) / (2 * h)
                chance = min(1.0, math.exp(log_density(proposal) + back - log_density(x[i]) - there))
                x[i] = proposal if uniform[i] < chance else x[i]
                yield near(f"chance of chain {i}, step {n}, h = {h}", chance, move.accepted[i], abs=1e-9)
                yield near(f"place of chain {i}, step {n}, h = {h}", x[i], move.x[i, 0], abs=1e-9)


@check(
    "annealed steps go through the noise levels from high to low, so many each, of a size in units of the noise",
    "Song & Ermon 2019, algorithm 1",
)
def annealed_steps() -> Iterator[Finding]:
    data, source, sigmas = Gaussian(0.4, 0.5), generator(), geometric(4.0, 0.25, 3)
    yield near("levels", torch.tensor([4.0, 1.0, 0.25]), torch.tensor(sigmas), rel=1e-6)

    def score_at(x: Tensor, sigma: float) -> Tensor:
        return data.score(x, Level.of(1.0, sigma))

    found = list(annealed(score_at, START, sigmas, 0.2, 2, generator()))
    yield near("how many", 6, len(found))
    x = START
    for n, sigma in enumerate((4.0, 4.0, 1.0, 1.0, 0.25, 0.25)):
        h = 0.2 * sigma**2
        z = torch.randn(4, 1, generator=source, dtype=torch.float64)
        x = x - h / 2 * (x - 0.4) / (0.25 + sigma**2) + math.sqrt(h) * z
        yield near(f"step {n + 1}", x, found[n].x, rel=1e-9, abs=1e-9)
        yield near(f"level of step {n + 1}", sigma, found[n].sigma, rel=1e-9)


@check(
    "on N(0, s²) unadjusted steps settle at s² / (1 - h / 4 s²), adjusted ones at s²",
    "the fixed point of v = (1 - h / 2 s²)² v + h",
)
def bias_of_the_step() -> Iterator[Finding]:
    law = Gaussian(0.0, 0.7)
    for h in (0.1, 0.5, 1.5):
        v = 0.49
        for _ in range(2000):
            v = (1 - h / 0.98) ** 2 * v + h
        yield near(f"formula, h = {h}", v, inflated(0.49, h), rel=1e-9)
        x = law.draw(DRAWS, torch.Generator().manual_seed(12)).reshape(-1, 1)
        *_, end = ula(lambda y: -y / 0.49, x, h, 30, generator())
        yield near(f"measured, h = {h}", v, end.square().mean(), rel=4.5 * math.sqrt(2 / DRAWS))
        *_, move = mala(lambda y: -(y.square().sum(1)) / 0.98, x, min(h, 0.9), 10, generator())
        yield near(f"adjusted, h = {min(h, 0.9)}", 0.49, move.x.square().mean(), rel=4.5 * math.sqrt(2 / DRAWS))


@check(
    "the mean share of a component over draws is its weight, the mean square from its mode the mean variance",
    "Bishop 2006, eq. 9.13",
)
def shares_of_the_modes() -> Iterator[Finding]:
    x = torch.linspace(-8, 9, 4001, dtype=torch.float64).unsqueeze(1)
    mass = LAW.log_density(x, CLEAN).exp() * (17 / 4000)
    yield near("weights", torch.tensor([0.3, 0.7]), mass @ responsibilities(LAW, x), rel=1e-6)
    yield near("variance", 0.3 * 0.25 + 0.7 * 0.64, mass @ within(LAW, x), rel=1e-6)
    drawn = LAW.draw(20_000, generator())
    found = weights(LAW, drawn)
    for i, truth in enumerate((0.3, 0.7)):
        yield near(f"weight {i} of draws", truth, found.values[i], abs=4.5 * found.errors[i])
    shares = responsibilities(LAW, drawn)[:, 0]
    yield near("standard error", (shares.var() / 20_000).sqrt(), found.errors[0], rel=1e-9)


@check("the score of a mixture is the mean pull of its components, by their posterior shares", "Bishop 2006, eq. 9.13")
def score_of_a_mixture() -> Iterator[Finding]:
    truth = torch.tensor([[score(v)] for v in START.flatten().tolist()], dtype=torch.float64)
    yield near("without noise", truth, clean_score(LAW, START), rel=1e-9)
