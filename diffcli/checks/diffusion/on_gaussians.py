"""Samplers on Gaussian data, where each walk is a linear map plus independent noise: its law is known exactly."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.schedules import Schedules, alpha_bar, linear_paper
from diffcli.core.diffusion import grids
from diffcli.core.diffusion.exact import Gaussian
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.schedules import SCHEDULES
from diffcli.core.diffusion.walks import Sampler, Step
from diffcli.core.levels import Level

MEAN, STD = 0.3, 0.5
LAW = Gaussian(MEAN, STD)

Samplers = Mapping[str, Sampler]

QUICK: dict[str, dict[str, Any]] = {
    # Options with which walks of many evaluations have fewer.
    "annealed-langevin": {"corrections": 5, "snr": 0.4},
    "ode": {"rtol": 1e-3, "atol": 1e-3},
}


def law(
    sampler: Callable[..., Iterator[Step]], levels: Sequence[Level], start: tuple[float, float], **options: Any
) -> tuple[float, float]:
    """Mean and variance at the end of walks from N(start mean, start variance), without any sampling.

    Runs all at once: the walk from the mean, one from a standard deviation off it, and one for each draw of noise
    with a pulse there. Their distances from the first are the responses to independent standard normals.
    """
    mean, variance = start
    draws = (options.get("corrections", 1) + 1) * len(levels)  # no sampler has more, in so many steps
    x = torch.full((draws + 2,), mean, dtype=torch.float64)
    x[1] += math.sqrt(variance)

    def pulse(number: int) -> Tensor:
        noise = torch.zeros_like(x)
        noise[number + 2] = 1
        return noise

    *_, end = sampler(LAW, x, levels, noise=pulse, **options)
    return end.x[0].item(), (end.x[1:] - end.x[0]).square().sum().item()


def entries(grid: str, steps: int) -> list[int]:
    """Of the linear table, noisiest first, in the convention of each grid."""
    if grid == "trailing":
        return [round(1000 * k / steps) for k in range(steps, 0, -1)]
    if grid == "leading":
        return [1 + k * (1000 // steps) for k in range(steps - 1, -1, -1)]
    return [round(1000 - k * 999 / (steps - 1)) for k in range(steps)]


@check(
    "DDIM on N(m, s²): mean and spread are a product over the steps, for S, eta and grid",
    "Song et al. 2021 (DDIM), eq. 12, 16",
)
def ddim_on_a_gaussian() -> Iterator[Finding]:
    table, bars = SCHEDULES["linear"](), alpha_bar(linear_paper())
    for steps in (10, 20, 50, 100, 1000):
        for grid in ("trailing", "leading", "linspace"):
            walk = [*(bars[i] for i in entries(grid, steps)), 1.0]
            levels = grids.levels(table, steps, grid)
            for eta in (0.0, 0.2, 0.5, 1.0):
                mean, variance = 0.0, 1.0
                for a, b in pairwise(walk):
                    total = a * STD**2 + 1 - a
                    fresh = eta * math.sqrt((1 - b) / (1 - a)) * math.sqrt(1 - a / b)
                    along = math.sqrt(max(0.0, 1 - b - fresh**2))
                    factor = math.sqrt(b) * math.sqrt(a) * STD**2 / total + along * math.sqrt(1 - a) / total
                    mean = factor * (mean - math.sqrt(a) * MEAN) + math.sqrt(b) * MEAN
                    variance = factor**2 * variance + fresh**2
                found = law(SAMPLERS["ddim"], levels, (0.0, 1.0), eta=eta)
                case = f"S = {steps}, eta = {eta}, {grid}"
                yield near(f"mean, {case}", mean, found[0], rel=1e-8)
                yield near(f"spread, {case}", math.sqrt(variance), math.sqrt(found[1]), rel=1e-8)


@check(
    "DDPM on N(m, s²), with the posterior's two coefficients and beta or beta tilde",
    "Ho et al. 2020, eq. 6, 7, algorithm 2",
)
def ddpm_on_a_gaussian() -> Iterator[Finding]:
    table, bars = SCHEDULES["linear"](), alpha_bar(linear_paper())
    for steps in (10, 100, 1000):
        walk = [*(bars[i] for i in entries("trailing", steps)), 1.0]
        for variance in ("small", "large"):
            mean, spread = 0.0, 1.0
            for a, b in pairwise(walk):
                alpha, beta = a / b, 1 - a / b
                of_x0, of_x = math.sqrt(b) * beta / (1 - a), math.sqrt(alpha) * (1 - b) / (1 - a)
                slope = math.sqrt(a) * STD**2 / (a * STD**2 + 1 - a)
                factor = of_x + of_x0 * slope
                fresh = {"small": (1 - b) / (1 - a) * beta, "large": beta}[variance] if b < 1 else 0.0
                mean = factor * mean + of_x0 * (MEAN - slope * math.sqrt(a) * MEAN)
                spread = factor**2 * spread + fresh
            found = law(SAMPLERS["ddpm"], grids.levels(table, steps), (0.0, 1.0), variance=variance)
            yield near(f"mean, {variance}, {steps}", mean, found[0], rel=1e-8)
            yield near(f"spread, {variance}, {steps}", math.sqrt(spread), math.sqrt(found[1]), rel=1e-8)


@check(
    "every sampler on every schedule lands on the data's mean and spread, begun at the true noisy law",
    "the marginals of each walk",
)
def every_walk_lands(schedules: Schedules = SCHEDULES, samplers: Samplers = SAMPLERS) -> Iterator[Finding]:
    for name, make in schedules.items():
        for sampler, walk in samplers.items():
            schedule = make()
            levels = grids.levels(schedule, 3 if walk.adaptive else 100, "log-snr")
            alpha, sigma = (part.item() for part in levels[0])
            begin = alpha * MEAN, alpha**2 * STD**2 + sigma**2
            mean, variance = law(walk.on(schedule), levels, begin, **QUICK.get(sampler, {}))
            allowed = 0.005 if (walk.order or 1) > 1 else 0.08
            yield near(f"{sampler}, {name}, mean", MEAN, mean, abs=allowed * STD)
            yield near(f"{sampler}, {name}, spread", STD, math.sqrt(variance), abs=allowed * STD)
