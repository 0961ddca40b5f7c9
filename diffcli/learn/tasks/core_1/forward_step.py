"""Held to the step between two levels that the package has, and to variances: a step leaves 1 as it is."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.levels import CLEAN, Level, noisier
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def forward_step(x: Tensor, beta: float, noise: Tensor) -> Tensor:
    """One step of the chain: a draw of q(x_t | x_(t-1)), made of standard normal noise.

    q(x_t | x_(t-1)) = N(sqrt(1 - beta_t) x_(t-1), beta_t I), where the second place is a variance.

    x:     [B, D], x_(t-1)
    beta:  beta_t, between 0 and 1: the variance of what is added
    noise: like x, standard normal

    Returns x_t, [B, D].
    """
    return (1 - beta) ** 0.5 * x + beta**0.5 * noise


def truth(x: Tensor, beta: float, noise: Tensor) -> Tensor:
    return noisier(x, CLEAN, Level.of((1 - beta) ** 0.5, beta**0.5), noise)


def questions(ask: Ask) -> Iterator[Seen]:
    x = torch.tensor([[1.0, -0.5, 0.25], [2.0, 0.75, -1.0]])
    noise = torch.tensor([[0.3, -1.2, 0.8], [-0.6, 2.0, 0.1]])
    for beta in (0.2, 0.02, 0.9):
        yield Seen(f"beta {beta:g}", ask(x, beta, noise))
    yield Seen("beta 0.3, one item of five numbers, no noise", ask(torch.arange(5.0)[None], 0.3, torch.zeros(1, 5)))
    x, noise = torch.tensor([[1.0, 1.0, -1.0, -1.0]]), torch.tensor([[1.0, -1.0, 1.0, -1.0]])  # uncorrelated
    after = torch.as_tensor(ask(x, 0.4, noise)).square().mean()
    yield Seen("x and noise of variance 1, beta 0.4: the variance afterwards", after)


WRONG = [
    Swap(
        "beta-for-its-root",
        "with β ε for √β ε",
        "β, which is a variance: noise is multiplied by a standard deviation",
        "beta**0.5 * noise",
        "beta * noise",
    ),
    Swap(
        "no-root-of-the-rest",
        "with (1 − β) x for √(1 − β) x",
        "what is multiplied by 1 − β: the variance of x, not x",
        "(1 - beta) ** 0.5 * x",
        "(1 - beta) * x",
    ),
    Swap(
        "no-shrinking",
        "without shrinking x, so that the variance grows from step to step",
        "the factor of x",
        "(1 - beta) ** 0.5 * x",
        "x",
    ),
    Swap(
        "no-roots",
        "without any square root",
        "which of the numbers are variances",
        "(1 - beta) ** 0.5 * x + beta**0.5 * noise",
        "(1 - beta) * x + beta * noise",
    ),
    Swap(
        "swapped",
        "with the two factors swapped",
        "which is larger when β is small",
        "(1 - beta) ** 0.5 * x + beta**0.5 * noise",
        "beta**0.5 * x + (1 - beta) ** 0.5 * noise",
    ),
    Swap(
        "root-inside",
        "with 1 − √β as the factor of x",
        "the square root: of 1 − β as a whole",
        "(1 - beta) ** 0.5",
        "(1 - beta**0.5)",
    ),
]


@wrong("with new noise instead of the noise that is given", "the third argument")
def own_noise(x: Tensor, beta: float, noise: Tensor) -> Tensor:
    return (1 - beta) ** 0.5 * x + beta**0.5 * torch.randn_like(x)


@right
def in_place(x: Tensor, beta: float, noise: Tensor) -> Tensor:
    new = x.clone()
    new *= (1 - beta) ** 0.5
    return new.add_(noise, alpha=beta**0.5)


@right
def by_a_loop(x: Tensor, beta: float, noise: Tensor) -> list[list[float]]:
    keep, add = (1 - beta) ** 0.5, beta**0.5
    return [
        [keep * a + add * b for a, b in zip(*rows, strict=True)]
        for rows in zip(x.tolist(), noise.tolist(), strict=True)
    ]


@right
def by_a_law(x: Tensor, beta: float, noise: Tensor) -> Tensor:
    law = torch.distributions.Normal(x.double() * torch.tensor(1 - beta).sqrt(), torch.tensor(beta).sqrt())
    return law.loc + law.stddev * noise
