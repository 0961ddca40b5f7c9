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

State = tuple[Tensor, ...]
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


STAGES = (  # times of the stages, and the weights of the slopes before each (Dormand & Prince 1980, table 2)
    (1 / 5, (1 / 5,)),
    (3 / 10, (3 / 40, 9 / 40)),
    (4 / 5, (44 / 45, -56 / 15, 32 / 9)),
    (8 / 9, (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729)),
    (1.0, (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656)),
    (1.0, (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)),  # the step itself
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)  # order 5 less order 4
LARGEST, SMALLEST, SAFETY = 10.0, 0.2, 0.9  # changes of the step


def dormand_prince(
    slope: Callable[[float, State], State], state: State, start: float, end: float, *, rtol: float, atol: float
) -> Iterator[tuple[float, State, int]]:
    """Solve d state / dt = slope from start to end > start: time, state and refused steps, after each accepted step.

    Raises ArithmeticError where the step becomes too small to go on.
    """
    t, refused = start, 0
    first = slope(t, state)
    scale = tuple(atol + rtol * s.abs() for s in state)
    size = _norm(first, scale)
    step = min(end - start, 0.01 * _norm(state, scale) / size if size > 0 else 1e-3)
    while t < end:
        step = min(step, end - t)
        if t + step / 10 == t:
            raise ArithmeticError(f"the flow cannot be followed at t = {t:g}: its steps became too small")
        slopes = [first]
        for share, weights in STAGES:
            ahead = tuple(_advanced(s, step, weights, parts) for s, *parts in zip(state, *slopes, strict=True))
            slopes.append(slope(t + share * step, ahead))
        scale = tuple(atol + rtol * torch.maximum(s.abs(), a.abs()) for s, a in zip(state, ahead, strict=True))
        error = _norm(tuple(_advanced(0 * s, step, ERROR, k) for s, *k in zip(state, *slopes, strict=True)), scale)
        if error < 1:
            t = end if step == end - t else t + step
            state, first = ahead, slopes[-1]
            yield t, state, refused
        else:
            refused += 1
        change = SAFETY * error**-0.2 if error > 0 else LARGEST
        step *= min(LARGEST if error < 1 else 1.0, max(SMALLEST, change)) if math.isfinite(error) else SMALLEST


def _advanced(value: Tensor, step: float, weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    for weight, slope in zip(weights, slopes, strict=True):
        value = value + step * weight * slope
    return value


def _norm(parts: State, scale: State) -> float:
    """Root mean square of all numbers in units of their scale."""
    squares = [(part / s).double().square().flatten() for part, s in zip(parts, scale, strict=True)]
    return torch.cat(squares).mean().sqrt().item()
