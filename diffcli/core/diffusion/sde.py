"""The reverse-time SDE of a schedule and its probability flow, in the schedule's own time."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.diffusion.walks import Noise, Step


@torch.no_grad()
def euler_maruyama(
    denoise: Denoise,
    x: Tensor,
    schedule: Schedule,
    times: Tensor,
    *,
    noise: Noise | None = None,
    **cond: Any,
) -> Iterator[Step]:
    """dx = (f x - g² score) dt + g dw backwards in time (Song et al. 2021, eq. 6), x [B, ...] at times[0].

    times:  falling, [N + 1]; alpha and sigma must not be 0 at any but the last
    """
    noise = noise or (lambda _: torch.randn_like(x))
    for step, (t, s) in enumerate(pairwise(times)):
        level, (f, g2) = schedule(t), schedule.sde(t)
        x0, eps, _ = denoise(x, level, **cond)
        drift = f * x + g2 * eps / level.sigma
        x = x + drift * (s - t) + (g2 * (t - s)).sqrt() * noise(step)
        yield Step(x, x0)


def flow_at(denoise: Denoise, schedule: Schedule, t: Tensor, **cond: Any) -> Callable[[Tensor], Tensor]:
    """x [B, ...] -> dx/dt of the probability flow at time t, f x - g² score / 2 (Song et al. 2021, eq. 13), like x.

    It is alpha' x0 + sigma' eps: the first form with score = -eps / sigma, and finite where alpha is 0 too.
    """
    level, (alpha_rate, sigma_rate) = schedule(t), schedule.rates(t)

    def velocity(x: Tensor) -> Tensor:
        x0, eps, _ = denoise(x, level, **cond)
        return alpha_rate * x0 + sigma_rate * eps

    return velocity
