"""What walks from noise to data have in common: their steps and records, and the move that most of them are made of."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.levels import Bridge, Level, bridge

Noise = Callable[[int], Tensor]
"""Number of the draw -> standard normal noise like x."""


VARIANCES: dict[str, Callable[[Bridge, Tensor | None], Tensor]] = {
    # Of a step, from its bridge and the fraction that a network has learned.
    "small": lambda bridge, _: bridge.variance,  # beta tilde
    "large": lambda bridge, _: bridge.forward_variance,  # beta
    "learned": lambda bridge, fraction: interpolated(bridge, fraction),
}


def interpolated(bridge: Bridge, fraction: Tensor | None) -> Tensor:
    """The variance whose log is `fraction` of the way from beta tilde's to beta's (Nichol & Dhariwal 2021, eq. 15).

    Raises ValueError where nothing was learned.
    """
    if fraction is None:
        raise ValueError("this model has learned no variance")
    low, high = (part.to(fraction) for part in (bridge.variance, bridge.forward_variance))
    return low * (high / low) ** fraction


class Step(NamedTuple):
    """Where the walk stands after a step, and the clean estimate that led there; each like x."""

    x: Tensor
    x0: Tensor


Walk = Callable[..., Iterator[Step]]
"""(denoise, x [B, ...], levels, *, noise, **options, **conditions) -> the steps."""


def walk(steps: Callable[..., Iterator[Step]]) -> Walk:
    """The walk of a generator (denoise, x, levels, noise, *, options): no gradients, and all else that walks share.

    What is passed beside the generator's own options are conditions: the denoiser is given them at every level.
    """
    own = {name for name, p in inspect.signature(steps).parameters.items() if p.kind is p.KEYWORD_ONLY}

    @functools.wraps(steps)
    @torch.no_grad()
    def walked(
        denoise: Denoise, x: Tensor, levels: Sequence[Level], *, noise: Noise | None = None, **rest: Any
    ) -> Iterator[Step]:
        options = {name: value for name, value in rest.items() if name in own}
        conditions = {name: value for name, value in rest.items() if name not in own}
        told = partial(denoise, **conditions) if conditions else denoise
        yield from steps(told, x, levels, noise or (lambda _: torch.randn_like(x)), **options)

    return walked


def renoised(
    x: Tensor, x0: Tensor, t: Level, s: Level, eta: float = 0.0, noise: Callable[[], Tensor] | None = None
) -> Tensor:
    """From x at level t to level s if the data are x0: DDIM's step, with the share eta of DDPM's fresh noise."""
    eps = (x - t.alpha * x0) / t.sigma
    fresh = eta * bridge(t, s).variance.sqrt()
    x = s.alpha * x0 + (s.sigma**2 - fresh**2).clamp(min=0).sqrt() * eps
    return x + fresh * noise() if noise and fresh > 0 else x


class Option(NamedTuple):
    """What an option of a sampler may be: a number from `least` to `most`, or one of `names`."""

    least: float = -float("inf")
    most: float = float("inf")
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sampler:
    """A walk with what goes with it. Flags, defaults, errors and checks read it here.

    steps, grid:  of a walk unless told, as in the paper
    order:        of convergence where there is no fresh noise; None of a walk that always has some, or is adaptive
    separable:    whether each step depends on its own two levels only, so that a walk may be taken step by step
    options:      of the walk, by name
    timed:        whether the walk needs the schedule, too; it cannot begin in pure noise
    adaptive:     whether the number of evaluations depends on the model
    """

    walk: Walk
    steps: int = 50
    grid: str = "trailing"
    order: int | None = None
    separable: bool = False
    options: Mapping[str, Option] = field(default_factory=dict)
    timed: bool = False
    adaptive: bool = False

    def __call__(self, *arguments: Any, **options: Any) -> Iterator[Step]:
        return self.walk(*arguments, **options)

    def on(self, schedule: Schedule) -> Walk:
        """The walk for levels of this schedule."""
        return partial(self.walk, schedule=schedule) if self.timed else self.walk
