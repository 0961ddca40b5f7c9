"""No schedule, target, sampler and number of steps together make nan or inf."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.on_gaussians import QUICK, Samplers
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
            if samplers[sampler].timed and levels[0].alpha == 0:
                continue  # refused, too
            x = torch.hypot(*levels[0]).item() * torch.tensor([[0.5, -2.0]])
            walk, options = samplers[sampler].on(schedule), QUICK.get(sampler, {})
            *_, end = walk(denoise, x, levels, noise=lambda k: torch.tensor([[0.3, -1.0]]) * (-1) ** k, **options)
            lost += int((~end.x.isfinite()).sum()) + int((end.x != end.x0).sum())
        yield near(f"{name}, {target}, {sampler}, {step_counts} steps", 0, lost)


Targets = Mapping[str, Any]

ALL = tuple(product(SCHEDULES, TARGETS, SAMPLERS))


@check(
    "every schedule, target and sampler gives finite numbers that end at x0, in 1, 2, 3, 5 and 10 steps",
    "pairs that cannot work are refused; adaptive and timed walks here in 1 and 3, the tests have more",
)
def finite_walks(
    schedules: Schedules = SCHEDULES, targets: Targets = TARGETS, samplers: Samplers = SAMPLERS
) -> Iterator[Finding]:
    slow = [name for name, sampler in samplers.items() if sampler.adaptive or sampler.timed]
    fast = [name for name in samplers if name not in slow]
    yield from walk_all(product(schedules, targets, fast), (1, 2, 3, 5, 10), schedules, samplers)
    yield from walk_all(product(schedules, targets, slow), (1, 3), schedules, samplers)


@check(
    "so do 50 steps, and 1000 unless they are adaptive", "each sampler here on one schedule; the tests have them all"
)
def finite_long_walks() -> Iterator[Finding]:
    names = list(SCHEDULES)
    for i, (name, sampler) in enumerate(SAMPLERS.items()):
        yield from walk_all([(names[i % len(names)], "v", name)], (50,) if sampler.adaptive else (50, 1000))
