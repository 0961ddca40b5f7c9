"""Held to the package's variance between two levels."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.core.diffusion import bound
from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def learned_variance(share: Tensor, abar_t: float, abar_s: float) -> Tensor:
    """The variance of p(x_s | x_t) where a network says how far it lies from β̃ to β, in its logarithm.

    β = 1 − ᾱ_t/ᾱ_s is the variance of the forward step, β̃ = β (1 − ᾱ_s)/(1 − ᾱ_t) that of the posterior.

    share:          [B, ...], v of the paper for each number: 0 is β̃, 1 is β, and nothing is cut off beyond them
    abar_t, abar_s: ᾱ at t and at an earlier s, numbers with 0 < abar_t < abar_s < 1

    Returns the variance (not its logarithm, not the standard deviation), like share.
    """
    beta = 1 - abar_t / abar_s
    tilde = beta * (1 - abar_s) / (1 - abar_t)
    return torch.exp(share * math.log(beta) + (1 - share) * math.log(tilde))


def truth(share: Tensor, abar_t: float, abar_s: float) -> Tensor:
    t, s = (Level.of(abar**0.5, (1 - abar) ** 0.5) for abar in (abar_t, abar_s))
    return bound.reverse_variance("learned", t, s, fraction=share)


def questions(ask: Ask) -> Iterator[Seen]:
    share = torch.tensor([[0.0, 0.3, 1.0], [0.5, 0.9, 0.1]])
    for abar_t, abar_s in ((0.4, 0.7), (0.5, 0.98)):
        yield Seen(f"shares {share.tolist()}, ᾱ_t = {abar_t:g}, ᾱ_s = {abar_s:g}", ask(share, abar_t, abar_s))
    beyond = torch.tensor([[[-0.2, 1.5]]])
    yield Seen("shares -0.2 and 1.5, beyond both ends, ᾱ_t = 0.2, ᾱ_s = 0.9", ask(beyond, 0.2, 0.9))


WRONG = [
    Swap("alpha-for-abar", "with 1 − ᾱ_t for β", "how β follows from two values of ᾱ",
         "beta = 1 - abar_t / abar_s", "beta = 1 - abar_t"),
    Swap("ends-exchanged", "with β̃ at 1 and β at 0", "the docstring: 0 is β̃",
         "share * math.log(beta) + (1 - share) * math.log(tilde)",
         "share * math.log(tilde) + (1 - share) * math.log(beta)"),
    Swap("log-variance", "with the logarithm of the variance", "what is returned",
         "torch.exp(share * math.log(beta) + (1 - share) * math.log(tilde))",
         "share * math.log(beta) + (1 - share) * math.log(tilde)"),
    Swap("std", "with the standard deviation", "what is returned: the variance",
         "math.log(tilde))", "math.log(tilde)).sqrt()"),
    Swap("tilde-turned", "with β̃ upside down", "β̃, which is smaller than β",
         "(1 - abar_s) / (1 - abar_t)", "(1 - abar_t) / (1 - abar_s)"),
]  # fmt: skip


@wrong("with the variance itself on a line between β̃ and β", "what is interpolated: the logarithm")
def linear(share: Tensor, abar_t: float, abar_s: float) -> Tensor:
    beta = 1 - abar_t / abar_s
    return share * beta + (1 - share) * beta * (1 - abar_s) / (1 - abar_t)


@wrong("with shares held to [0, 1]", "the docstring: nothing is cut off")
def held(share: Tensor, abar_t: float, abar_s: float) -> Tensor:
    return learned_variance(share.clamp(0, 1), abar_t, abar_s)


@wrong("with shares read as numbers from −1 to 1, as some networks put them out",
       "the docstring: 0 is β̃, 1 is β")  # fmt: skip
def from_minus_one(share: Tensor, abar_t: float, abar_s: float) -> Tensor:
    return learned_variance((share + 1) / 2, abar_t, abar_s)


@right
def by_powers(share: Tensor, abar_t: float, abar_s: float) -> Tensor:
    return (1 - abar_t / abar_s) * ((1 - abar_s) / (1 - abar_t)) ** (1 - share)


@right
def by_lerp(share: Tensor, abar_t: float, abar_s: float) -> Tensor:
    beta = torch.tensor(1 - abar_t / abar_s)
    tilde = beta * (1 - abar_s) / (1 - abar_t)
    return torch.lerp(tilde.log().expand_as(share), beta.log().expand_as(share), share).exp()


@right
def by_numpy(share: Tensor, abar_t: float, abar_s: float) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    beta = np.float64(abar_s - abar_t) / abar_s
    tilde = beta * (1 - abar_s) / (1 - abar_t)
    weights = share.double().numpy()
    found: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = np.power(beta, weights) * np.power(tilde, 1 - weights)
    return found
