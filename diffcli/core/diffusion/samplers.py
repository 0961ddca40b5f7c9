"""Walks from noise to data. Each yields one `Step` per level; none prints, counts or stores.

All take (denoise, x, levels, *, noise, **options, **cond): x is [B, ...] at levels[0], and `noise` gives the fresh
noise of a stochastic walk by number, standard normal like x.
"""

from collections.abc import Callable, Iterator, Sequence
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
    # Of a step, from its bridge and the share that a network has learned.
    "small": lambda bridge, _: bridge.variance,  # beta tilde
    "large": lambda bridge, _: bridge.forward_variance,  # beta
    "learned": lambda bridge, share: interpolated(bridge, share),
}


def interpolated(bridge: Bridge, share: Tensor | None) -> Tensor:
    """The variance whose log is `share` of the way from beta tilde's to beta's (Nichol & Dhariwal 2021, eq. 15).

    Raises ValueError where nothing was learned.
    """
    if share is None:
        raise ValueError("this model has learned no variance")
    low, high = (part.to(share) for part in (bridge.variance, bridge.forward_variance))
    return low * (high / low) ** share


class Step(NamedTuple):
    """Where the walk stands after a step, and the clean estimate that led there; each like x."""

    x: Tensor
    x0: Tensor


@torch.no_grad()
def ddpm(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[Level],
    *,
    variance: str = "small",
    noise: Noise | None = None,
    **cond: Any,
) -> Iterator[Step]:
    """Ancestral sampling (Ho et al. 2020, algorithm 2), on any walk of levels.

    variance:  "small" is the posterior's own (beta tilde, eq. 7), right for data that are a point;
               "large" is the forward step's (beta), right for data that are standard normal;
               "learned" is the network's, between the two; ValueError where it has learned none
    """
    noise = noise or (lambda _: torch.randn_like(x))
    for step, (t, s) in enumerate(pairwise(levels)):
        x0, _, share = denoise(x, t, **cond)
        posterior = bridge(t, s)
        x = posterior.of_x * x + posterior.of_x0 * x0
        if s.sigma > 0:  # the last step adds no noise (algorithm 2, line 3)
            x = x + VARIANCES[variance](posterior, share).sqrt() * noise(step)
        yield Step(x, x0)


@torch.no_grad()
def ddim(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[Level],
    *,
    eta: float = 0.0,
    noise: Noise | None = None,
    **cond: Any,
) -> Iterator[Step]:
    """Keep the clean estimate, change the level (Song et al. 2021, eq. 12).

    With eta = 0 this is Euler's method for d(x / alpha) = eps d(sigma / alpha) (their eq. 14), with eta = 1 the
    ancestral one (sigma_up and sigma_down of k-diffusion): the samplers `euler` and `euler-ancestral`.

    eta:  0 is deterministic, 1 has the noise of DDPM with the small variance (eq. 16)
    """
    noise = noise or (lambda _: torch.randn_like(x))
    for step, (t, s) in enumerate(pairwise(levels)):
        x0 = denoise(x, t, **cond).x0
        x = _renoised(x, x0, t, s, eta, partial(noise, step))
        yield Step(x, x0)


@torch.no_grad()
def edm(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[Level],
    *,
    churn: float = 0.0,
    churn_min: float = 0.0,
    churn_max: float = float("inf"),
    churn_noise: float = 1.0,
    noise: Noise | None = None,
    **cond: Any,
) -> Iterator[Step]:
    """Heun's method with a little fresh noise before each step (Karras et al. 2022, algorithm 2).

    It works on x / alpha, whose noise is sigma / alpha. The step to the data is Euler's, and so is one from a level
    without signal, where x / alpha does not exist. Without churn it is algorithm 1: the sampler `heun`.

    churn:                 S_churn, at most 0.41 times the number of steps takes effect
    churn_min, churn_max:  S_min and S_max, the noise levels between which there is churn
    churn_noise:           S_noise, the factor of the fresh noise
    """
    noise = noise or (lambda _: torch.randn_like(x))
    growth = min(churn / (len(levels) - 1), 2**0.5 - 1)
    for step, (t, s) in enumerate(pairwise(levels)):
        if t.alpha == 0:
            x0 = denoise(x, t, **cond).x0
            x = _renoised(x, x0, t, s)
            yield Step(x, x0)
            continue
        y, before, after = x / t.alpha, t.sigma / t.alpha, s.sigma / s.alpha
        if growth > 0 and churn_min <= before <= churn_max:
            raised = before * (1 + growth)
            y = y + (raised**2 - before**2).sqrt() * churn_noise * noise(step)
            before = raised
        x0, eps, _ = denoise(y, Level(torch.ones_like(before), before), **cond)
        ahead = x0 + after * eps
        if after > 0:
            eps_ahead = denoise(ahead, Level(torch.ones_like(after), after), **cond).eps
            ahead = y + (after - before) * (eps + eps_ahead) / 2
        x = s.alpha * ahead
        yield Step(x, x0)


@torch.no_grad()
def dpmpp(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[Level],
    *,
    eta: float = 0.0,
    noise: Noise | None = None,
    **cond: Any,
) -> Iterator[Step]:
    """DPM-Solver++ 2M (Lu et al. 2022b, algorithm 2): a step of DDIM with the clean estimate carried forward.

    From the last two estimates the one at the middle of the step in log-SNR is extrapolated. The first step and the
    one to the data have no such pair, or no such middle, and are DDIM's.

    eta:  as in `ddim`; 1 is SDE-DPM-Solver++ 2M (their section 5, with the same extrapolation), the sampler `dpmpp-sde`
    """
    noise = noise or (lambda _: torch.randn_like(x))
    older: tuple[Level, Tensor] | None = None
    for step, (t, s) in enumerate(pairwise(levels)):
        x0 = denoise(x, t, **cond).x0
        x = _renoised(x, _carried(x0, t, s, older), t, s, eta, partial(noise, step))
        older = t, x0
        yield Step(x, x0)


@torch.no_grad()
def unipc(
    denoise: Denoise, x: Tensor, levels: Sequence[Level], *, noise: Noise | None = None, **cond: Any
) -> Iterator[Step]:
    """UniPC-2 with B(h) = e^h - 1, predicting x0 (Zhao et al. 2023, algorithms 1 and 2).

    Its predictor is that of DPM-Solver++ 2M. When the estimate at the new level is known, the step that led there is
    taken again with it, at no further evaluation.
    """
    older: tuple[Level, Tensor] | None = None
    origin: tuple[Level, Tensor, Tensor, tuple[Level, Tensor] | None] | None = None
    for t, s in pairwise(levels):
        x0 = denoise(x, t, **cond).x0
        if origin is not None:
            level, x_there, x0_there, older = origin
            x = _renoised(x_there, _corrected(x0_there, x0, level, t, older), level, t)
            older = level, x0_there
        origin = t, x, x0, older
        x = _renoised(x, _carried(x0, t, s, older), t, s)
        yield Step(x, x0)


@torch.no_grad()
def predictor_corrector(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[Level],
    *,
    corrections: int = 1,
    snr: float = 0.16,
    noise: Noise | None = None,
    **cond: Any,
) -> Iterator[Step]:
    """Ancestral steps, each followed by Langevin steps at the new level (Song et al. 2021, algorithm 1).

    A Langevin step is x + h score + sqrt(2 h) noise with h = 2 (snr sigma)². That is the paper's 2 (snr |z| / |score|)²
    with the norms at their expected values, so that an image does not depend on the others of its batch.

    corrections:  Langevin steps after each step but the last, which ends at the data
    snr:          r of algorithm 4, their signal-to-noise ratio
    """
    noise = noise or (lambda _: torch.randn_like(x))
    for step, (t, s) in enumerate(pairwise(levels)):
        draw = step * (corrections + 1)
        x0 = denoise(x, t, **cond).x0
        x = _renoised(x, x0, t, s, 1.0, partial(noise, draw))
        for correction in range(1, corrections + 1 if s.sigma > 0 else 1):
            score = -denoise(x, s, **cond).eps / s.sigma
            x = langevin_step(x, score, 4 * (snr * s.sigma) ** 2, noise(draw + correction))  # 2 h: moved halves it
        yield Step(x, x0)


def _renoised(
    x: Tensor, x0: Tensor, t: Level, s: Level, eta: float = 0.0, noise: Callable[[], Tensor] | None = None
) -> Tensor:
    """From x at level t to level s if the data are x0: DDIM's step, with the share eta of DDPM's fresh noise."""
    eps = (x - t.alpha * x0) / t.sigma
    fresh = eta * bridge(t, s).variance.sqrt()
    x = s.alpha * x0 + (s.sigma**2 - fresh**2).clamp(min=0).sqrt() * eps
    return x + fresh * noise() if noise and fresh > 0 else x


def _carried(x0: Tensor, t: Level, s: Level, older: tuple[Level, Tensor] | None) -> Tensor:
    """The clean estimate at the middle of the step from t to s in log-SNR, from those at t and at the level before."""
    if older is None or s.sigma == 0:
        return x0
    level, x0_before = older
    return x0 + (s.log_snr - t.log_snr) / (2 * (t.log_snr - level.log_snr)) * (x0 - x0_before)


def _corrected(x0: Tensor, x0_ahead: Tensor, t: Level, s: Level, older: tuple[Level, Tensor] | None) -> Tensor:
    """The clean estimate for the step from t to s when that at s is known: UniC (Zhao et al. 2023, eq. 9 and 11)."""
    if older is None:
        return (x0 + x0_ahead) / 2
    level, x0_before = older
    h = (s.log_snr - t.log_snr) / 2
    ratio = (level.log_snr - t.log_snr) / 2 / h
    growth = torch.expm1(-h)
    first = (-growth / h - 1) / growth
    second = 2 * (-(-growth / h - 1) / h - 0.5) / growth
    of_before = (first - second) / (1 - ratio)
    return x0 + of_before / ratio * (x0_before - x0) + (first - of_before) * (x0_ahead - x0)


SAMPLERS: dict[str, Callable[..., Iterator[Step]]] = {
    "ddpm": ddpm,
    "ddim": ddim,
    "euler": partial(ddim, eta=0.0),
    "euler-ancestral": partial(ddim, eta=1.0),
    "heun": partial(edm, churn=0.0),
    "edm": edm,
    "dpmpp-2m": dpmpp,
    "dpmpp-sde": partial(dpmpp, eta=1.0),
    "unipc": unipc,
    "predictor-corrector": predictor_corrector,
}
