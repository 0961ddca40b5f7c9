"""Held to products that are multiplied out one by one, and for equal betas to powers."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def alphas_bar(betas: Tensor) -> Tensor:
    """alpha-bar_t for t = 0 ... T: the factor that the variance of the data has been multiplied by after t steps.

    alpha-bar_t = (1 - beta_1) (1 - beta_2) ... (1 - beta_t)

    betas: [T], entry i, counted from 0, is beta_(i + 1); each between 0 and 1

    Returns [T + 1]; entry t, counted from 0, is alpha-bar_t, so entry 0 is 1: nothing has happened yet.
    """
    return torch.cat([torch.ones(1, dtype=betas.dtype), torch.cumprod(1 - betas, 0)])


def truth(betas: Tensor) -> list[float]:
    found = [1.0]
    for beta in betas.tolist():
        found.append(found[-1] - beta * found[-1])
    return found


def questions(ask: Ask) -> Iterator[Seen]:
    for betas in ([0.1, 0.2, 0.5, 0.3], [0.4], [0.02, 0.6]):
        yield Seen(f"betas {betas}", ask(torch.tensor(betas, dtype=torch.float64)))
    table = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    yield Seen("alpha-bar_1000 of DDPM's table, its logarithm", torch.as_tensor(ask(table))[-1].log())
    yield Seen("12 betas of 0.25", ask(torch.full((12,), 0.25, dtype=torch.float64)))


WRONG = [
    Swap(
        "root",
        "with √ᾱ, the factor of the data itself",
        "what is multiplied by ᾱ: a variance",
        "torch.cumprod(1 - betas, 0)",
        "torch.cumprod(1 - betas, 0).sqrt()",
    ),
    Swap(
        "alpha-alone",
        "with α_t = 1 − β_t of each step by itself",
        "the bar: the product of all steps so far",
        "torch.cumprod(1 - betas, 0)",
        "1 - betas",
    ),
    Swap(
        "sum",
        "with 1 minus the sum of the betas",
        "what each step does to the variance that is left: it multiplies it",
        "torch.cumprod(1 - betas, 0)",
        "1 - torch.cumsum(betas, 0)",
    ),
    Swap(
        "exponential",
        "with exp(−β) in the place of 1 − β, which is the same for endlessly small steps only",
        "the factor of a single step",
        "torch.cumprod(1 - betas, 0)",
        "torch.exp(-torch.cumsum(betas, 0))",
    ),
    Swap(
        "noise",
        "with 1 − ᾱ, the variance of the noise",
        "what is left, not what has been added",
        "torch.cumprod(1 - betas, 0)",
        "1 - torch.cumprod(1 - betas, 0)",
    ),
    Swap(
        "product-of-betas", "with the product of the betas", "the factor of a single step: 1 − β", "1 - betas", "betas"
    ),
]


@wrong("without alpha-bar_0 = 1, one entry short", "the first entry: before any step everything is left")
def without_the_start(betas: Tensor) -> Tensor:
    return torch.cumprod(1 - betas, 0)


@wrong("with the 1 at the end", "which entry is alpha-bar_0")
def one_at_the_end(betas: Tensor) -> Tensor:
    return torch.cat([torch.cumprod(1 - betas, 0), torch.ones(1, dtype=betas.dtype)])


@right
def by_a_loop(betas: Tensor) -> list[float]:
    return [math.prod(1 - beta for beta in betas[:t].tolist()) for t in range(len(betas) + 1)]


@right
def by_logarithms(betas: Tensor) -> Tensor:
    return torch.nn.functional.pad(torch.log1p(-betas).cumsum(0), (1, 0)).exp()


@right
def by_numpy(betas: Tensor) -> NDArray[np.float64]:
    factors = np.concatenate([[1.0], 1 - betas.numpy()])
    return np.multiply.accumulate(factors)
