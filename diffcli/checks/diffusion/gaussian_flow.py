"""The Gaussian flow that walks may begin with: it keeps quantiles, and it is the law's own probability flow."""

import math
from collections.abc import Iterator
from itertools import pairwise

import torch

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.schedules import at
from diffcli.core.diffusion import grids
from diffcli.core.diffusion.exact import Gaussian
from diffcli.core.diffusion.gaussian_flow import Remaining, flowed
from diffcli.core.diffusion.schedules import EDM, SCHEDULES, VP, Flow
from diffcli.core.diffusion.sde import flow_at
from diffcli.core.levels import Level

MEAN, STD = -0.74, 0.6  # as the pixels of digits have them: far from centred
COVARIANCE = torch.tensor([[1.0, 0.6, 0.1], [0.6, 0.8, -0.2], [0.1, -0.2, 0.5]], dtype=torch.float64)
CENTRE = torch.tensor([0.1, -0.9, 0.4], dtype=torch.float64)


@check(
    "the flow of a Gaussian between two levels keeps every point at its quantile, from a level without signal, too",
    "Song et al. 2021, eq. 13; Wang & Vastola 2024, sec. 3",
)
def gaussian_flow() -> Iterator[Finding]:
    law = Gaussian(*(torch.full((1,), value, dtype=torch.float64) for value in (MEAN, STD)))
    for name, (t, s) in {
        "down": (Level.of(0.05, 0.99), Level.of(0.6, 0.7)),
        "up": (Level.of(0.9, 0.2), Level.of(0.1, 1.3)),
        "from pure noise": (Level.of(0.0, 1.0), Level.of(0.2, 0.9)),
        "variance exploding": (Level.of(1.0, 80.0), Level.of(1.0, 10.0)),
        "to the data": (Level.of(0.3, 0.8), Level.of(1.0, 0.0)),
    }.items():
        for x in (-1.2, 0.0, 2.5):
            spreads = [math.sqrt(level.alpha.item() ** 2 * STD**2 + level.sigma.item() ** 2) for level in (t, s)]
            quantile = (x - t.alpha.item() * MEAN) / spreads[0]
            wanted = s.alpha.item() * MEAN + spreads[1] * quantile
            yield near(f"{name}, {x}", wanted, flowed(law, torch.tensor([[x]], dtype=torch.float64), t, s), rel=1e-10)


@check("in several dimensions it is the law's probability flow, followed in small steps", "Song et al. 2021, eq. 13")
def gaussian_flow_in_space() -> Iterator[Finding]:
    law = Gaussian.of_covariance(CENTRE, COVARIANCE)
    start = torch.tensor([[0.3, -1.0, 0.8], [-0.4, 0.2, 1.1]], dtype=torch.float64)
    for name, schedule in (("vp", VP()), ("flow", Flow())):
        x, times = start, torch.linspace(0.8, 0.3, 31, dtype=torch.float64)
        for t, s in pairwise(times):
            h = s - t
            one = flow_at(law, schedule, t)(x)
            two = flow_at(law, schedule, t + h / 2)(x + h / 2 * one)
            three = flow_at(law, schedule, t + h / 2)(x + h / 2 * two)
            x = x + h / 6 * (one + 2 * two + 2 * three + flow_at(law, schedule, s)(x + h * three))
        found = flowed(law, start, schedule(at(0.8)), schedule(at(0.3)))
        yield near(name, x, found, rel=1e-5, abs=1e-6)
        images = flowed(law, start.reshape(2, 1, 3, 1), schedule(at(0.8)), schedule(at(0.3)))
        yield near(f"{name}, as images", x, images.reshape(2, 3), rel=1e-5, abs=1e-6)


@check("what remains of a schedule below a time has the same levels, and its grids begin there", "the definition")
def remaining_schedules() -> Iterator[Finding]:
    for name, schedule in (("vp", VP()), ("edm", EDM()), ("cosine", SCHEDULES["cosine"]())):
        last = schedule.time(at(-2 * math.log(5.0))).item()
        rest = Remaining(schedule, last)
        for t in (0.2, 0.7, 1.0):
            for part, whole in zip(rest(at(t)), schedule(at(t * last)), strict=True):
                yield near(f"{name}, t = {t}", whole, part, rel=1e-12)
        for grid in ("trailing", "karras", "log-snr"):
            first = schedule(last * grids.times(rest, 4, grid)[0])
            yield near(f"{name}, {grid}: the first ratio", 5.0, first.sigma / first.alpha, rel=1e-6)
        end = schedule(last * grids.times(rest, 4, "karras")[-1])
        usual = schedule(torch.tensor(schedule.first, dtype=torch.float64))
        yield near(f"{name}: the last ratio", usual.sigma / usual.alpha, end.sigma / end.alpha, rel=1e-6)
