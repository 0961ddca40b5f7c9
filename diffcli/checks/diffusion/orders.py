"""Measured orders of convergence against those that the papers prove."""

import math
from collections.abc import Iterator
from itertools import pairwise

import torch

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.algorithms import NOISE
from diffcli.checks.diffusion.on_gaussians import LAW, MEAN, STD, Samplers
from diffcli.checks.diffusion.schedules import at
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.schedules import EDM, VE, VP
from diffcli.core.diffusion.sde import euler_maruyama, flow_at
from diffcli.core.levels import Level

START = 3.0
PROVEN = {
    "euler": 1, "ddim": 1, "heun": 2, "edm": 2, "dpmpp-2m": 2, "unipc": 3, "dpmpp-3m": 3, "ipndm": 2, "deis": 4,
}  # fmt: skip


def order_of(errors: list[float]) -> float:
    """The slope of log error over log step between the last two, each with twice the steps of the one before."""
    return math.log2(errors[-2] / errors[-1])


def slow_start(steps: int) -> list[Level]:
    """A smooth walk of EDM whose first steps are of the second order in 1 / steps.

    So what a multistep walk loses in its first steps, which are of low order, is of the fourth.
    """
    times = 1 - torch.linspace(0, 1, steps + 1, dtype=torch.float64) ** 2
    return [EDM(sigma_min=0.1, sigma_max=10.0)(t) for t in times]


@check(
    "orders on a grid of EDM: Euler and DDIM 1, Heun, DPM-Solver++ 2M and iPNDM 2, 3M and UniPC-2 3, tAB3-DEIS 4",
    "Karras et al. 2022, sec. 3; Lu et al. 2022; Zhao et al. 2023, theorem 3.1; Zhang & Chen 2023",
)
def orders_of_samplers(samplers: Samplers = SAMPLERS) -> Iterator[Finding]:
    for name, sampler in samplers.items():
        if sampler.order is None:
            continue
        errors = []
        for steps in (100, 200, 400):
            levels = slow_start(steps)  # without the step to the data, which is of order 1 for all
            high, low = levels[0].sigma.item(), levels[-1].sigma.item()
            exact = MEAN + (START - MEAN) * math.sqrt((STD**2 + low**2) / (STD**2 + high**2))
            *_, end = sampler(LAW, torch.tensor([START], dtype=torch.float64), levels)
            errors.append(abs(end.x.item() - exact))
        order = order_of(errors)
        if name not in PROVEN:  # of a plug-in at least: on this one problem errors may cancel
            order = min(order, sampler.order)
        yield near(name, PROVEN.get(name, sampler.order), order, abs=0.25)
    for name, order in PROVEN.items() if samplers is SAMPLERS else ():
        yield near(f"{name}, as declared", order, samplers[name].order or 0)


def _responses(steps: int) -> tuple[float, torch.Tensor]:
    """Of Euler and Maruyama's walk on Gaussian data: to the start, and to a unit of Brownian motion in each step."""
    levels = [VP()(t) for t in torch.linspace(1.0, 0.3, steps + 1, dtype=torch.float64)]
    x = torch.full((steps + 2,), MEAN, dtype=torch.float64)
    x[1] += 1

    def pulse(step: int) -> torch.Tensor:
        noise = torch.zeros_like(x)
        noise[step + 2] = 1
        return noise

    *_, end = euler_maruyama(LAW, x, levels, noise=pulse, schedule=VP())
    response = end.x[1:] - end.x[0]
    return response[0].item(), response[1:] / math.sqrt(0.7 / steps)


@check(
    "Euler-Maruyama is the step of the reverse SDE, with the f and g of VP and of VE", "Song et al. 2021, eq. 6, 9, 11"
)
def euler_maruyama_algorithm() -> Iterator[Finding]:
    times = [1.0, 0.7, 0.45, 0.3, 0.25]
    for name, schedule in (("vp", VP()), ("ve", VE())):
        x = START
        levels = [schedule(at(t)) for t in times]
        walk = SAMPLERS["euler-maruyama"].on(schedule)(LAW, at(x), levels, noise=lambda k: at(NOISE[k]))
        for k, (step, (t, s)) in enumerate(zip(walk, pairwise(times), strict=True)):
            beta, growth = 0.1 + t * 19.9, 2 * math.log(5000)
            alpha = math.exp(-(0.1 * t + 19.9 * t**2 / 2) / 2) if name == "vp" else 1.0
            sigma = math.sqrt(1 - alpha**2) if name == "vp" else 0.01 * 5000**t
            f, g = (-beta / 2, math.sqrt(beta)) if name == "vp" else (0.0, sigma * math.sqrt(growth))
            score = -(x - alpha * MEAN) / (alpha**2 * STD**2 + sigma**2)
            x = x - (f * x - g**2 * score) * (t - s) + g * math.sqrt(t - s) * NOISE[k]
            yield near(f"{name}, step {k + 1}", x, step.x, rel=1e-8, abs=1e-9)


@check(
    "Euler-Maruyama on the reverse VP SDE: weak order 1, and strong order 1, its noise being additive",
    "Kloeden & Platen 1992, sec. 10.3, 14.1",
)
def orders_of_euler_maruyama() -> Iterator[Finding]:
    start, end = VP()(at(1.0)), VP()(at(0.3))
    variance = (start.alpha**2 * STD**2 + start.sigma**2).item()
    true_variance = (end.alpha**2 * STD**2 + end.sigma**2).item()
    finest = 800
    to_start, to_noise = _responses(finest)
    weak, strong = [], []
    for steps in (25, 50, 100):
        of_start, of_noise = _responses(steps)
        weak.append(abs(of_start**2 * variance + of_noise.square().sum().item() * 0.7 / steps - true_variance))
        same_path = of_noise.repeat_interleave(finest // steps) - to_noise  # one Brownian motion drives both
        square = (of_start - to_start) ** 2 * variance + same_path.square().sum().item() * 0.7 / finest
        strong.append(math.sqrt(square))
    yield near("weak: the variance", 1, order_of(weak), abs=0.15)
    yield near("strong: the same Brownian path", 1, order_of(strong), abs=0.15)


@check("the probability flow of Gaussian data keeps every point at its quantile", "Song et al. 2021, eq. 13")
def probability_flow() -> Iterator[Finding]:
    for begin, finish in ((1.0, 0.2), (0.2, 0.9)):
        steps, x = 60, at(START)
        times = torch.linspace(begin, finish, steps + 1, dtype=torch.float64)
        for t, s in pairwise(times):
            h = s - t
            one = flow_at(LAW, VP(), t)(x)
            two = flow_at(LAW, VP(), t + h / 2)(x + h / 2 * one)
            three = flow_at(LAW, VP(), t + h / 2)(x + h / 2 * two)
            x = x + h / 6 * (one + 2 * two + 2 * three + flow_at(LAW, VP(), s)(x + h * three))
        quantile = []
        for t, value in ((begin, START), (finish, x.item())):
            level = VP()(at(t))
            spread = math.sqrt(level.alpha**2 * STD**2 + level.sigma**2)
            quantile.append((value - level.alpha.item() * MEAN) / spread)
        yield near(f"from t = {begin} to {finish}", quantile[0], quantile[1], rel=1e-7)
