"""Held to the posterior's variance between two levels, as the package has it."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.levels import Level, bridge
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def ddim_sigma(abar_t: Tensor, abar_s: Tensor, eta: float) -> Tensor:
    """The standard deviation of the fresh noise in DDIM's step from t to an earlier s (Song et al. 2021, eq. 16).

    abar_t, abar_s: [N], ᾱ at t and at s for N steps, 0 < abar_t < abar_s <= 1 (the DDIM paper writes α for this ᾱ)
    eta:            0 for no noise, 1 for as much as DDPM with the variance β̃ has

    Returns [N]: standard deviations, not variances; 0 where abar_s is 1.
    """
    return eta * ((1 - abar_s) / (1 - abar_t)).sqrt() * (1 - abar_t / abar_s).sqrt()


def truth(abar_t: Tensor, abar_s: Tensor, eta: float) -> Tensor:
    t, s = (Level(abar.sqrt(), (1 - abar).sqrt()) for abar in (abar_t, abar_s))
    return eta * bridge(t, s).variance.sqrt()


def questions(ask: Ask) -> Iterator[Seen]:
    abar_t = torch.tensor([0.1, 0.3, 0.8, 0.5], dtype=torch.float64)
    abar_s = torch.tensor([0.2, 0.9, 0.81, 1.0], dtype=torch.float64)
    for eta in (1.0, 0.4, 0.0):
        yield Seen(f"ᾱ_t = 0.1, 0.3, 0.8, 0.5, ᾱ_s = 0.2, 0.9, 0.81, 1, η = {eta:g}", ask(abar_t, abar_s, eta))


WRONG = [
    Swap("variance", "with the variance in the place of the standard deviation", "the two roots of eq. 16",
         "eta * ((1 - abar_s) / (1 - abar_t)).sqrt() * (1 - abar_t / abar_s).sqrt()",
         "eta * ((1 - abar_s) / (1 - abar_t)) * (1 - abar_t / abar_s)"),
    Swap("beta", "with β for β̃, which is σ̂ of the paper for η = 1 and far too much for few steps",
         "the first root of eq. 16", " * ((1 - abar_s) / (1 - abar_t)).sqrt()", ""),
    Swap("first-root-only", "with the first root of eq. 16 alone", "the second root: 1 − ᾱ_t/ᾱ_s",
         " * (1 - abar_t / abar_s).sqrt()", ""),
    Swap("times-exchanged", "with s and t exchanged in the first root",
         "which of the two times is the cleaner one: the root is below 1",
         "(1 - abar_s) / (1 - abar_t)", "(1 - abar_t) / (1 - abar_s)"),
    Swap("alpha-for-abar", "with 1 − ᾱ_t for 1 − ᾱ_t/ᾱ_s", "what one step adds, which is a ratio of two values of ᾱ",
         "(1 - abar_t / abar_s)", "(1 - abar_t)"),
    Swap("eta-under-root", "with η under the root", "η is a factor of the standard deviation",
         "eta * ((1", "eta**0.5 * ((1"),
    Swap("eta-squared", "with η², which is the factor of the variance", "η is a factor of the standard deviation",
         "eta * ((1", "eta**2 * ((1"),
]  # fmt: skip


@wrong("without η, as if it were always 1", "`eta`")
def always_ddpm(abar_t: Tensor, abar_s: Tensor, eta: float) -> Tensor:
    return ddim_sigma(abar_t, abar_s, 1.0)


@right
def by_beta_tilde(abar_t: Tensor, abar_s: Tensor, eta: float) -> Tensor:
    beta = 1 - abar_t / abar_s
    return eta * torch.sqrt(beta * (1 - abar_s) / (1 - abar_t))


@right
def by_a_list(abar_t: Tensor, abar_s: Tensor, eta: float) -> list[float]:
    pairs = zip(abar_t.tolist(), abar_s.tolist(), strict=True)
    return [eta * ((s - t) * (1 - s) / (s * (1 - t))) ** 0.5 for t, s in pairs]


@right
def by_snr(abar_t: Tensor, abar_s: Tensor, eta: float) -> Tensor:
    """σ_s² (1 − SNR_t/SNR_s) is the same variance."""
    noise_t, noise_s = 1 - abar_t, 1 - abar_s
    shrunk = abar_t * noise_s / (noise_t * abar_s)
    return (eta**2 * noise_s * (1 - shrunk)).sqrt()
