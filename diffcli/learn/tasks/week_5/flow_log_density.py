"""Held to Dormand and Prince's method at a fine tolerance; the last question takes the closed form away."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from diffcli.core.ode import dormand_prince
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong

Along = Callable[[Tensor, float], Tensor]

NEAR = 0.06  # nats; Euler's method in as many steps is off by two thirds of it


def flow_log_density(
    x: Tensor, velocity: Callable[[Tensor, float], Tensor], divergence: Callable[[Tensor, float], Tensor], steps: int
) -> Tensor:
    """log p(x) of data, in nats, by the flow that takes them from t = 0 to N(0, 1) at t = 1.

    Along dx/dt = v(x, t) the log density changes by −∇·v for each unit of time. So log p(x) is the log density of
    N(0, 1) where the flow ends, plus the integral of ∇·v along the way. Any method that takes `steps` equal steps
    will do; an answer may be 0.06 off.

    x:          [B], numbers: the data are one-dimensional
    velocity:   (x [B], t) -> dx/dt, [B]
    divergence: (x [B], t) -> ∂v/∂x, [B]
    steps:      of the way from t = 0 to t = 1

    Returns [B].
    """
    dt, total = 1 / steps, torch.zeros_like(x)
    for i in range(steps):
        t = i * dt
        here, spread = velocity(x, t), divergence(x, t)
        ahead = x + dt * here
        x = x + dt * (here + velocity(ahead, t + dt)) / 2
        total = total + dt * (spread + divergence(ahead, t + dt)) / 2
    return -(x**2) / 2 - math.log(2 * math.pi) / 2 + total


Law = tuple[tuple[float, float, float], ...]
"""Weight, mean and standard deviation of each normal law of a mixture."""

NORMAL: Law = ((1.0, 0.5, 0.7),)
MIXTURE: Law = ((0.3, -1.2, 0.4), (0.7, 0.8, 0.6))


def questions(ask: Ask) -> Iterator[Seen]:
    x = torch.tensor([-0.4, 0.0, 0.4, 1.5], dtype=torch.float64)
    asked = f"x = {x.tolist()}, 50 steps, data"
    found = ask(x, partial(speed, NORMAL), partial(spreading, NORMAL), 50)
    yield Seen(f"{asked} N(0.5, 0.7²)", found, NEAR)
    found = ask(x, partial(speed, MIXTURE), partial(spreading, MIXTURE), 50)
    yield Seen(f"{asked} a mixture of two normal laws", found, NEAR)
    less = torch.as_tensor(found) - log_density(MIXTURE, x)
    yield Seen(f"{asked} the mixture: the answer less the density in closed form, which should leave 0", less, NEAR)


def speed(law: Law, x: Tensor, t: float) -> Tensor:
    """The velocity of the flow at alpha = 1 − t and sigma = t: ε − x0, as expected where x is."""
    shares, _, values, _ = _at(law, x, t)
    return (shares * values).sum(-1)


def spreading(law: Law, x: Tensor, t: float) -> Tensor:
    """The derivative of `speed` by x."""
    shares, pulls, values, slopes = _at(law, x, t)
    return (shares * (slopes + (pulls - (shares * pulls).sum(-1, keepdim=True)) * values)).sum(-1)


def log_density(law: Law, x: Tensor) -> Tensor:
    weights, means, stds = torch.tensor(law, dtype=torch.float64).T
    return (weights.log() + torch.distributions.Normal(means, stds).log_prob(x.unsqueeze(-1))).logsumexp(-1)


def _at(law: Law, x: Tensor, t: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of each part where x is: its share, the slope of its log density, its velocity, and the slope of that."""
    weights, means, stds = torch.tensor(law, dtype=torch.float64).T
    variances = (1 - t) ** 2 * stds**2 + t**2
    gap = x.unsqueeze(-1) - (1 - t) * means
    shares = (weights.log() - gap**2 / (2 * variances) - variances.log() / 2).softmax(-1)
    slopes = (t - (1 - t) * stds**2) / variances
    return shares, -gap / variances, slopes * gap - means, slopes


def truth(x: Tensor, velocity: Along, divergence: Along, steps: int) -> Tensor:
    def slope(t: float, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return velocity(state[0], t), divergence(state[0], t)

    *_, (_, end, _) = dormand_prince(slope, (x, torch.zeros_like(x)), 0.0, 1.0, rtol=1e-7, atol=1e-7)
    return torch.distributions.Normal(0.0, 1.0).log_prob(end[0]) + end[1]


WRONG = [
    Swap(
        "minus-the-integral",
        "if the integral of the divergence is taken away",
        "whose density is asked for: that at t = 0, before the flow has spread it",
        "/ 2 + total",
        "/ 2 - total",
    ),
    Swap(
        "no-divergence",
        "without the integral: as if the flow kept every length",
        "what a flow that draws together does to a density",
        "/ 2 + total",
        "/ 2",
    ),
    Swap(
        "density-for-its-log",
        "with the density for its logarithm",
        "the unit: log p is asked for, in nats",
        "-(x**2) / 2 - math.log(2 * math.pi) / 2 + total",
        "(-(x**2) / 2 - math.log(2 * math.pi) / 2 + total).exp()",
    ),
    Swap(
        "no-constant",
        "without the constant ½ log 2π of N(0, 1)",
        "the log density of N(0, 1), all of it",
        " - math.log(2 * math.pi) / 2",
        "",
    ),
    Swap(
        "mean-of-the-divergence",
        "with a sum over the steps that dt does not multiply",
        "the integral: each step counts as long as it is",
        "total + dt * (spread",
        "total + (spread",
    ),
    Swap(
        "no-half", "without the ½ of the squared distance", "the log density of N(0, 1)", "-(x**2) / 2 -", "-(x**2) -"
    ),
]


@wrong("with the log density of N(0, 1) at x itself, not where the flow takes it", "where the flow ends")
def at_the_start(x: Tensor, velocity: Along, divergence: Along, steps: int) -> Tensor:
    end = x.clone()
    found = flow_log_density(end, velocity, divergence, steps)
    for i in range(steps):
        end = end + velocity(end, i / steps) / steps
    return found + end**2 / 2 - x**2 / 2


@wrong("if the divergence is always that of the place where the flow began", "the integral: it is taken along the way")
def stays(x: Tensor, velocity: Along, divergence: Along, steps: int) -> Tensor:
    first, total = x, torch.zeros_like(x)
    for i in range(steps):
        total = total + divergence(first, i / steps) / steps
        x = x + velocity(x, i / steps) / steps
    return -(x**2) / 2 - math.log(2 * math.pi) / 2 + total


@wrong(
    "if the integral of the divergence is taken away, in steps of Euler",
    "whose density is asked for: that at t = 0, before the flow has spread it",
)
def minus_by_euler(x: Tensor, velocity: Along, divergence: Along, steps: int) -> Tensor:
    end, total = euler(x, velocity, divergence, steps)
    return -(end**2) / 2 - math.log(2 * math.pi) / 2 - total


@wrong(
    "with a sum of Euler's steps that dt does not multiply",
    "the integral: each step counts as long as it is",
)
def sum_by_euler(x: Tensor, velocity: Along, divergence: Along, steps: int) -> Tensor:
    end, total = euler(x, velocity, divergence, steps)
    return -(end**2) / 2 - math.log(2 * math.pi) / 2 + steps * total


def euler(x: Tensor, velocity: Along, divergence: Along, steps: int) -> tuple[Tensor, Tensor]:
    """Where the flow ends, and the integral of the divergence along it, by Euler's method."""
    total = torch.zeros_like(x)
    for i in range(steps):
        total = total + divergence(x, i / steps) / steps
        x = x + velocity(x, i / steps) / steps
    return x, total


@right
def by_euler(x: Tensor, velocity: Along, divergence: Along, steps: int) -> Tensor:
    total = torch.zeros(len(x), dtype=x.dtype)
    for i in range(steps):
        total = total + divergence(x, i / steps) / steps
        x = x + velocity(x, i / steps) / steps
    return torch.distributions.Normal(0.0, 1.0).log_prob(x) + total


@right
def by_the_midpoint(x: Tensor, velocity: Along, divergence: Along, steps: int) -> Tensor:
    dt, change = 1.0 / steps, torch.zeros_like(x)
    for t in torch.arange(steps).tolist():
        middle = x + velocity(x, t * dt) * dt / 2
        change = change + divergence(middle, (t + 0.5) * dt) * dt
        x = x + velocity(middle, (t + 0.5) * dt) * dt
    return change - 0.5 * (x.square() + math.log(2 * math.pi))


@right
def by_runge_and_kutta(x: Tensor, velocity: Along, divergence: Along, steps: int) -> Tensor:
    h = 1 / steps
    state = torch.stack([x.double(), torch.zeros_like(x).double()])

    def slope(state: Tensor, t: float) -> Tensor:
        return torch.stack([velocity(state[0], t), divergence(state[0], t)])

    for i in range(steps):
        t = i * h
        a = slope(state, t)
        b = slope(state + h / 2 * a, t + h / 2)
        c = slope(state + h / 2 * b, t + h / 2)
        state = state + h / 6 * (a + 2 * b + 2 * c + slope(state + h * c, t + h))
    return state[1] - state[0] ** 2 / 2 - math.log(2 * math.pi) / 2
