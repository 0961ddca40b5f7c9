"""Walks that look back: each step uses what the denoiser said at levels before, at no further evaluation."""

from collections.abc import Iterator, Sequence
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
