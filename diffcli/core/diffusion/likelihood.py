"""log p(x) by the probability flow: the noise that data flow to, and by how much the flow spreads them on the way."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import vjp

from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.diffusion.sde import flow_at
from diffcli.core.ode import State, dormand_prince

Velocity = Callable[[Tensor], Tensor]
Trace = Callable[[Velocity, Tensor], tuple[Tensor, Tensor]]
"""(velocity, x [B, ...]) -> the velocity at x and the trace of its derivative, [B]."""


def exact_trace(velocity: Velocity, x: Tensor) -> tuple[Tensor, Tensor]:
    """The derivative of every number along itself: as many passes backwards as an item has numbers."""
    value, pull = vjp(velocity, x)[:2]
    trace = torch.zeros(len(x), dtype=x.dtype, device=x.device)
    for axis in range(x[0].numel()):
        direction = torch.zeros_like(x).flatten(1)
        direction[:, axis] = 1
        trace = trace + pull(direction.reshape(x.shape))[0].flatten(1)[:, axis]
    return value, trace


def hutchinson(probe: Tensor) -> Trace:
    """The mean of e' J e over probes e with E e e' = 1, unbiased (Grathwohl et al. 2019, section 3.2; Hutchinson 1990).

    probe:  [K, B, ...]; the same along a whole flow, so that what is integrated is smooth
    """

    def trace(velocity: Velocity, x: Tensor) -> tuple[Tensor, Tensor]:
        value, pull = vjp(velocity, x)[:2]
        products = [(pull(e)[0] * e).flatten(1).sum(1) for e in probe]
        return value, torch.stack(products).mean(0)

    return trace


PROBES: dict[str, Callable[[Tensor], Tensor]] = {
    # From standard normal numbers.
    "rademacher": lambda normal: torch.where(normal < 0, -1.0, 1.0).to(normal),  # the least variance there is
    "gaussian": lambda normal: normal,
}


class Flowed(NamedTuple):
    """Where a flow stands: time, x there [B, ...], the integral of the divergence so far [B], evaluations, steps."""

    t: float
    x: Tensor
    divergence: Tensor
    evaluations: int
    refused: int


def log_prior(x: Tensor, schedule: Schedule) -> Tensor:
    """log N(x; 0, alpha² + sigma²) at time 1 in nats, [B] float64."""
    level = schedule(torch.ones((), dtype=torch.float64))
    std = torch.hypot(*level)
    return -((x.double() / std) ** 2 / 2 + std.log() + math.log(2 * math.pi) / 2).flatten(1).sum(1)


def flowed(
    denoise: Denoise,
    x: Tensor,
    schedule: Schedule,
    start: float,
    trace: Trace,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    **cond: Any,
) -> Iterator[Flowed]:
    """Along the probability flow from time `start` to 1, accepted step by accepted step (Song et al. 2021, eq. 39).

    log p(x) at `start` is `log_prior` of where it ends plus the integral of the divergence. The solver is that of
    Dormand and Prince (1980), order 5 with an error estimate of order 4; a batch takes its steps together.

    x:           [B, ...] at time `start`
    rtol, atol:  of an error's root mean square over the batch, relative to the state and absolute
    """
    evaluations = 0

    def slope(t: float, state: State) -> State:
        nonlocal evaluations
        evaluations += 1
        at = torch.tensor(t, dtype=torch.float64)
        value, divergence = trace(flow_at(denoise, schedule, at, **cond), state[0])
        return value.detach(), divergence.detach()

    begin = x, torch.zeros(len(x), dtype=x.dtype, device=x.device)
    for t, state, refused in dormand_prince(slope, begin, start, 1.0, rtol=rtol, atol=atol):
        yield Flowed(t, state[0], state[1], evaluations, refused)
