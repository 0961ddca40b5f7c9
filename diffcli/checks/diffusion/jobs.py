"""Sampling jobs, and what is written of the samplers: whatever is drawn with an item, it stays the same."""

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.denoisers import plane_mixture
from diffcli.core.diffusion import grids
from diffcli.core.diffusion.job import Job, spread
from diffcli.core.diffusion.samplers import SAMPLERS, edm
from diffcli.core.diffusion.schedules import VE, VP


@check("a job gives the same items in any batches, each step of each batch in its turn", "the promise of `sample`")
def jobs_in_batches() -> Iterator[Finding]:
    levels = grids.levels(VP(), 4, "log-snr")
    job = Job(plane_mixture(), levels, SAMPLERS["ddpm"], (2,), seed=3)
    whole = job.drawn(7)
    yield near("how many", 7, len(whole))
    yield near("steps", 4, job.steps)
    for batch in (1, 3, 7, 9):
        yield near(f"in batches of {batch}", whole, job.drawn(7, batch), abs=1e-12)
        seen = [(d.first, d.step, d.done) for d in job.draw(7, batch)]
        sizes = [min(batch, 7 - first) for first in range(0, 7, batch)]
        wanted = [
            (number * batch, step, 4 * sum(sizes[:number]) + (step + 1) * size)
            for number, size in enumerate(sizes)
            for step in range(4)
        ]
        yield near(f"what is done, by {batch}", torch.tensor(wanted), torch.tensor(seen))
    yield near("steps that are shown", torch.tensor([0, 3, 6, 9]), torch.tensor(spread(10, 4)))
    yield near("some of them", whole[[5, 2]], _end(job, [5, 2]), abs=1e-12)
    other = replace(job, seed=4).drawn(7)
    yield near("another seed, numbers alike", 0, (other == whole).sum())
    yield near("images at once", 64, replace(job, shape=(1, 5, 5)).batch)
    yield near("points at once", 16384, job.batch)
    yield from _parts(replace(job, shape=(1, 5, 5)))


def _parts(job: Job) -> Iterator[Finding]:
    """Every item is in one part, the parts are even, and long jobs have more of them."""
    long = replace(job, levels=grids.levels(VP(), 1000, "log-snr"))
    for count, short_parts, long_parts in ((1, 1, 1), (19, 1, 1), (20, 1, 2), (64, 1, 4), (130, 3, 4), (1000, 16, 16)):
        for one, wanted in ((job, short_parts), (long, long_parts)):
            parts = one.batches(count)
            sizes = [len(part) for part in parts]
            yield near(f"parts of {count} items", wanted, len(parts))
            yield near("every item once", torch.arange(count), torch.tensor([item for part in parts for item in part]))
            yield near("even parts", 0.0, float(max(sizes) - min(sizes) > 1))


def _end(job: Job, items: list[int]) -> Tensor:
    *_, step = job.walk(items)
    return step.x


@check("a job counts its evaluations and draws of noise", "counted by hand: two for every step of Heun but the last")
def cost_of_jobs() -> Iterator[Finding]:
    levels = grids.levels(VP(), 5, "log-snr")
    for name, evaluations, draws in (("ddim", 5, 0), ("ddpm", 5, 4), ("heun", 9, 0), ("dpmpp-2m", 5, 0)):
        found = Job(plane_mixture(), levels, SAMPLERS[name], (2,)).cost()
        yield near(f"evaluations of {name}", evaluations, found[0])
        yield near(f"draws of {name}", draws, found[1])


@check(
    "churn is added from the least level to the greatest, these two among them",
    "Karras et al. 2022, algorithm 2: S_tmin <= t <= S_tmax",
)
def churned_levels() -> Iterator[Finding]:
    levels = grids.levels(VE(), 6, "karras")
    sigmas = [level.sigma.item() for level in levels[:-1]]
    for low, high in ((0, 5), (2, 4), (1, 1), (3, 5)):
        asked: list[int] = []

        def noise(step: int, asked: list[int] = asked) -> Tensor:
            asked.append(step)
            return torch.zeros(1, 2, dtype=torch.float64)

        x = torch.ones(1, 2, dtype=torch.float64)
        list(edm(plane_mixture(), x, levels, noise=noise, churn=1.0, churn_min=sigmas[high], churn_max=sigmas[low]))
        yield near(f"steps {low} to {high}, how many", high - low + 1, len(asked))
        yield near(f"steps {low} to {high}", torch.arange(low, high + 1), torch.tensor(asked))


@check(
    "samplers have the steps and grids of their papers unless told, and options in the ranges of their formulas",
    "Ho et al. 2020; Song et al. 2021 (DDIM), eq. 16; Karras et al. 2022, table 1; Lu et al. 2022b; Song et al. 2021",
)
def samplers_unless_told() -> Iterator[Finding]:
    steps = {
        "ddpm": 1000, "ddim": 50, "euler": 50, "euler-ancestral": 100, "heun": 18, "edm": 18, "dpmpp-2m": 20,
        "dpmpp-sde": 25, "dpmpp-3m": 20, "unipc": 20, "ipndm": 20, "deis": 20, "ode": 2, "predictor-corrector": 500,
        "annealed-langevin": 20, "euler-maruyama": 1000,
    }  # fmt: skip
    own = {
        "heun": "karras", "edm": "karras", "ode": "karras", "ipndm": "quadratic", "deis": "quadratic",
        "dpmpp-3m": "log-snr", "annealed-langevin": "log-snr",
    }  # fmt: skip
    ranges: dict[str, dict[str, tuple[float, float]]] = {
        "ddim": {"eta": (0, 1)},
        "dpmpp-2m": {"eta": (0, 1)},
        "edm": {"churn": (0, 1e6), "churn_min": (0, 1e6), "churn_max": (0, math.inf), "churn_noise": (0, 10)},
        "predictor-corrector": {"corrections": (0, 100), "snr": (0, 1)},
        "annealed-langevin": {"corrections": (1, 1000), "snr": (0, 1)},
        "dpmpp-3m": {"curvature": (0, 1)},
        "ipndm": {"order": (1, 4)},
        "deis": {"order": (1, 4)},
        "ode": {"rtol": (1e-10, 1), "atol": (1e-10, 1)},
    }
    for name, count in steps.items():
        yield near(f"steps of {name}", count, SAMPLERS[name].steps)
        yield near(f"grid of {name}", 1, float(SAMPLERS[name].grid == own.get(name, "trailing")))
    for name, options in ranges.items():
        for option, (least, most) in options.items():
            found = SAMPLERS[name].options[option]
            yield near(f"least {option} of {name}", least, found.least)
            yield near(f"most {option} of {name}", 1, float(found.most == most))
