"""The truth moves one particle after the other, number by number."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def langevin_walk(x: Tensor, score: Callable[[Tensor], Tensor], step: float, noise: Tensor) -> Tensor:
    """Unadjusted Langevin steps x' = x + h/2 · score(x) + √h ε, one after the other.

    x:     [B, D], float64, the particles before the first step
    score: function of [B, D], gives ∇ log p there, [B, D]
    step:  h, above 0
    noise: [N, B, D], ε of each of the N steps

    Returns [B, D], the particles after all N steps.
    """
    for eps in noise:
        x = x + step / 2 * score(x) + step**0.5 * eps
    return x


def wells(x: Tensor) -> Tensor:
    """The score of log p = -(x² - 1)² / 2, in each coordinate."""
    return 2 * x * (1 - x**2)


def pull(x: Tensor) -> Tensor:
    """The score of N((1, -0.5), diag(0.5, 2))."""
    centre, variance = torch.tensor([1.0, -0.5], dtype=x.dtype), torch.tensor([0.5, 2.0], dtype=x.dtype)
    return (centre - x) / variance


def truth(x: Tensor, score: Callable[[Tensor], Tensor], step: float, noise: Tensor) -> Tensor:
    particles = []
    for b in range(len(x)):
        place = x[b].tolist()
        for n in range(len(noise)):
            slope = score(torch.tensor([place], dtype=torch.float64))[0].tolist()
            drifted = [place[d] + 0.5 * step * slope[d] for d in range(len(place))]
            place = [drifted[d] + math.sqrt(step) * float(noise[n, b, d]) for d in range(len(place))]
        particles.append(place)
    return torch.tensor(particles, dtype=torch.float64)


def questions(ask: Ask) -> Iterator[Seen]:
    source = torch.Generator().manual_seed(4)
    for name, score, step, steps, count in (
        ("a normal law", pull, 0.3, 1, 2), ("a normal law", pull, 0.1, 3, 4), ("two wells", wells, 0.2, 2, 3),
    ):  # fmt: skip
        x = torch.randn(count, 2, generator=source, dtype=torch.float64)
        noise = torch.randn(steps, count, 2, generator=source, dtype=torch.float64)
        case = f"{name}, h = {step:g}, {steps} step{'' if steps == 1 else 's'} of {count} particles"
        yield Seen(case, ask(x, score, step, noise))


WRONG = [
    Swap(
        "whole-drift",
        "with h for h/2 before the score",
        "the factors: the noise has the variance h, the drift is half of that",
        "step / 2 * score",
        "step * score",
    ),
    Swap(
        "no-root",
        "with h for √h before the noise",
        "the variance of what a step adds, which is h",
        "step**0.5 * eps",
        "step * eps",
    ),
    Swap(
        "downhill",
        "with a step against the score",
        "where the score points: to where p is larger",
        "x + step / 2",
        "x - step / 2",
    ),
    Swap(
        "other-convention",
        "with h for h/2 and √(2h) for √h, which is another convention: its h is half of ours",
        "the formula of the docstring",
        "step / 2 * score(x) + step**0.5 * eps",
        "step * score(x) + (2 * step) ** 0.5 * eps",
    ),
    Swap(
        "too-hot",
        "with h/2 before the score and √(2h) before the noise, which mixes two conventions",
        "the factor of the noise: √h belongs to h/2",
        "step**0.5 * eps",
        "(2 * step) ** 0.5 * eps",
    ),
    Swap("no-noise", "without noise, which climbs to a mode", "the third term", " + step**0.5 * eps", ""),
]


@wrong("when the score is taken once, before the first step", "where the particles are at each step")
def score_of_the_start(x: Tensor, score: Callable[[Tensor], Tensor], step: float, noise: Tensor) -> Tensor:
    slope = score(x)
    for eps in noise:
        x = x + step / 2 * slope + step**0.5 * eps
    return x


@wrong("when the noise is added first and the score taken there", "the place where the score of a step is taken")
def noise_first(x: Tensor, score: Callable[[Tensor], Tensor], step: float, noise: Tensor) -> Tensor:
    for eps in noise:
        x = x + step**0.5 * eps
        x = x + step / 2 * score(x)
    return x


@wrong("without noise in the last step, as samplers of diffusion models end", "the docstring: all N steps are alike")
def last_without_noise(x: Tensor, score: Callable[[Tensor], Tensor], step: float, noise: Tensor) -> Tensor:
    for n, eps in enumerate(noise, 1):
        x = x + step / 2 * score(x) + step**0.5 * eps * (n < len(noise))
    return x


@right
def by_a_proposal(x: Tensor, score: Callable[[Tensor], Tensor], step: float, noise: Tensor) -> Tensor:
    for n in range(noise.shape[0]):
        mean = x + 0.5 * step * score(x)
        x = torch.addcmul(mean, torch.full_like(mean, math.sqrt(step)), noise[n])
    return x


@right
def in_place(x: Tensor, score: Callable[[Tensor], Tensor], step: float, noise: Tensor) -> Tensor:
    place = x.clone()
    for eps in noise.unbind(0):
        place += score(place).mul(step / 2) + eps.mul(math.sqrt(step))
    return place


@right
def in_numpy(x: Tensor, score: Callable[[Tensor], Tensor], step: float, noise: Tensor) -> np.ndarray:
    place = x.numpy().copy()
    for eps in noise.numpy():
        slope = score(torch.from_numpy(place)).numpy()
        place = place + step * slope / 2 + np.sqrt(step) * eps
    return place


@right
def by_recursion(x: Tensor, score: Callable[[Tensor], Tensor], step: float, noise: Tensor) -> Tensor:
    if len(noise) == 0:
        return x
    before = by_recursion(x, score, step, noise[:-1])
    return noise[-1] * step**0.5 + before + score(before) * step / 2
