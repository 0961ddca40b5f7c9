"""Walks that begin at an image, or keep to a part of one."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.walks import Noise, Step
from diffcli.core.levels import Level, noisier


@torch.no_grad()
def invert(denoise: Denoise, x0: Tensor, levels: Sequence[Level], **cond: Any) -> Iterator[Step]:
    """DDIM backwards, from data [B, ...] up the levels to the noise they come from (DDIM, section 4.3).

    levels:  as for a sampler, from noise to data; this walk goes through them in reverse

    From the data themselves, where nothing is noise, the step takes eps as seen at the first noisy level.
    """
    x = x0
    for s, t in pairwise(reversed(levels)):
        clean, eps, _ = denoise(x, s if s.sigma > 0 else t, **cond)
        clean = clean if s.sigma > 0 else x
        x = t.alpha * clean + t.sigma * eps
        yield Step(x, clean)


def slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    """From start (share 0) to end (1) along the great circle, as Gaussian noise lies on a sphere; like start.

    Song et al. 2021 (DDIM), eq. 67.
    """
    cosine = (start * end).sum() / (start.norm() * end.norm())
    angle = cosine.clamp(-1, 1).double().acos()
    if angle.sin() < 1e-6:
        return torch.lerp(start, end, share)
    return ((angle * (1 - share)).sin() * start + (angle * share).sin() * end) / angle.sin()


def inpainting(
    sampler: Callable[..., Iterator[Step]], known: Tensor, mask: Tensor, *, resample: int = 1
) -> Callable[..., Iterator[Step]]:
    """A sampler that keeps the known pixels: after each step they are those of the image at the new level.

    At CLEAN they are the image's own, exactly (Lugmayr et al. 2022, RePaint, eq. 8).

    sampler:   one whose steps depend on their own two levels only, as ddpm's and ddim's do
    known:     the image, broadcasting against x
    mask:      1 where pixels are to be painted, 0 where they are known; broadcasting against x
    resample:  how often each step is taken, noising back between, so that the parts agree (algorithm 1, U)
    """

    def walk(
        denoise: Denoise, x: Tensor, levels: Sequence[Level], *, noise: Noise | None = None, **cond: Any
    ) -> Iterator[Step]:
        noise = noise or (lambda _: torch.randn_like(x))
        draws = 0

        def fresh(_: int = 0) -> Tensor:
            nonlocal draws
            draws += 1
            return noise(draws - 1)

        for t, s in pairwise(levels):
            for repeat in range(resample if s.sigma > 0 else 1):
                (step,) = sampler(denoise, x, (t, s), noise=fresh, **cond)
                kept = s.noised(known, fresh()) if s.sigma > 0 else known
                x = torch.where(mask > 0, step.x, kept)
                if s.sigma > 0 and repeat < resample - 1:
                    x = noisier(x, s, t, fresh())
            yield Step(x, step.x0)

    return walk
