"""Held to a sum over noises: what enters at step j is there at step k by the factors between."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import parted


def chain(mean: float, variance: float, factors: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
    """Means and variances along a chain x_k = a_k x_{k-1} + noise, with noise ~ N(0, v_k), k = 1, ..., T.

    mean, variance: numbers, those of x_0; a variance of 0 means that x_0 is known
    factors:        [T], factors[k - 1] is a_k
    added:          [T], added[k - 1] is v_k, the variance of the noise of step k, which is independent of all before

    Returns (means [T], variances [T]), those of x_1, ..., x_T.
    """
    means, variances = [], []
    for a, v in zip(factors.tolist(), added.tolist(), strict=True):
        mean = a * mean
        variance = a**2 * variance + v
        means.append(mean)
        variances.append(variance)
    return factors.new_tensor(means), factors.new_tensor(variances)


def truth(mean: float, variance: float, factors: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
    steps = len(factors)
    means, variances = torch.zeros(2, steps, dtype=torch.float64)
    for k in range(steps):
        means[k] = mean * factors[: k + 1].double().prod()
        variances[k] = variance * factors[: k + 1].double().prod() ** 2
        for j in range(k + 1):
            variances[k] += added[j] * factors[j + 1 : k + 1].double().prod() ** 2
    return means, variances


def questions(ask: Ask) -> Iterator[Seen]:
    def asked(case: str, *given: float | Tensor) -> Iterator[Seen]:
        for name, found in zip(("the means", "the variances"), parted(ask(*given), "means", "variances"), strict=True):
            yield Seen(f"{case}: {name}", found)

    case = "x_0 ~ N(1, 2), one step with a = 0.5, v = 0.3"
    yield from asked(case, 1.0, 2.0, torch.tensor([0.5]), torch.tensor([0.3]))
    factors, added = [0.9, 2.0, -0.5, 1.0], [0.1, 0.0, 3.0, 0.25]
    for mean, variance in ((-1.0, 0.5), (2.0, 0.0)):
        case = f"x_0 ~ N({mean:g}, {variance:g}), a = {factors}, v = {added}"
        yield from asked(case, mean, variance, torch.tensor(factors), torch.tensor(added))
    betas = torch.linspace(0.01, 0.3, 20, dtype=torch.float64)
    for variance in (0.0, 1.0):
        case = f"the forward process: a = √(1 − β), v = β, β from 0.01 to 0.3 in 20 steps, x_0 ~ N(0.8, {variance:g})"
        yield from asked(case, 0.8, variance, (1 - betas).sqrt(), betas)


WRONG = [
    Swap("factor-not-squared", "with a for a² in the variance", "what a factor does to a squared distance",
         "a**2", "a"),
    Swap("std-for-variance", "with the variance of the noise squared once more", "the kind of `added`: variances",
         "variance + v", "variance + v**2"),
    Swap("noise-first", "when the noise is added before the factor is applied", "the order within a step",
         "a**2 * variance + v", "a**2 * (variance + v)"),
    Swap("mean-not-moved", "when the factor leaves the mean as it is", "what a factor does to every x",
         "mean = a * mean", "mean = mean + 0 * a"),
    Swap("squared-mean", "with a² on the mean, which is for variances", "what a factor does to the mean",
         "mean = a * mean", "mean = a**2 * mean"),
]  # fmt: skip


@wrong("by adding standard deviations", "what adds when independent numbers do: variances")
def adding_stds(mean: float, variance: float, factors: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
    std, stds = torch.tensor(variance).sqrt(), []
    for a, v in zip(factors, added, strict=True):
        std = a.abs() * std + v.sqrt()
        stds.append(std)
    return mean * factors.cumprod(0), torch.stack(stds) ** 2


@wrong("when the noise of early steps is not scaled by later ones", "what a step scales: all of x, its noise too")
def noise_not_scaled(mean: float, variance: float, factors: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
    return mean * factors.cumprod(0), variance * factors.cumprod(0) ** 2 + added.cumsum(0)


@wrong(
    "with 1 − ᾱ for the noise, which is right only where every v is 1 − a²",
    "the argument `added`: the noise may be any",
)
def as_in_ddpm(mean: float, variance: float, factors: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
    through = factors.cumprod(0) ** 2
    return mean * factors.cumprod(0), variance * through + 1 - through


@wrong("with x_0 before the others, T + 1 entries", "what is returned: x_1, ..., x_T, and not the start")
def with_the_start(mean: float, variance: float, factors: Tensor, added: Tensor) -> tuple[list[float], list[float]]:
    means, variances = [mean], [variance]
    for a, v in zip(factors.tolist(), added.tolist(), strict=True):
        means.append(a * means[-1])
        variances.append(a**2 * variances[-1] + v)
    return means, variances


@wrong("if entry 0 is x_0, not x_1", "the order in the loop: a step first, then a note of it")
def beginning_with_the_start(
    mean: float, variance: float, factors: Tensor, added: Tensor
) -> tuple[list[float], list[float]]:
    means, variances = [mean], [variance]
    for a, v in zip(factors.tolist(), added.tolist(), strict=True):
        means.append(a * means[-1])
        variances.append(a**2 * variances[-1] + v)
    return means[:-1], variances[:-1]


@right
def by_products(mean: float, variance: float, factors: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
    through = factors.cumprod(0)
    return mean * through, through**2 * (variance + (added / through**2).cumsum(0))


@right
def in_numpy(
    mean: float, variance: float, factors: Tensor, added: Tensor
) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    found = np.zeros((2, len(factors)))
    for k, (a, v) in enumerate(zip(factors.numpy(), added.numpy(), strict=True)):
        mean, variance = a * mean, a * a * variance + v
        found[:, k] = mean, variance
    return found


@right
def recursively(mean: float, variance: float, factors: Tensor, added: Tensor) -> tuple[list[float], list[float]]:
    if len(factors) == 0:
        return [], []
    a, v = factors[0].item(), added[0].item()
    means, variances = recursively(a * mean, a * a * variance + v, factors[1:], added[1:])
    return [a * mean, *means], [a * a * variance + v, *variances]
