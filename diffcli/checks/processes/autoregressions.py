"""Chains of numbers and of spins: autoregressions, the forward process as one of them, and the Ising model."""

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.checks.processes.chains import DRAWS, numbers
from diffcli.core.diffusion.schedules import SCHEDULES
from diffcli.core.levels import CLEAN, Level, noising
from diffcli.core.processes.chains import autoregression, finite, named
from diffcli.core.processes.chains.autoregression import Autoregression
from diffcli.core.processes.chains.ising import Ising
from diffcli.core.processes.laws.gaussian import kl
from diffcli.core.randomness import keyed


@check(
    "an autoregression: mean and variance by recursion, its stationary law, its autocovariance; Ornstein-Uhlenbeck's",
    "Box & Jenkins 1970, section 3.2; Uhlenbeck & Ornstein 1930",
)
def autoregressions() -> Iterator[Finding]:
    for rho, noise in ((0.9, 1.0), (-0.6, 0.3), (0.0, 2.0)):
        chain = named.ar1(rho, noise)
        mean, variance = 3.0, 0.0
        for step in range(8):
            found = chain.law(3.0, numbers(step))
            yield near(
                f"law, rho {rho}, step {step}",
                numbers(mean, variance),
                torch.stack([found[0], found[1] ** 2]).flatten(),
                abs=1e-13,
            )
            mean, variance = rho * mean, rho**2 * variance + noise**2
        yield near(f"stationary, rho {rho}", noise**2 / (1 - rho**2), chain.std**2, rel=1e-13)
        lags = numbers(0, 1, 2, 5)
        yield near(f"autocovariance, rho {rho}", numbers(*(noise**2 / (1 - rho**2) * rho**k for k in (0, 1, 2, 5))),
                   chain.autocovariance(lags), rel=1e-13)  # fmt: skip
        yield near(f"gap, rho {rho}", 1 - abs(rho), chain.gap, rel=1e-14)
    process = named.ou(rate=2.0, dt=0.3, volatility=0.8)
    yield near("OU: ratio", math.exp(-0.6), process.rho, rel=1e-14)
    yield near("OU: stationary variance", 0.8**2 / (2 * 2.0), process.std**2, rel=1e-13)
    yield near("OU: variance of a step", 0.8**2 / 4 * (1 - math.exp(-1.2)), process.noise**2, rel=1e-13)
    walk = autoregression.noisings(torch.full((DRAWS,), 3.0).double(), [process.step] * 4, keyed(0, "autoregressions"))
    *_, x = walk
    mean, std = 3 * math.exp(-2.4), math.sqrt(0.16 * (1 - math.exp(-4.8)))
    yield near("OU: mean after 4 steps", mean, x.mean(), abs=4.5 * std / math.sqrt(DRAWS))
    yield near("OU: std after 4 steps", std, x.std(), abs=4.5 * std / math.sqrt(2 * DRAWS))


@check(
    "the eigenfunctions of AR(1) are Hermite's polynomials with eigenvalues rho^k",
    "Mehler 1866",
)
def eigenvalues_of_an_autoregression() -> Iterator[Finding]:
    chain = Autoregression(0.7, math.sqrt(1 - 0.49))
    eps = torch.linspace(-10, 10, 4001, dtype=torch.float64)
    weights = (-(eps**2) / 2).exp() / math.sqrt(2 * math.pi) * (eps[1] - eps[0])
    hermite = (lambda x: x, lambda x: x**2 - 1, lambda x: x**3 - 3 * x, lambda x: x**4 - 6 * x**2 + 3)
    for k, polynomial in enumerate(hermite, start=1):
        for x in (0.4, -1.7):
            expected = (weights * polynomial(chain.step.ratio * x + chain.step.std * eps)).sum()
            yield near(f"degree {k} at {x}", chain.rho**k * polynomial(x), expected, abs=1e-11)
    yield near("stationary variance", 1, chain.std, rel=1e-14)


@check(
    "total variation and KL between Gaussians, and of two noisy points from their Gaussian, are the integrals",
    "Tsybakov 2009, section 2.4",
)
def distances_by_quadrature() -> Iterator[Finding]:
    x = torch.linspace(-40, 40, 800_001, dtype=torch.float64)
    step = (x[1] - x[0]).item()

    def normal(mean: float, std: float) -> Tensor:
        return (-(((x - mean) / std) ** 2) / 2).exp() / (std * math.sqrt(2 * math.pi))

    for mean, std, other, other_std in (
        (1, 1, 0, 1),
        (0.3, 0.2, 0, 1),
        (-2, 3, 1, 0.5),
        (0, 0.5, 0, 1),
        (1, 2.0001, -1, 2),
    ):
        wanted = (normal(mean, std) - normal(other, other_std)).abs().sum() * step / 2
        found = autoregression.total_variation(numbers(mean), numbers(std), float(other), float(other_std))
        yield near(f"N({mean}, {std}²) and N({other}, {other_std}²)", wanted, found, abs=1e-7)
    yield near("the same", 0, autoregression.total_variation(numbers(2), numbers(3), 2.0, 3.0))
    yield near("a point", 1, autoregression.total_variation(numbers(2, 0), numbers(0, 0), 0.0, 1.0))
    for alpha, sigma in ((0.9, math.sqrt(0.19)), (0.5, math.sqrt(0.75)), (1.0, 2.0)):
        p = (normal(alpha, sigma) + normal(-alpha, sigma)) / 2
        q = normal(0, math.sqrt(alpha**2 + sigma**2))
        variation, nats = autoregression.two_points(numbers(alpha), numbers(sigma))
        yield near(f"total variation of two points, α {alpha:.2g}", (p - q).abs().sum() * step / 2, variation, abs=1e-5)
        inside = (p > 1e-280) & (q > 1e-280)
        wanted = (p * (p / q).log())[inside].sum() * step
        yield near(f"KL of two points, α {alpha:.2g}", wanted, nats, abs=1e-9)
    alphas, sigmas = numbers(0.9, 0.5, 1.0), numbers(0.4, 0.8, 2.0)
    singly = [autoregression.two_points(a.reshape(1), s.reshape(1)) for a, s in zip(alphas, sigmas, strict=True)]
    for i, (name, found) in enumerate(
        zip(("total variation", "KL"), autoregression.two_points(alphas, sigmas), strict=True)
    ):
        yield near(f"{name} of several levels", torch.cat([one[i] for one in singly]), found, rel=1e-12)
    chain = named.ar1(0.8, 0.6)  # of stationary variance 1
    for t in (1, 3, 20):
        mean, variance = 2 * 0.8**t, 1 - 0.64**t
        nats_of_paper = (variance + mean**2 - 1 - math.log(variance)) / 2
        yield near(
            f"KL of AR(1) after {t}", nats_of_paper, kl(*chain.law(2.0, numbers(t)), 0.0, numbers(chain.std)), abs=1e-12
        )


@check(
    "the steps of the forward process lead from the data to every level: x_t = √(1 - β) x_s + √β ε",
    "Ho et al. 2020, eq. 2 and 4",
)
def steps_of_the_forward_process() -> Iterator[Finding]:
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    table = SCHEDULES["linear"]()
    alpha, sigma = table(torch.arange(1, 1001, dtype=torch.float64) / 1000)
    levels = [CLEAN, *map(Level, alpha, sigma)]
    for i in (1, 2, 500, 1000):
        step = noising(levels[i - 1], levels[i])
        yield near(f"ratio of step {i}", math.sqrt(1 - betas[i - 1]), step.ratio, rel=1e-12)
        yield near(f"noise of step {i}", math.sqrt(betas[i - 1]), step.std, rel=1e-9)
    steps = [noising(s, t) for s, t in itertools.pairwise(levels[::100])]
    *_, x = autoregression.noisings(torch.ones(DRAWS).double(), steps, keyed(0, "forward"))
    yield near("mean at the end", alpha[-1], x.mean(), abs=4.5 / math.sqrt(DRAWS))
    yield near("variance at the end", sigma[-1] ** 2, x.var(), abs=4.5 * math.sqrt(2 / DRAWS))


@check(
    "Ising: the energy is a sum over neighbours, Gibbs sampling draws from the conditional law, Boltzmann's law stays",
    "Ising 1925; Glauber 1963; Geman & Geman 1984",
)
def ising_model() -> Iterator[Finding]:
    for model in (Ising(2, 0.7, 0.2), Ising(3, 0.4)):
        side, spins = model.side, model.configurations()
        case = f"side {side}"
        yield near(f"number, {case}", 2 ** (side * side), len({tuple(s.flatten().tolist()) for s in spins}))
        bonds = [((r, c), (r + 1, c)) for r in range(side - 1) for c in range(side)]
        bonds += [((r, c), (r, c + 1)) for r in range(side) for c in range(side - 1)]
        table = spins.tolist()
        energies = [-sum(s[a][b] * s[c][d] for (a, b), (c, d) in bonds) - model.field * sum(map(sum, s)) for s in table]
        yield near(f"energy, {case}", numbers(*energies), model.energy(spins), abs=1e-12)
        weights = [math.exp(-model.beta * energy) for energy in energies]
        law = numbers(*(w / sum(weights) for w in weights))
        yield near(f"law, {case}", law, model.law(), rel=1e-12)
        place = {tuple(itertools.chain(*s)): i for i, s in enumerate(table)}
        matrix = torch.zeros(len(table), len(table), dtype=torch.float64)
        for key, i in place.items():
            for site in range(side * side):
                pair = [place[key[:site] + (value,) + key[site + 1 :]] for value in (-1.0, 1.0)]
                for j in pair:
                    matrix[i, j] += weights[j] / (weights[pair[0]] + weights[pair[1]]) / side**2
        yield near(f"matrix, {case}", matrix, model.matrix(), abs=1e-13)
        yield near(f"stays, {case}", law, finite.stationary(model.matrix()), rel=1e-9)


@check(
    "sweeps over the two colours of a chessboard keep Boltzmann's law, and one of them has the law of its conditionals",
    "Geman & Geman 1984",
)
def sweeps_of_ising() -> Iterator[Finding]:
    model = Ising(2, 0.5, 0.3)
    start = torch.tensor([[1.0, -1.0], [-1.0, -1.0]], dtype=torch.float64)
    sweeps = model.sweeps(start.expand(DRAWS, 2, 2), keyed(0, "sweeps"))
    _, once, *_, later = itertools.islice(sweeps, 12)

    def up(neighbours: float) -> float:
        plus, minus = (math.exp(0.5 * s * (neighbours + 0.3)) for s in (1, -1))
        return plus / (plus + minus)

    corner = up(-2.0)  # both white corners, 0 0 and 1 1, see the two black ones, which are down
    seen = [((1 - corner) ** 2, -2.0), (2 * corner * (1 - corner), 0.0), (corner**2, 2.0)]
    black = sum(weight * up(around) for weight, around in seen)
    for name, wanted, found in (("white", corner, once[:, 0, 0]), ("black", black, once[:, 0, 1])):
        share = (found > 0).double().mean()
        yield near(f"{name} after a sweep", wanted, share, abs=4.5 * math.sqrt(wanted * (1 - wanted) / DRAWS))
    total, law = model.configurations().sum((1, 2)), model.law()
    mean = law @ total
    error = math.sqrt((law @ (total - mean) ** 2).item() / DRAWS)
    yield near("magnetisation after many", mean, later.sum((1, 2)).mean(), abs=4.5 * error)
