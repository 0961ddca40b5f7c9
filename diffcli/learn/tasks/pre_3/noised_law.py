"""The truth goes step by step: mean and variance of a sum of independent numbers."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import parted


def noised_law(mean: float, variance: float, rho: float, noise: float, steps: int) -> tuple[float, float]:
    """Mean and variance of an AR(1) chain after some steps x' = rho x + noise ε, with a fresh ε ~ N(0, 1) in each.

    mean, variance: of x before the first step, which is independent of all ε; the variance may be 0
    rho:            between −1 and 1, neither of them
    noise:          above 0, the standard deviation of what a step adds, not its variance
    steps:          how many, 0 or more

    Returns the mean and the variance, two numbers.
    """
    fade = rho**steps
    settled = noise**2 / (1 - rho**2)
    return fade * mean, fade**2 * variance + (1 - fade**2) * settled


def truth(mean: float, variance: float, rho: float, noise: float, steps: int) -> tuple[float, float]:
    for _ in range(steps):
        mean, variance = rho * mean, rho**2 * variance + noise**2
    return mean, variance


def questions(ask: Ask) -> Iterator[Seen]:
    for mean, variance, rho, noise, steps in (
        (2.0, 0.0, 0.8, 0.5, 1),
        (2.0, 0.0, 0.8, 0.5, 2),
        (1.5, 0.7, 0.9, 1.3, 5),
        (-1.0, 2.0, -0.6, 0.4, 3),
        (3.0, 0.4, 0.7, 2.0, 0),
    ):
        count = "1 step" if steps == 1 else f"{steps} steps"
        case = f"from mean {mean:g}, variance {variance:g}; rho {rho:g}, noise {noise:g}, {count}"
        found_mean, found_variance = parted(ask(mean, variance, rho, noise, steps), "the mean", "the variance")
        yield Seen(f"the mean, {case}", found_mean)
        yield Seen(f"the variance, {case}", found_variance)
    beta = 0.02
    _, kept = parted(ask(1.0, 1.0, math.sqrt(1 - beta), math.sqrt(beta), 50), "the mean", "the variance")
    yield Seen("the variance, from 1, after 50 steps with beta 0.02, rho = √(1 - beta), noise = √beta", kept)


WRONG = [
    Swap(
        "variance-for-std",
        "when `noise` is taken for a variance",
        "what `noise` is, and what adds up in a sum of independent numbers",
        "noise**2 /",
        "noise /",
    ),
    Swap(
        "fades-once",
        "when the variance fades by rho^n, like the mean",
        "what a factor does to a variance",
        "fade**2 * variance + (1 - fade**2)",
        "fade * variance + (1 - fade)",
    ),
    Swap(
        "no-start",
        "without what is left of the variance at the start",
        "the variance of the start: x is random there, too",
        "fade**2 * variance + ",
        "",
    ),
    Swap(
        "settled",
        "with the variance after very many steps",
        "how much of it is there after n steps",
        "(1 - fade**2) * ",
        "",
    ),
    Swap(
        "one-step-more",
        "with one step more",
        "how many times x has been multiplied by rho",
        "rho**steps",
        "rho ** (steps + 1)",
    ),
    Swap(
        "rho-not-squared",
        "if the variance settles at noise² / (1 − rho)",
        "the fixed point of v = rho² v + noise²",
        "(1 - rho**2)",
        "(1 - rho)",
    ),
]


@wrong("when all noise adds up, and none of it fades", "what the later steps do to the noise of the earlier ones")
def without_fading(mean: float, variance: float, rho: float, noise: float, steps: int) -> tuple[float, float]:
    return rho**steps * mean, rho ** (2 * steps) * variance + steps * noise**2


@wrong(
    "when the noise of a step fades in this same step", "the order in a step: first x is shrunk, then noise is added"
)
def shrunk_last(mean: float, variance: float, rho: float, noise: float, steps: int) -> tuple[float, float]:
    for _ in range(steps):
        mean, variance = rho * mean, rho**2 * (variance + noise**2)
    return mean, variance


@wrong("when a step multiplies the variance by rho", "what a factor does to a variance: rho² in each step")
def rho_once(mean: float, variance: float, rho: float, noise: float, steps: int) -> tuple[float, float]:
    for _ in range(steps):
        mean, variance = rho * mean, rho * variance + noise**2
    return mean, variance


@wrong("with the standard deviation for the variance", "what is returned as the second number")
def with_a_deviation(mean: float, variance: float, rho: float, noise: float, steps: int) -> tuple[float, float]:
    return rho**steps * mean, math.sqrt(truth(mean, variance, rho, noise, steps)[1])


@right
def by_a_sum(mean: float, variance: float, rho: float, noise: float, steps: int) -> list[float]:
    added = sum(noise**2 * rho ** (2 * k) for k in range(steps))
    return [mean * rho**steps, variance * rho ** (2 * steps) + added]


@right
def by_steps(mean: float, variance: float, rho: float, noise: float, steps: int) -> tuple[Tensor, Tensor]:
    m, v = torch.tensor(mean), torch.tensor(variance)
    for _ in range(steps):
        m = rho * m
        v = v * rho * rho + noise * noise
    return m, v


@right
def as_an_array(mean: float, variance: float, rho: float, noise: float, steps: int) -> Tensor:
    settled = torch.tensor([0.0, noise**2 / ((1 - rho) * (1 + rho))], dtype=torch.float64)
    factors = torch.tensor([rho, rho**2], dtype=torch.float64) ** steps
    return settled + factors * (torch.tensor([mean, variance], dtype=torch.float64) - settled)
