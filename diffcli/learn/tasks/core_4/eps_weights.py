"""Held to the term of the bound itself: what an error of 1 in ε adds to it."""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from diffcli.core.diffusion import bound
from diffcli.core.diffusion.tables import linear_betas
from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def eps_weights(betas: Tensor, kind: str) -> Tensor:
    """What the bound multiplies ‖ε − ε̂‖² by at each t, L_{t−1} = weight · ‖ε − ε̂‖² + constant (Ho et al. 2020, eq. 12).

    betas: [T], β_1 ... β_T, so betas[0] is β_1
    kind:  "small" if the variance σ_t² of the reverse step is β̃_t = β_t (1 − ᾱ_{t−1})/(1 − ᾱ_t), "large" if it is β_t

    Returns [T − 1]: the weights at t = 2 ... T, the first for t = 2. (t = 1 is the decoder's.)
    """
    alphas = 1 - betas
    abar = alphas.cumprod(0)
    before, abar, alphas, beta = abar[:-1], abar[1:], alphas[1:], betas[1:]
    variance = beta * (1 - before) / (1 - abar) if kind == "small" else beta
    return beta**2 / (2 * variance * alphas * (1 - abar))


def truth(betas: Tensor, kind: str) -> Tensor:
    abar, one, found = (1 - betas.double()).cumprod(0).tolist(), torch.ones(()).double(), []
    for before, here in pairwise(abar):
        t, s = (Level.of(value**0.5, (1 - value) ** 0.5) for value in (here, before))
        variance = bound.reverse_variance(kind, t, s)
        nats = [bound.transition(0 * one, error * t.sigma / t.alpha, t, s, variance) for error in (0.0, 1.0)]
        found.append(nats[1] - nats[0])
    return torch.stack(found)


def questions(ask: Ask) -> Iterator[Seen]:
    betas = torch.tensor([0.05, 0.1, 0.3, 0.2, 0.5], dtype=torch.float64)
    for kind in ("large", "small"):
        yield Seen(f'β = 0.05, 0.1, 0.3, 0.2, 0.5, "{kind}"', ask(betas, kind))
    table = linear_betas()
    for kind in ("large", "small"):
        weights = torch.as_tensor(ask(table, kind))
        yield Seen(f'the weights at t = 2, 100 and 1000 of DDPM\'s table, "{kind}"', weights[[0, 98, 998]])


WRONG = [
    Swap("alpha-for-abar", "with 1 − α_t = β_t in the place of 1 − ᾱ_t", "which of the two has a bar in eq. 12",
         "alphas * (1 - abar))", "alphas * (1 - alphas))"),
    Swap("abar-for-alpha", "with ᾱ_t in the place of α_t", "which of the two has a bar in eq. 12",
         "variance * alphas", "variance * abar"),
    Swap("beta-not-squared", "with β for β²", "the factor of ε in the mean, β_t/√(1 − ᾱ_t), which is squared",
         "return beta**2", "return beta"),
    Swap("abar-of-before", "with ᾱ_{t−1} for ᾱ_t outside of σ_t²", "the slices: 1 − ᾱ_t is that of t, abar[1:]",
         "(2 * variance * alphas * (1 - abar))", "(2 * variance * alphas * (1 - before))"),
    Swap("products-of-betas", "with ᾱ as the product of the β", "what is multiplied up: α_t = 1 − β_t",
         "abar = alphas.cumprod(0)", "abar = betas.cumprod(0)"),
    Swap("no-half", "without the factor ½", "the divergence of two Gaussians", "(2 * variance", "(variance"),
    Swap("std-for-variance", "with σ_t for σ_t²", "what the distance of two means is divided by",
         "2 * variance", "2 * variance**0.5"),
    Swap("tilde-turned", "with β̃ upside down",
         "β̃, which is smaller than β: the factor (1 − ᾱ_{t−1})/(1 − ᾱ_t) is below 1",
         "beta * (1 - before) / (1 - abar)", "beta * (1 - abar) / (1 - before)"),
    Swap("always-large", "with β for both kinds", "`kind`",
         ' if kind == "small" else beta', ' if kind == "?" else beta'),
    Swap("kinds-exchanged", "with β and β̃ exchanged", "which of the two is smaller: β̃", '== "small"', '!= "small"'),
]  # fmt: skip


@wrong(
    "with t = 1 ... T − 1, an index too early",
    "the docstring: the first weight is that of t = 2, which is at index 1 of betas",
)
def too_early(betas: Tensor, kind: str) -> Tensor:
    abar = (1 - betas).cumprod(0)
    before = torch.cat([torch.ones_like(abar[:1]), abar[:-1]])
    variance = betas * (1 - before) / (1 - abar) if kind == "small" else betas
    return (betas**2 / (2 * variance * (1 - betas) * (1 - abar)))[:-1]


@wrong(
    "with t = 1 ... T, all of them",
    "the docstring: from t = 2 on, as the step from t = 1 has β̃ = 0 and is the decoder's",
)
def from_one_on(betas: Tensor, kind: str) -> Tensor:
    abar = (1 - betas).cumprod(0)
    before = torch.cat([torch.ones_like(abar[:1]), abar[:-1]])
    variance = betas * (1 - before) / (1 - abar) if kind == "small" else betas
    return betas**2 / (2 * variance * (1 - betas) * (1 - abar))


@right
def by_snr(betas: Tensor, kind: str) -> Tensor:
    """With β̃ it is half of SNR_{t−1}/SNR_t − 1."""
    abar = torch.exp(torch.log1p(-betas.double()).cumsum(0))
    snr = abar / (1 - abar)
    small = (snr[:-1] / snr[1:] - 1) / 2
    return small if kind == "small" else small * (1 - abar[:-1]) / (1 - abar[1:])


@right
def by_a_loop(betas: Tensor, kind: str) -> list[float]:
    found, abar = [], 1.0
    for t, beta in enumerate(betas.tolist(), 1):
        before, abar = abar, abar * (1 - beta)
        if t == 1:
            continue
        variance = {"large": beta, "small": beta * (1 - before) / (1 - abar)}[kind]
        found.append(beta * beta / 2 / variance / (1 - beta) / (1 - abar))
    return found


@right
def by_x0(betas: Tensor, kind: str) -> Tensor:
    """An error of ε is √((1 − ᾱ)/ᾱ) of one in x0, of which the mean has √ᾱ_{t−1} β/(1 − ᾱ)."""
    abar = torch.cumprod(1 - betas, 0)
    here, before, beta = abar[1:], abar[:-1], betas[1:]
    of_mean = before.sqrt() * beta / (1 - here) * ((1 - here) / here).sqrt()
    variance = beta.clone()
    if kind == "small":
        variance *= (1 - before) / (1 - here)
    return of_mean.square() / variance / 2
