"""The explicit midpoint rule for the probability flow, a method of order 2 with two evaluations a step."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from diffcli import plugins
from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.walks import Noise, Step
from diffcli.core.levels import Level


@plugins.sampler("midpoint", steps=20, grid="karras", order=2, separable=True)
def midpoint(
    denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, place: float = 0.5
) -> Iterator[Step]:
    """d(x / alpha) = eps d(sigma / alpha), with eps from a point on the way (Song et al. 2021, DDIM, eq. 14).

    place:  of that point on the way, 0.5 is the midpoint rule
    """
    for t, s in pairwise(levels):
        x0, eps, _ = denoise(x, t)
        if s.sigma > 0 and t.alpha > 0:
            before, after = t.sigma / t.alpha, s.sigma / s.alpha
            between = before + place * (after - before)
            ahead = x / t.alpha + (between - before) * eps
            slope = denoise(ahead, Level(torch.ones_like(between), between)).eps
            weight = 1 / (2 * place)  # 1 for the midpoint; of order 2 at any place
            x = s.alpha * (x / t.alpha + (after - before) * ((1 - weight) * eps + weight * slope))
        else:
            x = s.alpha * x0 + s.sigma * eps
        yield Step(x, x0)
