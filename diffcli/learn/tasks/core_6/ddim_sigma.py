"""Held to the posterior's variance between two levels, as the package has it."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.levels import Level, bridge
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def ddim_sigma(abar_t: float, abar_s: float, eta: float) -> float:
    """The standard deviation of the fresh noise in DDIM's step from t to an earlier s (Song et al. 2021, eq. 16).

    abar_t, abar_s: ᾱ at t and at s, numbers, 0 < abar_t < abar_s <= 1 (the DDIM paper writes α for this ᾱ)
    eta:            0 for no noise, 1 for as much as DDPM with the variance β̃ has

    Returns a number: a standard deviation, not a variance; 0 if abar_s is 1.
    """
    return eta * math.sqrt((1 - abar_s) / (1 - abar_t)) * math.sqrt(1 - abar_t / abar_s)


def truth(abar_t: float, abar_s: float, eta: float) -> Tensor:
    t, s = (Level.of(abar**0.5, (1 - abar) ** 0.5) for abar in (abar_t, abar_s))
    return eta * bridge(t, s).variance.sqrt()


def questions(ask: Ask) -> Iterator[Seen]:
    for eta in (1.0, 0.4, 0.0):
        for abar_t, abar_s in ((0.1, 0.2), (0.3, 0.9), (0.8, 0.81), (0.5, 1.0)):
            yield Seen(f"ᾱ_t = {abar_t:g}, ᾱ_s = {abar_s:g}, η = {eta:g}", ask(abar_t, abar_s, eta))


WRONG = [
    Swap("variance", "with the variance in the place of the standard deviation", "the two roots of eq. 16",
         "eta * math.sqrt((1 - abar_s) / (1 - abar_t)) * math.sqrt(1 - abar_t / abar_s)",
         "eta * ((1 - abar_s) / (1 - abar_t)) * (1 - abar_t / abar_s)"),
    Swap("beta", "with β for β̃, which is σ̂ of the paper for η = 1 and far too much for few steps",
         "the first root of eq. 16", " * math.sqrt((1 - abar_s) / (1 - abar_t))", ""),
    Swap("first-root-only", "with the first root of eq. 16 alone", "the second root: 1 − ᾱ_t/ᾱ_s",
         " * math.sqrt(1 - abar_t / abar_s)", ""),
    Swap("times-exchanged", "with s and t exchanged in the first root",
         "which of the two times is the cleaner one: the root is below 1",
         "(1 - abar_s) / (1 - abar_t)", "(1 - abar_t) / (1 - abar_s)"),
    Swap("alpha-for-abar", "with 1 − ᾱ_t for 1 − ᾱ_t/ᾱ_s", "what one step adds, which is a ratio of two values of ᾱ",
         "(1 - abar_t / abar_s)", "(1 - abar_t)"),
    Swap("eta-under-root", "with η under the root", "where η stands: it is a factor of the standard deviation",
         "eta * math", "eta**0.5 * math"),
    Swap("eta-squared", "with η², which is the factor of the variance",
         "where η stands: it is a factor of the standard deviation", "eta * math", "eta**2 * math"),
]  # fmt: skip


@wrong("without η, as if it were always 1", "`eta`")
def always_ddpm(abar_t: float, abar_s: float, eta: float) -> float:
    return ddim_sigma(abar_t, abar_s, 1.0)


@right
def by_beta_tilde(abar_t: float, abar_s: float, eta: float) -> float:
    beta = 1 - abar_t / abar_s
    return float(eta * (beta * (1 - abar_s) / (1 - abar_t)) ** 0.5)


@right
def by_tensors(abar_t: float, abar_s: float, eta: float) -> Tensor:
    t, s = torch.tensor([abar_t, abar_s], dtype=torch.float64)
    return eta * ((s - t) * (1 - s) / (s * (1 - t))).sqrt()


@right
def by_snr(abar_t: float, abar_s: float, eta: float) -> float:
    """σ_s² (1 − SNR_t/SNR_s) is the same variance."""
    noise_t, noise_s = 1 - abar_t, 1 - abar_s
    shrunk = abar_t * noise_s / (noise_t * abar_s)
    return math.sqrt(eta**2 * noise_s * (1 - shrunk))
