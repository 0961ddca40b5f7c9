"""Held to the chain itself, walked step by step from x0 = 0; and the squares of the weights have to add up to 1."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def one_noise(betas: Tensor, noises: Tensor) -> Tensor:
    """The noise ε with which the jump lands exactly where the whole chain ends.

    The chain: x_t = sqrt(1 - beta_t) x_(t-1) + sqrt(beta_t) ε_t for t = 1 ... T.
    The jump:  x_T = sqrt(alpha-bar_T) x_0 + sqrt(1 - alpha-bar_T) ε.

    betas:  [T], entry i, counted from 0, is beta_(i + 1)
    noises: [T, B, D], entry i is ε_(i + 1), the noise of step i + 1

    Returns ε, [B, D].
    """
    alphas = 1 - betas
    after = alphas.flip(0).cumprod(0).flip(0) / alphas  # what the steps after each one leave of its variance
    weights = (after * betas / (1 - alphas.prod())).sqrt()
    return torch.einsum("t,tbd->bd", weights, noises)


def truth(betas: Tensor, noises: Tensor) -> Tensor:
    x, left = torch.zeros_like(noises[0]), 1.0
    for beta, noise in zip(betas.tolist(), noises, strict=True):
        x, left = (1 - beta) ** 0.5 * x + beta**0.5 * noise, left * (1 - beta)
    return x / (1 - left) ** 0.5


def questions(ask: Ask) -> Iterator[Seen]:
    numbers = torch.Generator().manual_seed(7)
    betas = torch.tensor([0.1, 0.3, 0.2, 0.6], dtype=torch.float64)
    unit = torch.eye(4, dtype=torch.float64).unsqueeze(2)
    yield Seen("betas [0.1, 0.3, 0.2, 0.6]: the weight of each step's noise", ask(betas, unit))
    weights = torch.as_tensor(ask(betas.flip(0), unit))
    yield Seen("betas [0.6, 0.2, 0.3, 0.1]: the sum of the squares of the weights", weights.square().sum())
    noises = torch.randn(4, 2, 3, generator=numbers, dtype=torch.float64)
    yield Seen("betas [0.1, 0.3, 0.2, 0.6], noises of shape [4, 2, 3]", ask(betas, noises))
    one = torch.randn(1, 1, 2, generator=numbers, dtype=torch.float64)
    yield Seen("one step only, beta 0.3", ask(torch.tensor([0.3], dtype=torch.float64), one))


WRONG = [
    Swap(
        "not-divided",
        "without dividing by √(1 − ᾱ_T): this is the noise in x_T, not ε",
        "the factor of ε in the jump",
        " / (1 - alphas.prod())",
        "",
    ),
    Swap(
        "variances-for-weights",
        "without the square roots of the weights: these are shares of the variance",
        "what noise is multiplied by",
        ".sqrt()",
        "",
    ),
    Swap(
        "own-step-too",
        "if a step's noise is shrunk by that step, too",
        "the steps in which ε_t is shrunk: those after t",
        ".flip(0) / alphas",
        ".flip(0)",
    ),
    Swap(
        "steps-before",
        "if each noise is shrunk by the steps before it",
        "the steps in which ε_t is shrunk: those after t",
        "alphas.flip(0).cumprod(0).flip(0) / alphas",
        "alphas.cumprod(0)",
    ),
    Swap(
        "beta-for-its-root",
        "with β_t for √β_t as the factor of a step's noise",
        "what ε_t is multiplied by in its own step",
        "after * betas /",
        "after * betas**2 /",
    ),
]


@wrong("without the shrinking by later steps", "what the steps after t do to the noise of step t")
def no_shrinking(betas: Tensor, noises: Tensor) -> Tensor:
    weights = (betas / betas.sum()).sqrt()
    return (weights[:, None, None] * noises).sum(0)


@wrong("with all noises counting the same", "how much noise each step adds, and what the later steps leave of it")
def all_the_same(betas: Tensor, noises: Tensor) -> Tensor:
    return noises.sum(0) / len(betas) ** 0.5


@wrong("with the noise of the last step alone", "the noises of the steps before, which are in x_T, too")
def the_last_alone(betas: Tensor, noises: Tensor) -> Tensor:
    return noises[-1]


@right
def by_the_chain(betas: Tensor, noises: Tensor) -> Tensor:
    x = torch.zeros_like(noises[0])
    for beta, noise in zip(betas, noises, strict=True):
        x = (1 - beta).sqrt() * x + beta.sqrt() * noise
    return x / (1 - (1 - betas).prod()).sqrt()


@right
def by_products(betas: Tensor, noises: Tensor) -> Tensor:
    total = torch.zeros_like(noises[0])
    for t in range(len(betas)):
        total += torch.prod(1 - betas[t + 1 :]).sqrt() * betas[t].sqrt() * noises[t]
    return total / torch.sqrt(1 - torch.prod(1 - betas))


@right
def by_alpha_bar(betas: Tensor, noises: Tensor) -> Tensor:
    bar = torch.cumprod(1 - betas, 0)
    before = torch.cat([torch.ones_like(bar[:1]), bar[:-1]])
    growth = bar[-1] * (1 / bar - 1 / before)  # of the relative variance of the noise
    return torch.tensordot((growth / (1 - bar[-1])).sqrt(), noises, dims=1)
