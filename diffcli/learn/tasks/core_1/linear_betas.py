"""Held to the line worked out number by number, and to what does not depend on T: the sum of all betas."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def linear_betas(steps: int, first: float = 1e-4, last: float = 0.02) -> Tensor:
    """The variances beta_1 ... beta_T that the T steps of the chain add: evenly spaced, and rescaled for the length.

    steps: T, at least 2
    first: beta_1 of a chain of 1000 steps
    last:  beta_T of a chain of 1000 steps
           For other T each beta is 1000 / T times what the straight line from first to last says.

    Returns [steps]; entry i, counted from 0, is beta_(i + 1).
    """
    return torch.linspace(first, last, steps, dtype=torch.float64) * (1000 / steps)


def truth(steps: int, first: float = 1e-4, last: float = 0.02) -> list[float]:
    return [(first + (last - first) * i / (steps - 1)) * 1000 / steps for i in range(steps)]


def questions(ask: Ask) -> Iterator[Seen]:
    for steps in (50, 250, 1000):
        yield Seen(f"T = {steps}, from 0.0001 to 0.02", ask(steps, 1e-4, 0.02))
    yield Seen("T = 100, from 0.004 to 0.01", ask(100, 0.004, 0.01))
    for steps in (1000, 100):
        yield Seen(f"the sum of all betas for T = {steps}", torch.as_tensor(ask(steps, 1e-4, 0.02)).sum())


WRONG = [
    Swap(
        "not-rescaled",
        "with the betas of 1000 steps, whatever T is",
        "the factor 1000 / T: a short chain has to get as far as a long one",
        " * (1000 / steps)",
        "",
    ),
    Swap(
        "rescaled-the-other-way",
        "with the factor T / 1000",
        "which chain needs the larger steps, the short or the long one",
        "1000 / steps",
        "steps / 1000",
    ),
    Swap(
        "root-line",
        "with a straight line in √β, which is the table of latent diffusion",
        "what is evenly spaced: the betas themselves",
        "torch.linspace(first, last, steps, dtype=torch.float64)",
        "torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64) ** 2",
    ),
    Swap(
        "log-line",
        "with a straight line in log β",
        "what is evenly spaced: the betas themselves",
        "torch.linspace(first, last, steps, dtype=torch.float64)",
        "first * (last / first) ** torch.linspace(0, 1, steps, dtype=torch.float64)",
    ),
    Swap(
        "one-too-many",
        "with T + 1 betas",
        "how many steps there are: β_1 ... β_T",
        "first, last, steps,",
        "first, last, steps + 1,",
    ),
    Swap(
        "only-the-end-rescaled",
        "with the first beta left as it is and the last one rescaled",
        "the factor 1000 / T: each beta has it",
        "torch.linspace(first, last, steps, dtype=torch.float64) * (1000 / steps)",
        "torch.linspace(first, last * 1000 / steps, steps, dtype=torch.float64)",
    ),
]


@wrong("with a line that stops one step short of `last`", "the last beta, which is to be `last` (times 1000 / T)")
def short_of_the_end(steps: int, first: float = 1e-4, last: float = 0.02) -> Tensor:
    return (first + (last - first) * torch.arange(steps, dtype=torch.float64) / steps) * (1000 / steps)


@wrong("with a line that begins one step after `first`", "the first beta, which is to be `first` (times 1000 / T)")
def after_the_start(steps: int, first: float = 1e-4, last: float = 0.02) -> Tensor:
    return (first + (last - first) * torch.arange(1, steps + 1, dtype=torch.float64) / steps) * (1000 / steps)


@right
def by_a_loop(steps: int, first: float = 1e-4, last: float = 0.02) -> list[float]:
    beta, found = first, []
    for _ in range(steps):
        found.append(beta * 1000 / steps)
        beta += (last - first) / (steps - 1)
    return found


@right
def by_numpy(steps: int, first: float = 1e-4, last: float = 0.02) -> NDArray[np.float64]:
    scale = 1000 / steps
    return np.linspace(scale * first, scale * last, steps)


@right
def by_shares(steps: int, first: float = 1e-4, last: float = 0.02) -> Tensor:
    share = torch.arange(steps) / (steps - 1)
    return 1000 / steps * torch.lerp(torch.full((steps,), first), torch.full((steps,), last), share)
