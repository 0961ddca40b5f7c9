"""Ordinary differential equations, by steps whose size follows the error: of a state as a whole, or of every item."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from diffcli.core.devices import widest


class TooSmallSteps(ArithmeticError):
    """A solver cannot go on within its tolerance."""


State = tuple[Tensor, ...]

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
UNKNOWN = 1e-3  # the first step where state or slope are 0 and say nothing


def dormand_prince(
    slope: Callable[[float, State], State], state: State, start: float, end: float, *, rtol: float, atol: float
) -> Iterator[tuple[float, State, int]]:
    """Solve d state / dt = slope from start to end > start: time, state and refused steps, after each accepted step.

    Raises TooSmallSteps where the step becomes too small to go on.
    """
    t, refused = start, 0
    first = slope(t, state)
    scale = tuple(atol + rtol * s.abs() for s in state)
    size = _norm(first, scale)
    step = min(end - start, (0.01 * _norm(state, scale) / size if size > 0 else 0) or UNKNOWN)
    while t < end:
        step = min(step, end - t)
        if t + step / 10 == t:
            raise TooSmallSteps(f"the flow cannot be followed at t = {t:g}: its steps became too small")
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
        step *= _change(error)


def dormand_prince_each(
    slope: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    start: float,
    end: float,
    *,
    first: Tensor,
    rtol: float,
    atol: float,
) -> Tensor:
    """Where dx / dt = slope(t, x) leads the items of x [B, ...] from start to end, each by steps of its own; like x.

    No item depends on the others, to the bit. Those that have arrived wait for the rest.

    slope:  at times [B, 1, ..., 1], float64 where the device has it
    first:  the slope at the start, like x

    Raises TooSmallSteps where the steps of an item become too small to go on.
    """
    way = 1.0 if end > start else -1.0
    left = torch.full((len(x), *[1] * (x.dim() - 1)), abs(end - start), dtype=widest(x.device), device=x.device)
    scale = atol + rtol * x.abs()
    step = 0.01 * _norms(x / scale) / _norms(first / scale)
    step = torch.where(step.isfinite() & (step > 0), step, UNKNOWN)
    while (left > 0).any():
        step = torch.minimum(step, left)
        if ((left > 0) & (left - step / 10 == left)).any():
            raise TooSmallSteps("the flow cannot be followed: the steps of an item became too small")
        size, slopes = (way * step).to(x.dtype), [first]
        for share, weights in STAGES:
            ahead = _advanced(x, size, weights, slopes)
            slopes.append(slope(end - way * (left - share * step), ahead))
        scale = atol + rtol * torch.maximum(x.abs(), ahead.abs())
        error = _norms(_advanced(0 * x, size, ERROR, slopes) / scale)
        taken = error < 1  # by those that have arrived, too, whose step is 0
        x, first = torch.where(taken, ahead, x), torch.where(taken, slopes[-1], first)
        left = torch.where(taken, left - step, left)
        changes = [_change(e) for e in error.flatten().tolist()]  # torch's powers round by the size of the batch
        step = step * torch.tensor(changes, dtype=step.dtype).to(step.device).reshape(step.shape)
    return x


def _change(error: float) -> float:
    """By how much the step grows or shrinks after an error, in units of what is allowed."""
    if not math.isfinite(error):
        return SMALLEST
    change = SAFETY * error**-0.2 if error > 0 else LARGEST
    return min(LARGEST if error < 1 else 1.0, max(SMALLEST, change))


def _advanced(value: Tensor, step: float | Tensor, weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    for weight, slope in zip(weights, slopes, strict=True):
        value = value + step * weight * slope
    return value


def _norm(parts: State, scale: State) -> float:
    """Root mean square of all numbers in units of their scale."""
    squares = [(part / s).to(widest(part.device)).square().flatten() for part, s in zip(parts, scale, strict=True)]
    return torch.cat(squares).mean().sqrt().item()


def _norms(x: Tensor) -> Tensor:
    """Root mean square of each item's numbers, as exact as the device has it, [B, 1, ..., 1]."""
    return x.to(widest(x.device)).square().reshape(len(x), -1).mean(1).sqrt().reshape(-1, *[1] * (x.dim() - 1))
