"""Held to the package's move between two levels, which goes by the clean estimate."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.core.diffusion.walks import renoised
from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def ddim_step(x: Tensor, predicted: Tensor, abar_t: float, abar_s: float, eta: float, noise: Tensor) -> Tensor:
    """One step of DDIM from t to an earlier s (Song et al. 2021, eq. 12).

    The clean estimate, then as much of the predicted noise as belongs to s, then fresh noise:
        x_s = √ᾱ_s x̂0 + √(1 − ᾱ_s − σ²) ε̂ + σ noise,   σ = η √((1 − ᾱ_s)/(1 − ᾱ_t)) √(1 − ᾱ_t/ᾱ_s)

    x, predicted:   [B, ...], x_t and the noise ε̂ that the network sees in it
    abar_t, abar_s: ᾱ at t and at s, numbers, 0 < abar_t < abar_s <= 1 (the paper's α); 1 is the data
    eta:            from 0, deterministic, to 1
    noise:          like x, standard normal; use it as the fresh noise and draw none

    Returns x_s, like x.
    """
    sigma = eta * ((1 - abar_s) / (1 - abar_t) * (1 - abar_t / abar_s)) ** 0.5
    clean = (x - (1 - abar_t) ** 0.5 * predicted) / abar_t**0.5
    direction = (1 - abar_s - sigma**2) ** 0.5 * predicted
    return abar_s**0.5 * clean + direction + sigma * noise


def truth(x: Tensor, predicted: Tensor, abar_t: float, abar_s: float, eta: float, noise: Tensor) -> Tensor:
    t, s = (Level.of(abar**0.5, (1 - abar) ** 0.5) for abar in (abar_t, abar_s))
    x0 = (x - t.sigma * predicted) / t.alpha
    return renoised(x, x0, t, s, eta, lambda: noise)


def questions(ask: Ask) -> Iterator[Seen]:
    x, predicted, noise = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for eta in (0.0, 0.5, 1.0):
        yield Seen(
            f"two items of 3 numbers, ᾱ_t = 0.2, ᾱ_s = 0.6, η = {eta:g}", ask(x, predicted, 0.2, 0.6, eta, noise)
        )
    yield Seen("the last step, to ᾱ_s = 1, η = 1: the clean estimate", ask(x, predicted, 0.7, 1.0, 1.0, noise))
    images = torch.randn(3, 3, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    yield Seen("three images of 1 x 2 x 2 in float32, ᾱ_t = 0.05, ᾱ_s = 0.1, η = 0.3",
               ask(images[0], images[1], 0.05, 0.1, 0.3, images[2]))  # fmt: skip


WRONG = [
    Swap("too-much-noise", "without the − σ² under the root, so that x_s has more noise than belongs to s",
         "the two noises, whose variances have to add up to 1 − ᾱ_s", "(1 - abar_s - sigma**2)", "(1 - abar_s)"),
    Swap("all-fresh", "with fresh noise in the place of the predicted noise",
         "the second term of eq. 12: it has ε̂, the noise that is in x_t",
         "- sigma**2) ** 0.5 * predicted", "- sigma**2) ** 0.5 * noise"),
    Swap("variance-for-std", "with σ² as the factor of the fresh noise", "the last term: noise has the factor σ",
         "sigma * noise", "sigma**2 * noise"),
    Swap("roots-forgotten", "with ᾱ_s for √ᾱ_s", "the factor of the clean estimate at s",
         "abar_s**0.5 * clean", "abar_s * clean"),
    Swap("not-divided", "with a clean estimate that is not divided by √ᾱ_t",
         "how x0 follows from x_t = √ᾱ_t x0 + √(1 − ᾱ_t) ε", " / abar_t**0.5", ""),
    Swap("noise-of-t", "with the noise of t in the place of that of s",
         "the direction: noise as it belongs to the level that the step ends at",
         "(1 - abar_s - sigma**2)", "(1 - abar_t - sigma**2)"),
    Swap("clean-by-s", "with a clean estimate at the level s, where x_t is not",
         "the clean estimate, which is of x_t and so has ᾱ_t",
         "(x - (1 - abar_t) ** 0.5", "(x - (1 - abar_s) ** 0.5"),
    Swap("clean-root-forgotten", "with ᾱ_t for √ᾱ_t under the clean estimate",
         "how x0 follows from x_t = √ᾱ_t x0 + √(1 − ᾱ_t) ε", " / abar_t**0.5", " / abar_t"),
    Swap("noise-root-forgotten", "with 1 − ᾱ_t for its root in the clean estimate",
         "how x0 follows from x_t = √ᾱ_t x0 + √(1 − ᾱ_t) ε", "(x - (1 - abar_t) ** 0.5", "(x - (1 - abar_t)"),
    Swap("direction-root-forgotten", "without the root in the factor of the predicted noise",
         "the second term of eq. 12: √(1 − ᾱ_s − σ²)", "(1 - abar_s - sigma**2) ** 0.5", "(1 - abar_s - sigma**2)"),
    Swap("sigma-root-forgotten", "with η β̃ for σ = η √β̃", "σ and its two roots",
         "(1 - abar_t / abar_s)) ** 0.5", "(1 - abar_t / abar_s))"),
    Swap("eta-under-root", "with η under the root in σ", "where η stands: outside of the roots",
         "sigma = eta * (", "sigma = eta**0.5 * ("),
    Swap("no-fresh-noise", "without the fresh noise, whatever η is", "the last term of eq. 12",
         " + sigma * noise", ""),
]  # fmt: skip


@wrong("without η, as if it were always 0", "`eta`, which decides how much of the noise is fresh")
def always_deterministic(
    x: Tensor, predicted: Tensor, abar_t: float, abar_s: float, eta: float, noise: Tensor
) -> Tensor:
    return ddim_step(x, predicted, abar_t, abar_s, 0.0, 0 * noise)


@wrong("without η, as if it were always 1", "`eta`, which decides how much of the noise is fresh")
def always_ddpm(x: Tensor, predicted: Tensor, abar_t: float, abar_s: float, eta: float, noise: Tensor) -> Tensor:
    return ddim_step(x, predicted, abar_t, abar_s, 1.0, noise)


@right
def by_two_factors(x: Tensor, predicted: Tensor, abar_t: float, abar_s: float, eta: float, noise: Tensor) -> Tensor:
    """x_s is a sum of x_t, ε̂ and fresh noise."""
    variance = eta**2 * (1 - abar_s) * (abar_s - abar_t) / (abar_s * (1 - abar_t))
    ratio = (abar_s / abar_t) ** 0.5
    of_noise = (1 - abar_s - variance) ** 0.5 - ratio * (1 - abar_t) ** 0.5
    return ratio * x + of_noise * predicted + variance**0.5 * noise


@right
def in_place(x: Tensor, predicted: Tensor, abar_t: float, abar_s: float, eta: float, noise: Tensor) -> Tensor:
    found = x.clone().sub_(predicted, alpha=(1 - abar_t) ** 0.5).div_(abar_t**0.5).mul_(abar_s**0.5)
    fresh = eta * (((1 - abar_s) / (1 - abar_t)) * (1 - abar_t / abar_s)) ** 0.5
    found.add_(predicted, alpha=(1 - abar_s - fresh * fresh) ** 0.5)
    return found.add_(noise, alpha=fresh)


@right
def by_numpy(
    x: Tensor, predicted: Tensor, abar_t: float, abar_s: float, eta: float, noise: Tensor
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    x_t, eps, fresh = (part.double().numpy() for part in (x, predicted, noise))
    spread = eta * np.sqrt((1 - abar_s) / (1 - abar_t)) * np.sqrt(1 - abar_t / abar_s)
    clean = (x_t - np.sqrt(1 - abar_t) * eps) / np.sqrt(abar_t)
    found: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = (
        np.sqrt(abar_s) * clean + np.sqrt(1 - abar_s - spread**2) * eps + spread * fresh
    )
    return found
