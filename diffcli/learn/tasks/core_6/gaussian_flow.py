"""Held to the package's closed form, and the flow from noise to data and back to a point that stays."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion.exact import Gaussian
from diffcli.core.diffusion.gaussian_flow import flowed
from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def gaussian_flow(x: Tensor, mean: float, std: float, abar_t: float, abar_s: float) -> Tensor:
    """Where endlessly many deterministic steps lead from t to s, if the data are N(mean, std²) and ε̂ is exact.

    x_t is normal with mean √ᾱ_t mean and variance ᾱ_t std² + 1 − ᾱ_t, and the flow keeps its quantile: how many
    standard deviations a point lies from the mean is the same at t and at s.

    x:              [B, D], at t; each number is N(mean, std²) in the data, on its own
    mean, std:      of the data; std is a standard deviation, from 0 on
    abar_t, abar_s: ᾱ at the two ends, numbers; s may be cleaner or noisier than t, and ᾱ = 1 is the data

    Returns x at s, [B, D].
    """
    spread_t, spread_s = ((abar * std**2 + 1 - abar) ** 0.5 for abar in (abar_t, abar_s))
    return abar_s**0.5 * mean + (x - abar_t**0.5 * mean) * spread_s / spread_t


def truth(x: Tensor, mean: float, std: float, abar_t: float, abar_s: float) -> Tensor:
    t, s = (Level.of(abar**0.5, (1 - abar) ** 0.5) for abar in (abar_t, abar_s))
    return flowed(Gaussian(mean, std), x, t, s)


def questions(ask: Ask) -> Iterator[Seen]:
    x = torch.tensor([[0.5, -2.0, 1.0], [3.0, 0.1, -0.4]], dtype=torch.float64)
    for mean, std in ((0.0, 0.5), (1.5, 0.3), (-1.0, 2.0)):
        yield Seen(f"data N({mean:g}, {std:g}²), from ᾱ = 0.1 to 0.7", ask(x, mean, std, 0.1, 0.7))
    yield Seen("data N(1.5, 0.3²), from ᾱ = 0.2 to the data", ask(x, 1.5, 0.3, 0.2, 1.0))
    yield Seen("data N(1.5, 0.3²), up from the data to ᾱ = 0.4", ask(x, 1.5, 0.3, 1.0, 0.4))
    yield Seen("data that are the point 1.5, from ᾱ = 0.2 to 0.9", ask(x, 1.5, 0.0, 0.2, 0.9))


WRONG = [
    Swap("variances", "with the ratio of the variances in the place of that of the standard deviations",
         "what a quantile is measured in", "(abar * std**2 + 1 - abar) ** 0.5", "(abar * std**2 + 1 - abar)"),
    Swap("noise-only", "with the noise alone in the spread, as if the data were a point",
         "the variance of x_t, which has two parts", "abar * std**2 + 1 - abar", "1 - abar + 0 * std"),
    Swap("upside-down", "with the ratio of the spreads upside down",
         "where the point goes: it lies as many spreads of s from the mean",
         "spread_s / spread_t", "spread_t / spread_s"),
    Swap("mean-kept", "with the mean of t at s as well", "the mean of x_s: √ᾱ_s mean",
         "return abar_s**0.5 * mean", "return abar_t**0.5 * mean"),
    Swap("data-mean", "with the mean of the data at both ends", "the means of x_t and x_s: the data's times √ᾱ",
         "return abar_s**0.5 * mean + (x - abar_t**0.5 * mean)", "return mean + (x - mean)"),
    Swap("root-forgotten", "with ᾱ times the mean in the place of √ᾱ times it", "the factor of the data in x_t: √ᾱ_t",
         "return abar_s**0.5 * mean + (x - abar_t**0.5 * mean)", "return abar_s * mean + (x - abar_t * mean)"),
    Swap("deviations-added", "with the standard deviations of data and noise added up, and not their variances",
         "the spread of x_t: it is the root of ᾱ_t std² + 1 − ᾱ_t",
         "(abar * std**2 + 1 - abar) ** 0.5 for", "abar**0.5 * std + (1 - abar) ** 0.5 for"),
    Swap("std-for-variance", "with std for std² in the spread", "the variance of √ᾱ x0: ᾱ std²",
         "abar * std**2 + 1", "abar * std + 1"),
]  # fmt: skip


@wrong("without the mean", "what a quantile is counted from: the mean of x_t")
def centred(x: Tensor, mean: float, std: float, abar_t: float, abar_s: float) -> Tensor:
    return gaussian_flow(x, 0.0, std, abar_t, abar_s)


@wrong("with a single step of DDIM", "the docstring: endlessly many steps, so no step is taken at all")
def one_step(x: Tensor, mean: float, std: float, abar_t: float, abar_s: float) -> Tensor:
    eps = (1 - abar_t) ** 0.5 * (x - abar_t**0.5 * mean) / (abar_t * std**2 + 1 - abar_t)
    return abar_s**0.5 * (x - (1 - abar_t) ** 0.5 * eps) / abar_t**0.5 + (1 - abar_s) ** 0.5 * eps


@right
def by_quantiles(x: Tensor, mean: float, std: float, abar_t: float, abar_s: float) -> Tensor:
    unit = (x - abar_t**0.5 * mean) / (abar_t * std**2 + 1 - abar_t) ** 0.5
    return abar_s**0.5 * mean + unit * (abar_s * std**2 + 1 - abar_s) ** 0.5


@right
def by_a_loop(x: Tensor, mean: float, std: float, abar_t: float, abar_s: float) -> list[list[float]]:
    wide = ((1 + abar_s * (std**2 - 1)) / (1 + abar_t * (std**2 - 1))) ** 0.5
    return [[wide * value + mean * (abar_s**0.5 - wide * abar_t**0.5) for value in row] for row in x.tolist()]


@right
def by_rho(x: Tensor, mean: float, std: float, abar_t: float, abar_s: float) -> Tensor:
    """In y = x/√ᾱ and ρ² = (1 − ᾱ)/ᾱ the flow is dy/dρ = (y − mean) ρ/(std² + ρ²)."""
    before, after = ((1 - abar) / abar for abar in (abar_t, abar_s))
    y = x.clone() / torch.tensor(abar_t).double().sqrt() - mean
    y *= ((std**2 + after) / (std**2 + before)) ** 0.5
    return (y + mean) * abar_s**0.5
