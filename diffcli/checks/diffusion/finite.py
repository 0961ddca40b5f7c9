"""No schedule, target, sampler and number of steps together make nan or inf."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.on_gaussians import Samplers
from diffcli.checks.diffusion.schedules import Schedules
from diffcli.core.diffusion import grids
from diffcli.core.diffusion.denoiser import TARGETS, Denoiser, check_pair
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.schedules import SCHEDULES


class Bounded(nn.Module):
    """A network that knows nothing: some bounded function of x and the level."""

    def forward(self, x: Tensor, log_snr: Tensor, **_: Any) -> Tensor:
        return torch.sin(3 * x + log_snr.unsqueeze(1))


def walk_all(
    cases: Iterable[tuple[str, str, str]],
    step_counts: tuple[int, ...],
    schedules: Schedules = SCHEDULES,
    samplers: Samplers = SAMPLERS,
) -> Iterator[Finding]:
    """For each schedule, target and sampler how many numbers of its walks are not finite, or not x0 at the end."""
    for name, target, sampler in cases:
        schedule = schedules[name]()
        try:
            check_pair(schedule, target)
        except ValueError:
            continue  # refused beforehand
        denoise = Denoiser(Bounded(), target)
        lost = 0
        for steps in step_counts:
            levels = grids.levels(schedule, steps)
            x = torch.hypot(*levels[0]).item() * torch.tensor([[0.5, -2.0]])
            *_, end = samplers[sampler](denoise, x, levels, noise=lambda k: torch.tensor([[0.3, -1.0]]) * (-1) ** k)
            lost += int((~end.x.isfinite()).sum()) + int((end.x != end.x0).sum())
        yield near(f"{name}, {target}, {sampler}, {step_counts} steps", 0, lost)


Targets = Mapping[str, Any]

ALL = tuple(product(SCHEDULES, TARGETS, SAMPLERS))


@check(
    "every schedule, target and sampler gives finite numbers that end at x0, in 1, 2, 3, 5 and 10 steps",
    "pairs that cannot work are refused",
)
def finite_walks(
    schedules: Schedules = SCHEDULES, targets: Targets = TARGETS, samplers: Samplers = SAMPLERS
) -> Iterator[Finding]:
    yield from walk_all(product(schedules, targets, samplers), (1, 2, 3, 5, 10), schedules, samplers)


@check("so do 50 and 1000 steps", "each sampler here on one schedule; the tests have them all")
def finite_long_walks() -> Iterator[Finding]:
    names = list(SCHEDULES)
    cases = [(names[i % len(names)], "v", sampler) for i, sampler in enumerate(SAMPLERS)]
    yield from walk_all(cases, (50, 1000))
