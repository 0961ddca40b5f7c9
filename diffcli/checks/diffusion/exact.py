"""The exact models in several dimensions: their densities, and that what they draw has the law that they claim."""

import math
from collections.abc import Iterator

import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.denoisers import MEANS, STDS, WEIGHTS, line_mixture
from diffcli.checks.diffusion.schedules import at
from diffcli.core.diffusion import bound, grids
from diffcli.core.diffusion.exact import Gaussian, Mixture
from diffcli.core.diffusion.schedules import SCHEDULES, VE, VP, Flow
from diffcli.core.levels import CLEAN
from diffcli.metrics.statistics import kolmogorov_distance

DRAWS = 100_000
DISTANCE = math.sqrt(math.log(2 / 1e-6) / (2 * DRAWS))
"""How far the empirical distribution function may lie from the true one: more has a probability below 1e-6."""

COVARIANCE = torch.tensor([[1.0, 0.6, 0.1], [0.6, 0.8, -0.2], [0.1, -0.2, 0.5]], dtype=torch.float64)
CENTRE = torch.tensor([0.1, -0.3, 0.2], dtype=torch.float64)


@check(
    "a mixture in 3 dimensions: density and posterior mean are sums over components, weighed by Bayes' rule",
    "Bishop 2006, eq. 2.113-2.117 and 9.13",
)
def mixture_in_space() -> Iterator[Finding]:
    numbers = torch.randn(9, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    means, x = numbers[:4], numbers[4:]
    weights, stds = (torch.tensor(v, dtype=torch.float64) for v in ([1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 0.5, 1.5]))
    law, eye = Mixture(weights, means, stds), torch.eye(3, dtype=torch.float64)
    for level in (CLEAN, VP()(at(0.3)), VE()(at(0.7)), Flow()(at(0.5))):
        logs, centres = [], []
        for weight, mean, std in zip(weights, means, stds, strict=True):
            variance = level.alpha**2 * std**2 + level.sigma**2
            normal = MultivariateNormal(level.alpha * mean, variance * eye)
            logs.append((weight / 10).log() + normal.log_prob(x))
            centres.append(mean + level.alpha * std**2 / variance * (x - level.alpha * mean))
        density = torch.stack(logs).logsumexp(0)
        yield near(f"log density, sigma {level.sigma:.2f}", density, law.log_density(x, level), rel=1e-9, abs=1e-9)
        shares = (torch.stack(logs) - density).exp().unsqueeze(2)
        wanted = (shares * torch.stack(centres)).sum(0)
        if level.sigma > 0:
            yield near(f"posterior mean, sigma {level.sigma:.2f}", wanted, law(x, level).x0, rel=1e-9, abs=1e-9)


@check(
    "the memorising denoiser does not depend on the order of its images, nor on what block they fall in",
    "Karras et al. 2022, eq. 57; Milakov & Gimelshein 2018 (the running softmax)",
)
def order_of_the_images() -> Iterator[Finding]:
    x, level = torch.zeros(1, 1, dtype=torch.float64), VP()(at(0.1))
    near_last = torch.linspace(3, 0, 20_000, dtype=torch.float64).unsqueeze(1)  # the nearest in the last block
    shares = (-((level.alpha * near_last) ** 2) / (2 * level.sigma**2)).softmax(0)
    for name, data in (("nearest last", near_last), ("nearest first", near_last.flip(0))):
        law = Mixture(torch.ones(20_000), data, torch.zeros(20_000))
        yield near(name, (shares * near_last).sum(), law(x, level).x0, rel=1e-9)


@check(
    "draws have the distribution of their law along every direction, within the bound of Dvoretzky, Kiefer, Wolfowitz",
    "Massart 1990, corollary 1",
)
def draws_follow_their_laws() -> Iterator[Finding]:
    generator = torch.Generator().manual_seed(5)
    draws = Gaussian.of_covariance(CENTRE, COVARIANCE).draw(DRAWS, generator)
    for direction in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, -1.0, 0.0], [1.0, 1.0, 1.0]):
        u = torch.tensor(direction, dtype=torch.float64)
        normal = Normal(u @ CENTRE, (u @ COVARIANCE @ u).sqrt())
        yield near(f"Gaussian along {direction}", 0, kolmogorov_distance(normal.cdf(draws @ u)), abs=DISTANCE)
    plain = Gaussian(torch.tensor([0.3, -1.0]), torch.tensor([0.5, 2.0])).draw(DRAWS, generator)
    for i, (mean, std) in enumerate(((0.3, 0.5), (-1.0, 2.0))):
        u = Normal(at(mean), at(std)).cdf(plain[:, i])
        yield near(f"coordinate {i}", 0, kolmogorov_distance(u), abs=DISTANCE)
    along = line_mixture().draw(DRAWS, generator).flatten()
    parts = zip(WEIGHTS, MEANS, STDS, strict=True)
    cdf = torch.stack([w * Normal(at(m), at(s)).cdf(along) for w, m, s in parts]).sum(0)
    yield near("mixture on a line", 0, kolmogorov_distance(cdf), abs=DISTANCE)


@check(
    "the cost of beginning in pure noise is a KL; grids over log-SNR add less than a thousandth",
    "Ho et al. 2020, eq. 5",
)
def cost_of_the_prior() -> Iterator[Finding]:
    x0 = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 2, 2)
    for name, level in (("vp", VP()(at(0.5))), ("ve", VE()(at(0.7))), ("flow", Flow()(at(0.9)))):
        prior = Normal(at(0.0), (level.alpha**2 + level.sigma**2).sqrt())
        nats = kl_divergence(Normal(level.alpha * x0, level.sigma), prior)
        yield near(name, nats.sum((1, 2)), bound.prior(x0, level), rel=1e-9)
    for name, make in SCHEDULES.items():
        one = torch.ones(1, 1, dtype=torch.float64)
        noisiest = bound.prior(one, make()(at(1.0))) / math.log(2)
        for grid in ("karras", "log-snr"):
            bits = bound.prior(one, grids.levels(make(), 10, grid)[0]) / math.log(2)
            yield near(f"bits at the start of {name}, {grid}", noisiest, bits, abs=1e-3)


@check(
    "on schedules of continuous time: trailing from 1, leading to the least time, linspace to both, quadratic squared",
    "Lin et al. 2024, table 2; Song et al. 2021 (DDIM), D.2; Song et al. 2021, appendix C",
)
def continuous_grids() -> Iterator[Finding]:
    least = 1e-3
    for name, schedule in (("vp", VP()), ("flow", Flow())):
        for steps in (1, 4, 10):
            falling = range(steps, 0, -1)
            wanted = {
                "trailing": [k / steps for k in falling],
                "leading": [least + (k - 1) * (1 - least) / steps for k in falling],
                "linspace": [1 - k * (1 - least) / max(1, steps - 1) for k in range(steps)],
                "quadratic": [(k / steps) ** 2 for k in falling],
            }
            for grid, times in wanted.items():
                found = grids.times(schedule, steps, grid)
                yield near(f"{name}, {grid}, {steps} steps", torch.tensor(times, dtype=torch.float64), found, abs=1e-12)
