"""Schedules and grids against the papers' tables, and drift and diffusion against the SDEs."""

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import torch

from diffcli.checks.check import Finding, check, near
from diffcli.core.diffusion import grids
from diffcli.core.diffusion.schedules import (
    EDM,
    SCHEDULES,
    VE,
    VP,
    BetaTable,
    Flow,
    Schedule,
    Sigmoid,
    SubVP,
    ZeroTerminal,
)
from diffcli.core.diffusion.tables import cosine_betas, linear_betas
from diffcli.core.levels import Level, bridge
from diffcli.core.processes.laws.gaussian import kl

ENTRIES = (1, 2, 10, 250, 500, 999, 1000)

Schedules = Mapping[str, Callable[..., Schedule]]
BETA_MIN, BETA_MAX = 0.1, 20.0


def at(t: float) -> torch.Tensor:
    return torch.tensor(t, dtype=torch.float64)


def alpha_bar(betas: list[float]) -> list[float]:
    """The products of 1 - beta, entry 0 being 1."""
    products = [1.0]
    for beta in betas:
        products.append(products[-1] * (1 - beta))
    return products


def linear_paper(steps: int = 1000) -> list[float]:
    return [(1e-4 + i * (0.02 - 1e-4) / (steps - 1)) * 1000 / steps for i in range(steps)]


def _table(case: str, schedule: Schedule, bars: list[float]) -> Iterator[Finding]:
    length = len(bars) - 1
    for i in (i for i in ENTRIES if i <= length):
        level = schedule(at(i / length))
        yield near(f"{case}, alpha bar {i}", bars[i], level.alpha**2, rel=1e-10)
        yield near(f"{case}, 1 - alpha bar {i}", 1 - bars[i], level.sigma**2, rel=1e-9)


@check("the linear table is the product of 1 - beta_i, beta from 1e-4 to 0.02", "Ho et al. 2020, eq. 4 and section 4")
def linear_table() -> Iterator[Finding]:
    yield from _table("linear", SCHEDULES["linear"](), alpha_bar(linear_paper()))


@check("with T steps beta is scaled by 1000 / T, which keeps their sum", "Dhariwal & Nichol 2021, code")
def rescaled_table() -> Iterator[Finding]:
    for steps in (100, 250, 4000):
        yield from _table(f"linear,steps={steps}", SCHEDULES["linear"](steps=steps), alpha_bar(linear_paper(steps)))
        yield near(f"the sum of beta, T = {steps}", 10.05, linear_betas(steps).sum(), rel=1e-12)


@check("the scaled-linear table is linear in sqrt(beta), from 0.00085 to 0.012", "Rombach et al. 2022, code")
def scaled_linear_table() -> Iterator[Finding]:
    low, high = math.sqrt(0.00085), math.sqrt(0.012)
    betas = [(low + i * (high - low) / 999) ** 2 for i in range(1000)]
    yield from _table("scaled-linear", SCHEDULES["scaled-linear"](), alpha_bar(betas))
    fewer = [10 * (low + i * (high - low) / 99) ** 2 for i in range(100)]
    yield from _table("scaled-linear,steps=100", SCHEDULES["scaled-linear"](steps=100), alpha_bar(fewer))


@check("the cosine table is f(t) / f(0), its beta held to 0.999", "Nichol & Dhariwal 2021, eq. 17")
def cosine_table() -> Iterator[Finding]:
    f = [math.cos((i / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(1001)]
    betas = [min(1 - f[i] / f[i - 1], 0.999) for i in range(1, 1001)]
    yield from _table("cosine", SCHEDULES["cosine"](), alpha_bar(betas))
    yield near("entries held to 0.999", 1, (cosine_betas() == 0.999).sum().double())


@check(
    "zero terminal SNR: sqrt(alpha bar) is shifted to end at 0 and stretched to keep its first",
    "Lin et al. 2024, alg. 1",
)
def zero_terminal() -> Iterator[Finding]:
    roots = [math.sqrt(bar) for bar in alpha_bar(linear_paper())[1:]]
    first, last = roots[0], roots[-1]
    schedule = ZeroTerminal(BetaTable(linear_betas()))
    for i in ENTRIES:
        wanted = (roots[i - 1] - last) * first / (first - last)
        yield near(f"alpha {i}", wanted, schedule(at(i / 1000)).alpha, rel=1e-9, abs=1e-15)
        yield near(f"sigma {i}", math.sqrt(1 - wanted**2), schedule(at(i / 1000)).sigma, rel=1e-9)


@check("the sigmoid schedule is gamma(t) of its paper", "Chen 2023, algorithm 1; Jabri et al. 2023")
def sigmoid_schedule() -> Iterator[Finding]:
    def logistic(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    for start, end, tau in ((-3.0, 3.0, 1.0), (0.0, 3.0, 0.7)):
        for t in (0.0, 0.1, 0.5, 0.9, 1.0):
            low, high = logistic(start / tau), logistic(end / tau)
            gamma = (high - logistic((t * (end - start) + start) / tau)) / (high - low)
            level = Sigmoid(start, end, tau)(at(t))
            yield near(f"alpha² at {t}", gamma, level.alpha**2, rel=1e-9, abs=1e-12)
            yield near(f"sigma² at {t}", 1 - gamma, level.sigma**2, rel=1e-9, abs=1e-12)


@check("VP: alpha is exp(-half the integral of beta), f = -beta / 2 and g² = beta", "Song et al. 2021, eq. 11, 29, 33")
def vp_sde() -> Iterator[Finding]:
    for t in (0.01, 0.3, 0.7, 1.0):
        n = 2000
        beta = [BETA_MIN + (k + 0.5) * t / n * (BETA_MAX - BETA_MIN) for k in range(n)]
        integral = sum(beta) * t / n  # the midpoint rule is exact for a straight line
        level, (f, g2) = VP()(at(t)), VP().sde(at(t))
        here = BETA_MIN + t * (BETA_MAX - BETA_MIN)
        yield near(f"alpha({t})", math.exp(-integral / 2), level.alpha, rel=1e-9)
        yield near(f"sigma({t})", math.sqrt(1 - math.exp(-integral)), level.sigma, rel=1e-9)
        yield near(f"f({t})", -here / 2, f, rel=1e-9)
        yield near(f"g²({t})", here, g2, rel=1e-8)


@check(
    "sub-VP: sigma = 1 - alpha², f = -beta / 2, g² = beta (1 - exp(-2 integral of beta))",
    "Song et al. 2021, eq. 12, 29",
)
def sub_vp_sde() -> Iterator[Finding]:
    for t in (0.01, 0.3, 0.7, 1.0):
        integral = BETA_MIN * t + (BETA_MAX - BETA_MIN) * t**2 / 2
        level, (f, g2) = SubVP()(at(t)), SubVP().sde(at(t))
        here = BETA_MIN + t * (BETA_MAX - BETA_MIN)
        yield near(f"alpha({t})", math.exp(-integral / 2), level.alpha, rel=1e-9)
        yield near(f"sigma({t})", 1 - math.exp(-integral), level.sigma, rel=1e-9)
        yield near(f"f({t})", -here / 2, f, rel=1e-9)
        yield near(f"g²({t})", here * (1 - math.exp(-2 * integral)), g2, rel=1e-8)


@check(
    "VE: sigma runs geometrically, f = 0 and g² = 2 sigma² log(sigma_max / sigma_min)", "Song et al. 2021, eq. 9, 30"
)
def ve_sde() -> Iterator[Finding]:
    for t in (0.0, 0.3, 0.7, 1.0):
        sigma = 0.01 * 5000**t
        level, (f, g2) = VE()(at(t)), VE().sde(at(t))
        yield near(f"alpha({t})", 1.0, level.alpha)
        yield near(f"sigma({t})", sigma, level.sigma, rel=1e-12)
        yield near(f"f({t})", 0.0, f)
        yield near(f"g²({t})", 2 * sigma**2 * math.log(5000), g2, rel=1e-9)


@check(
    "EDM: sigma^(1/7) is linear, the linspace grid is the paper's, training draws N(-1.2, 1.2²)",
    "Karras et al. 2022, eq. 5",
)
def edm_schedule() -> Iterator[Finding]:
    schedule, steps = EDM(), 18
    walk = grids.levels(schedule, steps, "linspace")
    ours = grids.levels(schedule, steps, "karras")
    low, high = 0.002 ** (1 / 7), 80 ** (1 / 7)
    for i in range(steps):
        sigma = (high + i / (steps - 1) * (low - high)) ** 7
        yield near(f"sigma {i}, linspace", sigma, walk[i].sigma, rel=1e-10)
        yield near(f"sigma {i}, karras", sigma, ours[i].sigma, rel=1e-9)
    quantiles = schedule(
        schedule.training_time(torch.tensor([0.158655253931457, 0.5, 0.841344746068543]).double())
    ).sigma
    yield near(
        "log sigma at minus one, zero, one deviations",
        at(0),
        quantiles.log() - torch.tensor([-2.4, -1.2, 0.0]),
        abs=1e-6,
    )


@check(
    "the marginals solve d var / dt = 2 f var + g² for data of any variance",
    "Song et al. 2021, eq. 29; Särkkä & Solin 2019, eq. 5.51",
)
def marginals_solve_the_sde() -> Iterator[Finding]:
    for name, schedule in (
        ("vp", VP()),
        ("sub-vp", SubVP()),
        ("ve", VE()),
        ("edm", EDM()),
        ("flow", Flow()),
        ("sigmoid", Sigmoid()),
    ):
        start, end, steps = 0.1, 0.8, 80
        h = (end - start) / steps
        times = torch.linspace(start, end, 2 * steps + 1, dtype=torch.float64)  # every step's ends and its middle
        variances = schedule.alpha(times) ** 2 * 0.37 + schedule.sigma(times) ** 2
        slopes = list(zip(*schedule.sde(times), strict=True))
        value = variances[0]
        for k in range(steps):  # Runge and Kutta's method of order 4
            (f, g2), (f_middle, g2_middle), (f_end, g2_end) = slopes[2 * k : 2 * k + 3]
            one = 2 * f * value + g2
            two = 2 * f_middle * (value + h / 2 * one) + g2_middle
            three = 2 * f_middle * (value + h / 2 * two) + g2_middle
            four = 2 * f_end * (value + h * three) + g2_end
            value = value + h / 6 * (one + 2 * two + 2 * three + four)
        yield near(name, variances[-1], value, rel=1e-6)


@check("steps of the chain add up to the jump, and the posterior is Bayes' rule", "Ho et al. 2020, eq. 2, 4, 6, 7")
def chain_and_posterior(schedules: Schedules = SCHEDULES) -> Iterator[Finding]:
    for name, make in schedules.items():
        walk = grids.levels(make(), 20)[::-1]
        factor, variance = walk[0].alpha, walk[0].sigma ** 2
        for s, t in pairwise(walk):
            step = bridge(t, s)
            ratio = t.alpha / s.alpha
            factor, variance = factor * ratio, ratio**2 * variance + step.forward_variance
            yield near(f"{name}, signal", t.alpha, factor, rel=1e-9, abs=1e-15)
            yield near(f"{name}, noise", t.sigma**2, variance, rel=1e-9)
            shared = ratio * s.sigma**2  # the covariance of x_s and x_t given x0
            of_x = shared / t.sigma**2
            yield near(f"{name}, of x", of_x, step.of_x, rel=1e-9, abs=1e-15)
            yield near(f"{name}, of x0", s.alpha - of_x * t.alpha, step.of_x0, rel=1e-6, abs=1e-12)
            yield near(f"{name}, variance", s.sigma**2 - shared**2 / t.sigma**2, step.variance, rel=1e-6, abs=1e-12)
    bars = alpha_bar(linear_paper())
    table = BetaTable(linear_betas())
    for i in (2, 500, 1000):
        beta, before, here = 1 - bars[i] / bars[i - 1], bars[i - 1], bars[i]
        step = bridge(table(at(i / 1000)), table(at((i - 1) / 1000)))
        yield near(f"beta tilde {i}", (1 - before) / (1 - here) * beta, step.variance, rel=1e-9)
        yield near(f"beta {i}", beta, step.forward_variance, rel=1e-9)
        yield near(f"of x0 {i}", math.sqrt(before) * beta / (1 - here), step.of_x0, rel=1e-9)
        yield near(f"of x {i}", math.sqrt(1 - beta) * (1 - before) / (1 - here), step.of_x, rel=1e-9)


@check("KL of two Gaussians by quadrature", "Kingma & Welling 2014, appendix B")
def gaussian_kl() -> Iterator[Finding]:
    x = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    for mean, std, other_mean, other_std in ((0.3, 0.5, 0.0, 1.0), (-1.0, 1.2, 0.4, 0.7)):
        p = torch.distributions.Normal(at(mean), at(std)).log_prob(x)
        q = torch.distributions.Normal(at(other_mean), at(other_std)).log_prob(x)
        wanted = torch.trapezoid(p.exp() * (p - q), x)
        yield near(f"{mean}, {std}", wanted, kl(at(mean), at(std), at(other_mean), at(other_std)), rel=1e-9)


@check(
    "each grid names the entries that its paper names, and every walk ends clean",
    "Lin et al. 2024, table 2; Song et al. 2021 (DDIM), D.2",
)
def grid_entries() -> Iterator[Finding]:
    table = SCHEDULES["linear"]()
    for steps in (1, 10, 30, 50, 1000):
        wanted = {
            "trailing": [round(1000 * k / steps) for k in range(steps, 0, -1)],
            "leading": [1 + k * (1000 // steps) for k in range(steps - 1, -1, -1)],
            "linspace": [round(1000 - k * 999 / max(1, steps - 1)) for k in range(steps)],
            "quadratic": [max(k, round(1000 * (k / steps) ** 2)) for k in range(steps, 0, -1)],
        }
        for grid, entries in wanted.items():
            found = grids.times(table, steps, grid) * 1000
            yield near(f"{grid}, {steps} steps", torch.tensor(entries).double(), found, abs=1e-9)
            end = grids.levels(table, steps, grid)[-1]
            yield near(f"{grid}, the end", torch.tensor([1.0, 0.0]), torch.stack(list(end)))


@check(
    "Karras' grid and the log-SNR grid are even in their own coordinate",
    "Karras et al. 2022, eq. 5; Lu et al. 2022, section 3.4",
)
def even_grids(schedules: Schedules = SCHEDULES) -> Iterator[Finding]:
    for name, make in schedules.items():
        for grid, coordinate in (("karras", lambda v: (-v / 2).exp() ** (1 / 7)), ("log-snr", lambda v: v)):
            walk = grids.levels(make(), 10, grid)[:-1]
            values = torch.stack([coordinate(level.log_snr) for level in walk])
            even = torch.linspace(0, 1, 10, dtype=torch.float64)
            yield near(f"{name}, {grid}", values[0] + even * (values[-1] - values[0]), values, abs=1e-8)
            cleanest = make()(at(make().first)).log_snr
            yield near(f"{name}, {grid}, the last", cleanest, walk[-1].log_snr, abs=1e-6)


@check("log-SNR is log(alpha² / sigma²), and `time` is its inverse", "Kingma et al. 2021, eq. 2")
def log_snr_and_back(schedules: Schedules = SCHEDULES) -> Iterator[Finding]:
    level = Level(at(0.6), at(0.8))
    yield near("0.6, 0.8", math.log(0.36 / 0.64), level.log_snr, rel=1e-12)
    for name, make in schedules.items():
        times = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
        yield near(name, times, make().time(make()(times).log_snr), abs=1e-9)
