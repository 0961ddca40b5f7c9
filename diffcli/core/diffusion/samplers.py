"""Walks from noise to data. Each yields one `Step` per level; none prints, counts or stores."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.schedules import Level
from diffcli.core.processes.gaussian import Bridge, bridge

Noise = Callable[[int], Tensor]
"""Step number -> standard normal noise like x."""


VARIANCES: dict[str, Callable[[Bridge], Tensor]] = {
    "small": lambda bridge: bridge.variance,  # beta tilde
    "large": lambda bridge: bridge.forward_variance,  # beta
}


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
               "large" is the forward step's (beta), right for data that are standard normal.
    """
    noise = noise or (lambda _: torch.randn_like(x))
    for step, (t, s) in enumerate(pairwise(levels)):
        x0, _ = denoise(x, t, **cond)
        posterior = bridge(t, s)
        spread = VARIANCES[variance](posterior)
        x = posterior.of_x * x + posterior.of_x0 * x0
        if s.sigma > 0:  # the last step adds no noise (algorithm 2, line 3)
            x = x + spread.sqrt() * noise(step)
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

    eta:  0 is deterministic, 1 has the noise of DDPM with the small variance (eq. 16).
    """
    noise = noise or (lambda _: torch.randn_like(x))
    for step, (t, s) in enumerate(pairwise(levels)):
        x0, eps = denoise(x, t, **cond)
        fresh = eta * bridge(t, s).variance.sqrt()
        x = s.alpha * x0 + (s.sigma**2 - fresh**2).clamp(min=0).sqrt() * eps
        if fresh > 0:
            x = x + fresh * noise(step)
        yield Step(x, x0)


SAMPLERS: dict[str, Callable[..., Iterator[Step]]] = {"ddpm": ddpm, "ddim": ddim}
