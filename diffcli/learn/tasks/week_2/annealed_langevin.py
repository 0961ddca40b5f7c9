"""Held to the package's Langevin step, with the paper's sizes written as shares of the variance of the noise."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from diffcli.core.processes.montecarlo.langevin import langevin_step
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def annealed_langevin(
    score: Callable[[Tensor, float], Tensor], x: Tensor, sigmas: list[float], smallest: float, noise: Tensor
) -> Tensor:
    """Walk by Langevin steps through falling noise levels, as many steps at each (algorithm 1 of the paper).

    A step at level i is x + α_i/2 · score(x, σ_i) + √α_i · z, of the size α_i = smallest · σ_i²/σ_L².

    score:    (x [B, D], sigma) -> the score of the data with noise of this standard deviation, [B, D]
    x:        [B, D], where the walk begins
    sigmas:   σ_1 > … > σ_L, standard deviations; the walk goes through them in this order
    smallest: the size of the steps at the last level, ε of the paper
    noise:    [L, T, B, D], the z of step k at level i is noise[i, k]

    Returns [B, D], where the walk ends.
    """
    for sigma, draws in zip(sigmas, noise, strict=True):
        step = smallest * sigma**2 / sigmas[-1] ** 2
        for z in draws:
            x = x + step / 2 * score(x, sigma) + step**0.5 * z
    return x


def questions(ask: Ask) -> Iterator[Seen]:
    x = torch.tensor([[3.0, -2.0], [0.5, 1.0]])
    noise = torch.randn(3, 2, 2, 2, generator=torch.Generator().manual_seed(1))
    yield Seen("three levels, 2, 1 and 0.5, two steps at each", ask(pulled, x, [2.0, 1.0, 0.5], 0.05, noise))
    yield Seen("two levels, 1.5 and 0.3, one step at each", ask(pulled, x, [1.5, 0.3], 0.02, noise[:2, :1]))
    yield Seen("one level, 0.7, two steps", ask(pulled, x, [0.7], 0.1, noise[:1]))
    still = torch.zeros(2, 3, 2, 2)
    yield Seen("two levels, 1 and 0.4, three steps at each, all z = 0", ask(pulled, x, [1.0, 0.4], 0.03, still))


def pulled(x: Tensor, sigma: float) -> Tensor:
    """The score of N((1, -1), diag(0.25, 1)) with noise: it differs from level to level."""
    return (torch.tensor([1.0, -1.0]) - x) / (torch.tensor([0.25, 1.0]) + sigma**2)


def truth(
    score: Callable[[Tensor, float], Tensor], x: Tensor, sigmas: list[float], smallest: float, noise: Tensor
) -> Tensor:
    share = smallest / sigmas[-1] ** 2
    for i, sigma in enumerate(sigmas):
        for k in range(noise.shape[1]):
            x = langevin_step(x, score(x, sigma), share * sigma**2, noise[i, k])
    return x


WRONG = [
    Swap(
        "same-size",
        "with steps of the same size at all levels",
        "α_i, which falls with the level",
        "smallest * sigma**2 / sigmas[-1] ** 2",
        "smallest",
    ),
    Swap(
        "ratio-not-squared",
        "with σ_i/σ_L that is not squared",
        "α_i: a step has the unit of a variance",
        "sigma**2 / sigmas[-1] ** 2",
        "sigma / sigmas[-1]",
    ),
    Swap(
        "relative-to-the-first",
        "with σ_1 in the place of σ_L, so that `smallest` is the largest size",
        "which level has steps of the size `smallest`",
        "sigmas[-1] ** 2",
        "sigmas[0] ** 2",
    ),
    Swap(
        "whole-step",
        "with α_i for α_i/2 before the score",
        "the factor of the score: noise of variance α goes with a drift of half of it",
        "step / 2 *",
        "step *",
    ),
    Swap(
        "twice-the-size",
        "with α_i before the score and √(2α_i) before the noise: the other form of a Langevin step, twice as large",
        "the two factors: α_i/2 and √α_i",
        "step / 2 * score(x, sigma) + step**0.5 * z",
        "step * score(x, sigma) + (2 * step) ** 0.5 * z",
    ),
    Swap(
        "halved-noise",
        "with √(α_i/2) before the noise",
        "the factor of the noise",
        "step**0.5 * z",
        "(step / 2) ** 0.5 * z",
    ),
    Swap(
        "variance-for-std",
        "with α_i for √α_i before the noise",
        "the unit of the step: it is a variance",
        "step**0.5 * z",
        "step * z",
    ),
    Swap(
        "down-the-score",
        "with a walk down the density",
        "the sign of the score: it points to where there is more",
        "x + step / 2",
        "x - step / 2",
    ),
]


@wrong("with a walk that begins at the lowest level", "the order of `sigmas`: noise falls along the walk")
def rising(
    score: Callable[[Tensor, float], Tensor], x: Tensor, sigmas: list[float], smallest: float, noise: Tensor
) -> Tensor:
    for i, sigma in enumerate(reversed(sigmas)):
        step = smallest * sigma**2 / sigmas[-1] ** 2
        for z in noise[i]:
            x = x + step / 2 * score(x, sigma) + step**0.5 * z
    return x


@right
def by_indices(
    score: Callable[[Tensor, float], Tensor], x: Tensor, sigmas: list[float], smallest: float, noise: Tensor
) -> Tensor:
    levels, steps = noise.shape[:2]
    sizes = [smallest * (sigma / sigmas[levels - 1]) ** 2 for sigma in sigmas]
    for i in range(levels):
        for k in range(steps):
            drift = 0.5 * sizes[i] * score(x, sigmas[i])
            x = x + drift + torch.sqrt(torch.tensor(sizes[i])) * noise[i, k]
    return x


@right
def in_place(
    score: Callable[[Tensor, float], Tensor], x: Tensor, sigmas: list[float], smallest: float, noise: Tensor
) -> Tensor:
    x = x.clone()
    for sigma, draws in zip(sigmas, noise, strict=True):
        size = smallest * sigma * sigma / (sigmas[-1] * sigmas[-1])
        for z in draws:
            x += size / 2 * score(x, sigma)
            x += size**0.5 * z
    return x


@right
def in_double(
    score: Callable[[Tensor, float], Tensor], x: Tensor, sigmas: list[float], smallest: float, noise: Tensor
) -> Tensor:
    unit = smallest**0.5 / min(sigmas)
    x, noise = x.double(), noise.double()
    for i, sigma in enumerate(sigmas):
        for k in range(len(noise[i])):
            x = x + (unit * sigma) ** 2 / 2 * score(x, sigma) + unit * sigma * noise[i, k]
    return x
