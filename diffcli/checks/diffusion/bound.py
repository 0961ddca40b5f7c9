"""The variational bound where it is known: Gaussian data, the decoder's bins, the best walk."""

import itertools
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core.diffusion import bound, grids
from diffcli.core.diffusion.denoiser import Prediction
from diffcli.core.diffusion.exact import Gaussian
from diffcli.core.diffusion.samplers import ddpm
from diffcli.core.diffusion.schedules import SCHEDULES
from diffcli.core.levels import CLEAN, Level
from diffcli.core.processes.laws.pixels import STEP

NAMES = ("linear", "cosine", "vp", "flow", "log-snr", "ve")
STDS = (0.3, 1.0, 2.0)
ONE = torch.tensor(1.0, dtype=torch.float64)


def corners(std: float) -> tuple[Tensor, Tensor]:
    """Four equally likely (x0, eps) with the moments of N(0, std²) and N(0, 1) up to the second: means of squares."""
    x0, eps = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64).unbind(1)
    return std * x0.unsqueeze(1), eps.unsqueeze(1)


def error(std: float, level: Level) -> float:
    """Of the best estimate of x0 of N(0, std²): the posterior's variance."""
    alpha, sigma = level.alpha.item(), level.sigma.item()
    return std**2 * sigma**2 / (alpha**2 * std**2 + sigma**2)


def unstacked(levels: Level) -> list[Level]:
    """The levels of one whose parts are [N]."""
    return [Level(*parts) for parts in zip(*levels, strict=True)]


def total(kind: str, std: float, levels: Sequence[Level]) -> float:
    """The bound of N(0, std²) in nats, term by term, by the exact denoiser; levels end in CLEAN."""
    x0, eps = corners(std)
    chain = bound.stacked(levels)
    t, s = (Level(*(part[i : len(levels) - 2 + i].reshape(-1, 1, 1) for part in chain)) for i in (0, 1))
    variance = bound.reverse_variance(kind, t, s, error=std**2 * t.sigma**2 / (t.alpha**2 * std**2 + t.sigma**2))
    estimate = Gaussian(0.0, std)(t.noised(x0, eps), t).x0
    steps = bound.transition(x0.expand_as(estimate), estimate, t, s, variance).mean((1, 2)).sum()
    last = levels[-2]
    variance = bound.reverse_variance(kind, last, CLEAN, error=error(std, last))
    estimate = Gaussian(0.0, std)(last.noised(x0, eps), last).x0
    end = bound.decoder(x0, estimate, variance, discrete=False).mean()
    return (bound.prior(x0, levels[0]).mean() + steps + end).item()


def entropy(std: float) -> float:
    return math.log(2 * math.pi * math.e * std**2) / 2


def divergence(ratio: float) -> float:
    """KL of two centred Gaussians from the ratio of their variances."""
    return (ratio - 1 - math.log(ratio)) / 2


def end(std: float, level: Level) -> float:
    """KL(q(x_T) || N(0, alpha² + sigma²)) of N(0, std²)."""
    alpha, sigma = level.alpha.item(), level.sigma.item()
    return divergence((alpha**2 * std**2 + sigma**2) / (alpha**2 + sigma**2))


@check(
    "with the optimal variance the bound of N(0, s²) misses its entropy by KL(q(x_T) || p(x_T)) alone, for every T",
    "Sohl-Dickstein et al. 2015, section 2.4; Bao et al. 2022, theorem 1",
)
def bound_of_a_gaussian() -> Iterator[Finding]:
    for name in NAMES:
        for steps in (2, 10, 100, 1000):
            levels = grids.levels(SCHEDULES[name](), steps)
            for std in STDS:
                got = total("optimal", std, levels) - entropy(std)
                yield near(f"{name}, s = {std}, T = {steps}", end(std, levels[0]), got, abs=1e-9)


@check(
    "with beta tilde or beta it misses the divergence of every true reverse step from the one taken, besides",
    "Ho et al. 2020, section 3.2: the two extreme choices",
)
def gaps_of_fixed_variances() -> Iterator[Finding]:
    for name in ("linear", "vp", "ve"):
        for steps in (2, 10, 300):
            levels = grids.levels(SCHEDULES[name](), steps)
            for std in STDS:
                for kind in ("small", "large"):
                    gap = end(std, levels[0])
                    for t, s in pairwise(levels):
                        (a, b), (c, d) = ((v.alpha.item(), v.sigma.item()) for v in (t, s))
                        beta = b**2 - (a / c) ** 2 * d**2
                        tilde = beta * d**2 / b**2
                        true = tilde + (c * beta / b**2) ** 2 * error(std, t)
                        gap += divergence(true / (tilde if kind == "small" and d > 0 else beta))
                    got = total(kind, std, levels) - entropy(std)
                    yield near(f"{kind}, {name}, s = {std}, T = {steps}", gap, got, abs=1e-9)


@check(
    "the sum over steps becomes an integral over log-SNR; with beta tilde it is a Riemann sum over SNR",
    "Kingma et al. 2021, section 4",
)
def continuous_limit() -> Iterator[Finding]:
    std, vp = 0.7, SCHEDULES["vp"]()
    missed = []
    for steps in (500, 1000, 2000):
        levels = unstacked(vp(torch.linspace(0.9, 0.02, steps + 1, dtype=torch.float64)))
        errors = torch.tensor([[error(std, level) for level in levels]], dtype=torch.float64)
        got = bound.fixed_terms("small", errors, 1, levels, errors[0]).sum().item()
        snr = [(level.alpha / level.sigma).item() ** 2 for level in levels]
        riemann = sum((b - a) * e / 2 for (a, b), e in zip(pairwise(snr), errors[0].tolist(), strict=False))
        yield near(f"as a sum over SNR, T = {steps}", riemann, got, rel=1e-9)
        missed.append(got - math.log((1 + std**2 * snr[-1]) / (1 + std**2 * snr[0])) / 2)
    yield near("first order: the miss halves as T doubles", 2, missed[1] / missed[2], abs=0.05)
    yield near("and goes to nothing", 0, (8 * missed[2] - 6 * missed[1] + missed[0]) / 3, abs=1e-5)


@check("the terms of many items from their errors alone are those of the numbers", "one formula in two forms")
def terms_from_errors() -> Iterator[Finding]:
    levels = grids.levels(SCHEDULES["cosine"](), 7)[:-1]
    generator = torch.Generator().manual_seed(1)
    x0, guess = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64)
    errors = (x0 - guess).square().sum(1, keepdim=True).expand(3, 7)
    own = torch.linspace(0.9, 0.1, 7, dtype=torch.float64)
    alone = sum(bound.prior(x0[:, i : i + 1], levels[0]) for i in range(5))
    yield near("the prior's too", alone, bound.prior(x0, levels[0]), rel=1e-12)
    for kind in ("small", "large", "optimal"):
        got = bound.fixed_terms(kind, errors, 5, levels, own)
        table = bound.pair_table(kind, errors.mean(0) / 5, 5, levels, own)
        for i, (t, s) in enumerate(pairwise(levels)):
            variance = bound.reverse_variance(kind, t, s, error=own[i])
            wanted = bound.transition(x0, guess, t, s, variance).sum(1)
            yield near(f"{kind}, step {i}", wanted, got[:, i], rel=1e-9)
            yield near(f"{kind}, table, step {i}", wanted.mean(), table[i, i + 1], rel=1e-9)
        far = bound.transition(
            x0, guess, levels[1], levels[5], bound.reverse_variance(kind, levels[1], levels[5], error=own[1])
        )
        yield near(f"{kind}, table, a long step", far.sum(1).mean(), table[1, 5], rel=1e-9)
        yield near(f"{kind}, table, no way back", 28, table.tril().isposinf().sum().double())


@check("steps of a batch, each its own, cost what they cost alone; the decoder among them", "Ho et al. 2020, eq. 5, 13")
def steps_of_a_batch() -> Iterator[Finding]:
    walk = grids.levels(SCHEDULES["linear"](), 5)
    generator = torch.Generator().manual_seed(2)
    x0 = (torch.randint(0, 256, (5, 3), generator=generator).double() * STEP - 1).clamp(-1, 1)
    guess = x0 + 0.05 * torch.randn(5, 3, generator=generator, dtype=torch.float64)
    share = torch.rand(5, 3, generator=generator, dtype=torch.float64)
    chain = bound.stacked(walk)
    t, s = (Level(*(part[i : i + 5].unsqueeze(1) for part in chain)) for i in (0, 1))
    for kind in ("small", "large", "learned"):
        got = bound.terms(kind, x0, guess, t, s, discrete=True, fraction=share)
        for i, (here, after) in enumerate(pairwise(walk)):
            variance = bound.reverse_variance(kind, here, after, fraction=share[i])
            if i < 4:
                wanted = bound.transition(x0[i], guess[i], here, after, variance)
            else:
                wanted = bound.decoder(x0[i], guess[i], variance, discrete=True)
            yield near(f"{kind}, step {i}", wanted, got[i], rel=1e-9)


@check("costs that are chosen of both kinds are those of items told apart, and so are their slopes", "two ways")
def steps_chosen_of_both() -> Iterator[Finding]:
    generator, chain = torch.Generator().manual_seed(3), bound.stacked(grids.levels(SCHEDULES["log-snr"](), 6))
    places = torch.tensor([5, 0, 3, 5, 4, 1])  # two of them the step to the data
    x0 = (torch.randint(0, 256, (6, 4), generator=generator).double() * STEP - 1).clamp(-1, 1)
    x0[0, :2] = torch.tensor([-1.0, 1.0])  # the outer bins
    t, s = (Level(*(part[places + i].unsqueeze(1) for part in chain)) for i in (0, 1))
    for kind, discrete in itertools.product(("small", "large", "learned"), (True, False)):
        found = []
        for chosen in (False, True):
            guess = (x0 + 0.3 * torch.randn(6, 4, generator=torch.Generator().manual_seed(4)).double()).requires_grad_()
            share = torch.rand(6, 4, generator=torch.Generator().manual_seed(5)).double().requires_grad_()
            variance = bound.reverse_variance(kind, t, s, fraction=share)
            if chosen:
                nats = bound.chosen_terms(x0, guess, t, s, variance, discrete=discrete)
            else:
                nats = bound.terms(kind, x0, guess, t, s, discrete=discrete, fraction=share)
            slopes = torch.autograd.grad(nats.sum(), (guess, share), allow_unused=True)
            found.append([nats, *(torch.zeros(6, 4) if slope is None else slope for slope in slopes)])
        for name, truth, got in zip(("nats", "slope of the estimate", "slope of the share"), *found, strict=True):
            yield near(f"{kind}, {'bins' if discrete else 'density'}: {name}", truth, got, rel=1e-9, abs=1e-12)


@check("the decoder's 256 bins share out all of a Gaussian, and each has its part of it", "Ho et al. 2020, eq. 13")
def decoder_bins() -> Iterator[Finding]:
    values = torch.arange(256, dtype=torch.float64) * STEP - 1
    for mean in (-1.3, -1.0, -0.4031, 0.0, 0.77, 1.0):
        for std in (1e-4, 0.003, 0.05, 0.4, 3.0):
            for dtype in (torch.float64, torch.float32):
                shares = bound.log_bin(
                    values.to(dtype), torch.tensor(mean, dtype=dtype), torch.tensor(std, dtype=dtype)
                )
                name = f"sum, mean {mean}, std {std}, {dtype}"
                yield near(name, 1, shares.double().exp().sum(), abs=1e-9 if dtype == torch.float64 else 1e-3)
            wide = bound.log_bin(
                values, torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
            )
            for k in (0, 1, 75, 128, 226, 255):
                low = -math.inf if k == 0 else (values[k].item() - 1 / 255 - mean) / std
                high = math.inf if k == 255 else (values[k].item() + 1 / 255 - mean) / std
                share = (math.erfc(low / math.sqrt(2)) - math.erfc(high / math.sqrt(2))) / 2
                other = (math.erfc(-high / math.sqrt(2)) - math.erfc(-low / math.sqrt(2))) / 2
                exact = max(share, other)  # the tail that does not cancel
                if exact > 1e-12:
                    yield near(f"bin {k}, mean {mean}, std {std}", math.log(exact), wide[k], rel=1e-6, abs=1e-6)
    tail = bound.log_bin(
        values[200:201], torch.tensor(-1.0, dtype=torch.float64), torch.tensor(0.02, dtype=torch.float64)
    )
    z = (values[200].item() - 1 / 255 + 1) / 0.02
    yield near(
        "far in the tail, by Mills' ratio", -(z**2) / 2 - math.log(z * math.sqrt(2 * math.pi)), tail[0], rel=1e-3
    )


@check("the walk of K steps found by dynamic programming is the best of all", "Watson et al. 2021, algorithm 1")
def best_walks() -> Iterator[Finding]:
    generator = torch.Generator().manual_seed(3)
    for trial in range(6):
        count = 7
        first, last = torch.rand(2, count, generator=generator, dtype=torch.float64)
        steps = torch.rand(count, count, generator=generator, dtype=torch.float64)
        steps = torch.where(torch.ones_like(steps).triu(1) > 0, steps, math.inf)
        for k in range(1, count + 1):
            costs = {
                path: (first[path[0]] + sum(steps[i, j] for i, j in pairwise(path)) + last[path[-1]]).item()
                for path in itertools.combinations(range(count), k)
            }
            path, cost = bound.best_path(first, steps, last, k)
            yield near(f"cost, table {trial}, K = {k}", min(costs.values()), cost, abs=1e-12)
            yield near(f"of its path, table {trial}, K = {k}", cost, costs[tuple(path)], abs=1e-12)


class Sharing:
    """The exact denoiser of N(0, std²), with the share of the variance that makes every reverse step the true one."""

    def __init__(self, std: float, levels: Sequence[Level]) -> None:
        self.std, self.next = std, {t.sigma.item(): s for t, s in pairwise(levels)}

    def __call__(self, x: Tensor, level: Level, **__: Any) -> Prediction:
        s = self.next[level.sigma.item()]
        x0, eps, _ = Gaussian(0.0, self.std)(x, level)
        if s.sigma == 0:
            return Prediction(x0, eps, torch.ones_like(x))
        own = bound.reverse_variance("optimal", level, s, error=error(self.std, level))
        low, high = (bound.reverse_variance(kind, level, s) for kind in ("small", "large"))
        return Prediction(x0, eps, (torch.log(own / low) / torch.log(high / low)).expand_as(x))


@check(
    "a learned variance is log-linear between beta tilde and beta; with the right share DDPM's every step is exact",
    "Nichol & Dhariwal 2021, eq. 15",
)
def learned_variance() -> Iterator[Finding]:
    t, s = grids.levels(SCHEDULES["linear"](), 10)[3:5]
    low, high = (bound.reverse_variance(kind, t, s).item() for kind in ("small", "large"))
    for share in (0.0, 0.25, 1.0, 1.5):
        got = bound.reverse_variance("learned", t, s, fraction=share * ONE)
        yield near(f"share {share}", math.exp(share * math.log(high) + (1 - share) * math.log(low)), got, rel=1e-12)
    end = bound.reverse_variance("learned", s, CLEAN, fraction=0 * ONE)
    yield near("to the data: an eighth of a value's step", (STEP / 8) ** 2, end, rel=1e-12)
    std = 0.6
    for steps in (5, 50):
        levels = grids.levels(SCHEDULES["vp"](), steps)
        spread = torch.hypot(levels[0].alpha * std, levels[0].sigma).item()
        pulses = torch.eye(steps, dtype=torch.float64)
        x = torch.zeros(steps + 1, dtype=torch.float64)
        x[0] = spread
        noise = torch.cat([torch.zeros(steps, 1, dtype=torch.float64), pulses], 1)
        *_, before, _ = ddpm(Sharing(std, levels), x, levels, variance="learned", noise=noise.__getitem__)
        wanted = torch.hypot(levels[-2].alpha * std, levels[-2].sigma)
        yield near(f"spread before the last step of {steps}", wanted, before.x.square().sum().sqrt(), rel=1e-9)


@check("the optimal variance is the one with the least cost", "Bao et al. 2022, theorem 1")
def optimal_variance() -> Iterator[Finding]:
    t, s = grids.levels(SCHEDULES["cosine"](), 8)[4:6]
    x0 = torch.zeros(2, dtype=torch.float64)
    guess = torch.tensor([0.2, 0.6], dtype=torch.float64)
    own = guess.square().mean().item()
    best = bound.reverse_variance("optimal", t, s, error=own)
    cost = [bound.transition(x0, guess, t, s, best * factor).mean().item() for factor in (0.999, 1.0, 1.001)]
    yield near("its neighbours cost more", 2, sum(c > cost[1] for c in (cost[0], cost[2])))
    yield near("to second order", 0, (cost[2] - cost[0]) / 0.002, abs=1e-6)
    to_data = bound.reverse_variance("optimal", s, CLEAN, error=own)
    yield near("to the data it is the error itself", own, to_data, rel=1e-12)
