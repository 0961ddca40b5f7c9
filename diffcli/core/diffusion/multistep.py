"""Walks that look back: each step uses what the denoiser said at levels before, at no further evaluation."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.walks import Noise, Step, renoised, walk
from diffcli.core.levels import Level


class Estimate(NamedTuple):
    """x at a level, and the clean estimate there."""

    level: Level
    x: Tensor
    x0: Tensor


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
        x = renoised(x, _carried(now, s, older), t, s, eta, partial(noise, step))
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
            x = renoised(origin.x, _corrected(origin, x0, t, older), origin.level, t)
        older, origin = origin, Estimate(t, x, x0)
        x = renoised(x, _carried(origin, s, older), t, s)
        yield Step(x, x0)


@walk
def dpmpp_3m(
    denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, curvature: float = 1.0
) -> Iterator[Step]:
    """DPM-Solver++ 3M: the parabola in log-SNR through the last three estimates, integrated along the step.

    The expansion of Lu et al. 2022b, section 4.1, to its third term, from estimates of the steps before. The first two
    steps are those of 2M, the last is DDIM's. In the authors' code, and where that was copied, the second derivative is
    half of the parabola's, so that the order is 2: that is `curvature` 0.5.

    curvature:  share of the parabola's second derivative that is used, from 0 to 1
    """
    before: list[Estimate] = []
    for t, s in pairwise(levels):
        now = Estimate(t, x, denoise(x, t).x0)
        ahead = _carried(now, s, before[-1] if before else None)
        if len(before) == 2 and s.sigma > 0:
            ahead = _bent(now, s, before[1], before[0], curvature)
        x = renoised(x, ahead, t, s)
        before = [*before, now][-2:]
        yield Step(x, now.x0)


@walk
def ipndm(denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, order: int = 4) -> Iterator[Step]:
    """iPNDM: Adams' and Bashforth's combinations of the last noises, those of an even grid (Zhang & Chen 2023).

    On grids that are not even in sigma / alpha the combinations stay the same, and the order is 2 at most.

    order:  noises that are combined, 1 is DDIM; the first steps have fewer
    """
    yield from _with_noises(denoise, x, levels, order, lambda known, _: ADAMS_BASHFORTH[len(known) - 2])


@walk
def deis(
    denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, order: int = 4, variable: str = "t"
) -> Iterator[Step]:
    """tAB-DEIS: the noise as a polynomial through its last values, integrated along the step (Zhang & Chen 2023).

    order:     values that the polynomial goes through, 1 is DDIM; the first steps have fewer. Their tAB3 is order 4
    variable:  in which it is a polynomial, one of `VARIABLES`: "t" is the paper's, "rho" its rhoAB
    """
    weights = partial(_polynomial_weights, read=VARIABLES[variable], rule=_gauss_legendre(48))
    yield from _with_noises(denoise, x, levels, order, weights)


def _with_noises(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[Level],
    order: int,
    weights: Callable[[Sequence[Level], Level], Sequence[Tensor | float]],
) -> Iterator[Step]:
    """DDIM's steps with a weighted mean of the last noises for the last one, d(x / alpha) = eps d(sigma / alpha).

    weights:  (levels of the noises, newest first; the next level) -> of each, adding up to 1

    A noise that was seen where there was no signal has no place in sigma / alpha, so none is kept from there. The step
    to the data is DDIM's: it ends at a clean estimate.
    """
    levels_before: list[Level] = []
    noises: list[Tensor] = []
    for t, s in pairwise(levels):
        x0, eps, _ = denoise(x, t)
        levels_before, noises = [t, *levels_before][:order], [eps, *noises][:order]
        if len(noises) == 1 or s.sigma == 0:
            x = renoised(x, x0, t, s)
        else:
            mean = sum(w * e for w, e in zip(weights(levels_before, s), noises, strict=True))
            x = s.alpha / t.alpha * (x - t.sigma * mean) + s.sigma * mean
        if t.alpha == 0:
            levels_before, noises = [], []
        yield Step(x, x0)


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


def _bent(now: Estimate, s: Level, older: Estimate, oldest: Estimate, curvature: float) -> Tensor:
    """The clean estimate that leads DDIM's step to s where the parabola through three, in log-SNR / 2, leads it."""
    places = [level.log_snr / 2 for level in (s, now.level, older.level, oldest.level)]
    h, before, long_before = (a - b for a, b in pairwise(places))
    slope, slope_before = (now.x0 - older.x0) / before, (older.x0 - oldest.x0) / long_before
    second = (slope - slope_before) / (before + long_before)  # half of the second derivative
    shrink = -torch.expm1(-h)
    of_slope, of_second = h / shrink - 1, (h**2 - 2 * h) / shrink + 2  # means of l and l² over e^(l - h) dl from 0 to h
    return now.x0 + of_slope * (slope + before * second) + curvature * of_second * second


ADAMS_BASHFORTH = ((3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
"""Of the last two, three or four slopes, newest first (Hairer, Nørsett & Wanner 1993, eq. III.1.5)."""

BETA_MIN, BETA_MAX = 0.1, 20.0  # of the VP SDE in whose time tAB-DEIS extrapolates (Song et al. 2021, appendix C)

VARIABLES: dict[str, Callable[[Tensor], Tensor]] = {
    # Of sigma / alpha, in which DEIS extrapolates the noise.
    "t": lambda rho: _vp_time(rho),
    "rho": lambda rho: rho,
    "log-rho": lambda rho: rho.log(),
}


def _vp_time(rho: Tensor) -> Tensor:
    """The time of the VP SDE at which sigma / alpha is rho: the root of the integral of beta = log(1 + rho²)."""
    whole = 2 * torch.log1p(rho**2)
    return whole / (BETA_MIN + (BETA_MIN**2 + (BETA_MAX - BETA_MIN) * whole).sqrt())


def _polynomial_weights(
    known: Sequence[Level], s: Level, *, read: Callable[[Tensor], Tensor], rule: tuple[Tensor, Tensor]
) -> list[Tensor]:
    """Means over the step, in sigma / alpha, of the polynomials that are 1 at one of the levels and 0 at the others."""
    places = torch.stack([level.sigma / level.alpha for level in (*known, s)])
    nodes, weights = rule
    middle, half = (places[-1].log() + places[0].log()) / 2, (places[-1].log() - places[0].log()) / 2
    rho = (middle + half * nodes).exp()  # even in log(sigma / alpha), as it may change by orders of magnitude
    weights = weights * rho / (weights * rho).sum()
    z, at = read(rho), read(places[:-1])
    polynomials = [math.prod((z - at[k]) / (at[j] - at[k]) for k in range(len(at)) if k != j) for j in range(len(at))]
    return [(weights * polynomial).sum() for polynomial in polynomials]


def _gauss_legendre(count: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of the rule on [-1, 1], [count] float64 (Golub & Welsch 1969)."""
    k = torch.arange(1, count, dtype=torch.float64)
    beside = k / (4 * k**2 - 1).sqrt()
    nodes, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return nodes, 2 * vectors[0] ** 2
