"""The truth walks: the variance of one step after the other, until it no longer changes."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def settled_variance(variance: Tensor, step: float) -> Tensor:
    """The variance at which the steps x' = x + h/2 · score(x) + √h ε settle, where the target is N(m, variance).

    variance: [D], float64, of the targets, one for each of D independent coordinates
    step:     h, above 0 and below four times the least of the variances, beyond which nothing settles

    Returns [D], the variance of each coordinate after very many steps; it is not quite that of the target.
    """
    ratio = 1 - step / (2 * variance)
    return step / (1 - ratio**2)


def truth(variance: Tensor, step: float) -> Tensor:
    v = torch.zeros_like(variance)
    for _ in range(1500):
        v = (1 - step / (2 * variance)) ** 2 * v + step
    return v


def questions(ask: Ask) -> Iterator[Seen]:
    for values, step in (
        ([1.0], 0.1),
        ([0.5, 1.0, 4.0], 0.5),
        ([0.3, 0.7], 0.9),
        ([2.0, 9.0], 0.2),
        ([0.25, 2.5], 0.5),
    ):
        yield Seen(f"variances {values}, h = {step:g}", ask(torch.tensor(values, dtype=torch.float64), step))


WRONG = [
    Swap(
        "std-for-variance",
        "with standard deviations for variances",
        "what the argument is, and what stands in the score",
        "(2 * variance)",
        "(2 * variance.sqrt())",
    ),
    Swap(
        "squared-again",
        "when the variance is squared, as if it were s",
        "the argument: it is s² already",
        "(2 * variance)",
        "(2 * variance**2)",
    ),
    Swap(
        "multiplied",
        "with h/2 times the variance",
        "the score of a Gaussian, in which the variance stands below: h / (2 s²)",
        "step / (2 * variance)",
        "step / 2 * variance",
    ),
    Swap(
        "noise-squared",
        "with h² as the variance of the noise",
        "the variance of √h ε, which is h",
        "return step /",
        "return step**2 /",
    ),
    Swap(
        "ratio-not-squared",
        "if the ratio of a step is not squared",
        "what a factor does to a variance",
        "(1 - ratio**2)",
        "(1 - ratio)",
    ),
    Swap("whole-drift", "with h for h/2 before the score", "the factor of the drift", "(2 * variance)", "variance"),
    Swap(
        "noise-not-squared",
        "with √h as the variance of the noise",
        "the variance of √h ε, which is h",
        "return step /",
        "return step**0.5 /",
    ),
]


@wrong("with the variance of the target itself", "a step that is not short: its law is another one")
def of_the_target(variance: Tensor, step: float) -> Tensor:
    return variance.clone()


@wrong("with the first order in h only", "a step that is not short")
def first_order(variance: Tensor, step: float) -> Tensor:
    return variance + step / 4


@wrong("with the sign of the bias turned round", "the side of the target's variance on which it settles: too wide")
def too_narrow(variance: Tensor, step: float) -> Tensor:
    return variance * (1 - step / (4 * variance))


@wrong(
    "with steps that have h before the score and √(2h) before the noise, another convention",
    "the formula of the docstring",
)
def of_another_convention(variance: Tensor, step: float) -> Tensor:
    return variance / (1 - step / (2 * variance))


@right
def in_one_line(variance: Tensor, step: float) -> Tensor:
    return variance / (1 - step / (4 * variance))


@right
def by_steps(variance: Tensor, step: float) -> Tensor:
    v = variance.clone()
    for _ in range(1500):
        v = (1 - 0.5 * step / variance).square() * v + step
    return v


@right
def by_a_series(variance: Tensor, step: float) -> np.ndarray:
    ratio = 1 - step / (2 * variance.numpy())
    return np.array([(step * r ** (2 * np.arange(1500))).sum() for r in ratio], dtype=np.float32)


@right
def by_squares(variance: Tensor, step: float) -> Tensor:
    return 4 * variance**2 / (4 * variance - step)
