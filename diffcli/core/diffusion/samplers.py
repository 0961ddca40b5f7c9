"""Walks from noise to data. Each yields one `Step` per level; none prints, counts or stores.

All are called as (denoise, x, levels, *, noise, **options, **conditions): x is [B, ...] at levels[0], and `noise` gives
the fresh noise of a stochastic walk by number, standard normal like x. `walk` is that part which they have in common.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.levels import Bridge, Level, bridge
from diffcli.core.processes.montecarlo.langevin import langevin_step

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


class Estimate(NamedTuple):
    """x at a level, and the clean estimate there."""

    level: Level
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


@walk
def ddpm(
    denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, variance: str = "small"
) -> Iterator[Step]:
    """Ancestral sampling (Ho et al. 2020, algorithm 2), on any walk of levels.

    variance:  "small" is the posterior's own (beta tilde, eq. 7), right for data that are a point;
               "large" is the forward step's (beta), right for data that are standard normal;
               "learned" is the network's, between the two; ValueError where it has learned none
    """
    for step, (t, s) in enumerate(pairwise(levels)):
        x0, _, fraction = denoise(x, t)
        posterior = bridge(t, s)
        x = posterior.of_x * x + posterior.of_x0 * x0
        if s.sigma > 0:  # the last step adds no noise (algorithm 2, line 3)
            x = x + VARIANCES[variance](posterior, fraction).sqrt() * noise(step)
        yield Step(x, x0)


@walk
def ddim(denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, eta: float = 0.0) -> Iterator[Step]:
    """Keep the clean estimate, change the level (Song et al. 2021, eq. 12).

    With eta = 0 this is Euler's method for d(x / alpha) = eps d(sigma / alpha) (their eq. 14), with eta = 1 the
    ancestral one (sigma_up and sigma_down of k-diffusion): the samplers `euler` and `euler-ancestral`.

    eta:  0 is deterministic, 1 has the noise of DDPM with the small variance (eq. 16)
    """
    for step, (t, s) in enumerate(pairwise(levels)):
        x0 = denoise(x, t).x0
        x = _renoised(x, x0, t, s, eta, partial(noise, step))
        yield Step(x, x0)


@walk
def edm(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[Level],
    noise: Noise,
    *,
    churn: float = 0.0,
    churn_min: float = 0.0,
    churn_max: float = float("inf"),
    churn_noise: float = 1.0,
) -> Iterator[Step]:
    """Heun's method with a little fresh noise before each step (Karras et al. 2022, algorithm 2).

    It works on x / alpha, whose noise is sigma / alpha. The step to the data is Euler's, and so is one from a level
    without signal, where x / alpha does not exist. Without churn it is algorithm 1: the sampler `heun`.

    churn:                 S_churn, at most 0.41 times the number of steps takes effect
    churn_min, churn_max:  S_min and S_max, the noise levels between which there is churn
    churn_noise:           S_noise, the factor of the fresh noise
    """
    growth = min(churn / (len(levels) - 1), 2**0.5 - 1)
    for step, (t, s) in enumerate(pairwise(levels)):
        if t.alpha == 0:
            x0 = denoise(x, t).x0
            x = _renoised(x, x0, t, s)
            yield Step(x, x0)
            continue
        y, before, after = x / t.alpha, t.sigma / t.alpha, s.sigma / s.alpha
        if growth > 0 and churn_min <= before <= churn_max:
            raised = before * (1 + growth)
            y = y + (raised**2 - before**2).sqrt() * churn_noise * noise(step)
            before = raised
        x0, eps, _ = denoise(y, Level(torch.ones_like(before), before))
        ahead = x0 + after * eps
        if after > 0:
            eps_ahead = denoise(ahead, Level(torch.ones_like(after), after)).eps
            ahead = y + (after - before) * (eps + eps_ahead) / 2
        x = s.alpha * ahead
        yield Step(x, x0)


@walk
def dpmpp(denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, eta: float = 0.0) -> Iterator[Step]:
    """DPM-Solver++ 2M (Lu et al. 2022b, algorithm 2): a step of DDIM with the clean estimate carried forward.

    From the last two estimates the one at the middle of the step in log-SNR is extrapolated. The first step and the
    one to the data have no such pair, or no such middle, and are DDIM's.

    eta:  as in `ddim`; 1 is SDE-DPM-Solver++ 2M (their section 5, with the same extrapolation), the sampler `dpmpp-sde`
    """
    older: Estimate | None = None
    for step, (t, s) in enumerate(pairwise(levels)):
        now = Estimate(t, x, denoise(x, t).x0)
        x = _renoised(x, _carried(now, s, older), t, s, eta, partial(noise, step))
        older = now
        yield Step(x, now.x0)


@walk
def unipc(denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise) -> Iterator[Step]:
    """UniPC-2 with B(h) = e^h - 1, predicting x0 (Zhao et al. 2023, algorithms 1 and 2).

    Its predictor is that of DPM-Solver++ 2M. When the estimate at the new level is known, the step that led there is
    taken again with it, at no further evaluation.
    """
    older: Estimate | None = None
    origin: Estimate | None = None
    for t, s in pairwise(levels):
        x0 = denoise(x, t).x0
        if origin is not None:
            x = _renoised(origin.x, _corrected(origin, x0, t, older), origin.level, t)
        older, origin = origin, Estimate(t, x, x0)
        x = _renoised(x, _carried(origin, s, older), t, s)
        yield Step(x, x0)


@walk
def predictor_corrector(
    denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, corrections: int = 1, snr: float = 0.16
) -> Iterator[Step]:
    """Ancestral steps, each followed by Langevin steps at the new level (Song et al. 2021, algorithm 1).

    A Langevin step is x + h score + sqrt(2 h) noise with h = 2 (snr sigma)². That is the paper's 2 (snr |z| / |score|)²
    with the norms at their expected values, so that an image does not depend on the others of its batch.

    corrections:  Langevin steps after each step but the last, which ends at the data
    snr:          r of algorithm 4, their signal-to-noise ratio
    """
    for step, (t, s) in enumerate(pairwise(levels)):
        draw = step * (corrections + 1)
        x0 = denoise(x, t).x0
        x = _renoised(x, x0, t, s, 1.0, partial(noise, draw))
        for correction in range(1, corrections + 1 if s.sigma > 0 else 1):
            score = -denoise(x, s).eps / s.sigma
            x = langevin_step(x, score, 4 * (snr * s.sigma) ** 2, noise(draw + correction))  # langevin_step halves 2 h
        yield Step(x, x0)


def _renoised(
    x: Tensor, x0: Tensor, t: Level, s: Level, eta: float = 0.0, noise: Callable[[], Tensor] | None = None
) -> Tensor:
    """From x at level t to level s if the data are x0: DDIM's step, with the share eta of DDPM's fresh noise."""
    eps = (x - t.alpha * x0) / t.sigma
    fresh = eta * bridge(t, s).variance.sqrt()
    x = s.alpha * x0 + (s.sigma**2 - fresh**2).clamp(min=0).sqrt() * eps
    return x + fresh * noise() if noise and fresh > 0 else x


def _carried(now: Estimate, s: Level, older: Estimate | None) -> Tensor:
    """The clean estimate at the middle of the step to s in log-SNR, from that now and the one at the level before."""
    if older is None or s.sigma == 0:
        return now.x0
    step, step_before = s.log_snr - now.level.log_snr, now.level.log_snr - older.level.log_snr
    return now.x0 + step / (2 * step_before) * (now.x0 - older.x0)


def _corrected(origin: Estimate, x0_ahead: Tensor, s: Level, older: Estimate | None) -> Tensor:
    """The clean estimate for the step to s when that at s is known: UniC (Zhao et al. 2023, eq. 9 and 11)."""
    t, _, x0 = origin
    if older is None:
        return (x0 + x0_ahead) / 2
    h = (s.log_snr - t.log_snr) / 2
    ratio = (older.level.log_snr - t.log_snr) / 2 / h
    growth = torch.expm1(-h)
    first = (-growth / h - 1) / growth
    second = 2 * (-(-growth / h - 1) / h - 0.5) / growth
    of_before = (first - second) / (1 - ratio)
    return x0 + of_before / ratio * (older.x0 - x0) + (first - of_before) * (x0_ahead - x0)


class Option(NamedTuple):
    """What an option of a sampler may be: a number from `least` to `most`, or one of `names`."""

    least: float = -float("inf")
    most: float = float("inf")
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sampler:
    """A walk with what goes with it. Flags, defaults, errors and checks read it here.

    steps, grid:  of a walk unless told, as in the paper
    order:        of convergence where there is no fresh noise; None of a walk that always has some
    separable:    whether each step depends on its own two levels only, so that a walk may be taken step by step
    options:      of the walk, by name
    """

    walk: Walk
    steps: int = 50
    grid: str = "trailing"
    order: int | None = None
    separable: bool = False
    options: Mapping[str, Option] = field(default_factory=dict)

    def __call__(self, *arguments: Any, **options: Any) -> Iterator[Step]:
        return self.walk(*arguments, **options)


_CHURN = {
    "churn": Option(0, 1e6), "churn_min": Option(0, 1e6), "churn_max": Option(0), "churn_noise": Option(0, 10),
}  # fmt: skip
_CORRECTIONS = {"corrections": Option(0, 100), "snr": Option(0, 1)}  # beyond snr 1 Langevin steps grow without end

SAMPLERS: dict[str, Sampler] = {
    # heun and edm on their paper's own grid: on others the first steps may be too long for them
    "ddpm": Sampler(ddpm, 1000, separable=True, options={"variance": Option(names=tuple(VARIANCES))}),
    "ddim": Sampler(ddim, order=1, separable=True, options={"eta": Option(0, 1)}),
    "euler": Sampler(partial(ddim, eta=0.0), order=1, separable=True),
    "euler-ancestral": Sampler(partial(ddim, eta=1.0), 100, separable=True),
    "heun": Sampler(partial(edm, churn=0.0), 18, "karras", order=2, separable=True),
    "edm": Sampler(edm, 18, "karras", order=2, options=_CHURN),
    "dpmpp-2m": Sampler(dpmpp, 20, order=2, options={"eta": Option(0, 1)}),
    "dpmpp-sde": Sampler(partial(dpmpp, eta=1.0), 25),
    "unipc": Sampler(unipc, 20, order=3),
    "predictor-corrector": Sampler(predictor_corrector, 500, separable=True, options=_CORRECTIONS),
}
