"""The reverse-time SDE of a schedule and its probability flow, in the schedule's own time."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.diffusion.walks import Noise, Step, renoised, walk
from diffcli.core.levels import Level
from diffcli.core.ode import dormand_prince_each

JUST_BEFORE = 1 - 1e-12  # of a time: at an entry of a table beta changes, and the step goes back from there


@walk
def euler_maruyama(
    denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, schedule: Schedule
) -> Iterator[Step]:
    """dx = (f x - g² score) dt + g dw backwards in time (Song et al. 2021, eq. 6), Euler's and Maruyama's steps.

    The step to the data is to the clean estimate, without noise.

    schedule:  whose levels they are; it gives their times, f and g

    Raises ValueError where the first level has no signal, as f is infinite there.
    """
    if levels[0].alpha == 0:
        raise ValueError("the reverse SDE cannot begin in pure noise (alpha = 0)")
    times = schedule.time(torch.stack([level.log_snr for level in levels]))
    coefficients = zip(*schedule.sde(times[:-1] * JUST_BEFORE), -times.diff(), strict=True)
    for step, ((t, s), (f, g2, dt)) in enumerate(zip(pairwise(levels), coefficients, strict=True)):
        x0, eps, _ = denoise(x, t)
        if s.sigma > 0:
            drift = f * x + g2 * eps / t.sigma
            x = x - drift * dt + (g2 * dt).sqrt() * noise(step)
        else:
            x = x0
        yield Step(x, x0)


@walk
def probability_flow(
    denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, rtol: float = 1e-5, atol: float = 1e-5
) -> Iterator[Step]:
    """d(x / alpha) = eps d(sigma / alpha) from level to level, as exactly as told (Song et al. 2021, section 4.3).

    By the method of Dormand and Prince, order 5 with an error of order 4, in log(sigma / alpha). Every item has steps
    of its own, so that it does not depend on the others of its batch. The steps from a level without signal and to the
    data are DDIM's.

    rtol, atol:  of the error of a step, root mean square over an item's x / alpha: relative to it, and absolute
    """

    def slope(log_ratio: Tensor, y: Tensor) -> Tensor:
        ratio = log_ratio.exp().to(y.dtype)
        return ratio * denoise(y, Level(torch.ones_like(ratio), ratio)).eps

    for t, s in pairwise(levels):
        x0, eps, _ = denoise(x, t)
        if t.alpha == 0 or s.sigma == 0:
            x = renoised(x, x0, t, s)
        else:
            before, after = (-level.log_snr.item() / 2 for level in (t, s))
            first = t.sigma / t.alpha * eps
            y = dormand_prince_each(slope, x / t.alpha, before, after, first=first, rtol=rtol, atol=atol)
            x = s.alpha * y
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
