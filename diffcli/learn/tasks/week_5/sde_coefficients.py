"""Held to the log-SNR: g² is −σ² times its slope. The levels and slopes are those of the package's schedules."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion.schedules import VE, VP, Flow, Schedule, SubVP
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def sde_coefficients(alpha: Tensor, sigma: Tensor, alpha_rate: Tensor, sigma_rate: Tensor) -> Tensor:
    """Drift and diffusion of the SDE dx = f x dt + g dw whose law at every time is that of α x0 + σ ε.

    alpha, sigma:           [B], α and σ at B times, each above 0; σ is a standard deviation
    alpha_rate, sigma_rate: [B], their derivatives with respect to time, α′ and σ′, which may have any sign

    Returns [2, B]: f, then g² (not g).
    """
    f = alpha_rate / alpha
    g2 = 2 * sigma * sigma_rate - 2 * f * sigma**2
    return torch.stack([f, g2])


def questions(ask: Ask) -> Iterator[Seen]:
    t = torch.tensor([0.1, 0.4, 0.8], dtype=torch.float64)
    laws: dict[str, Schedule] = {
        "VP (f is −β/2 and g² is β)": VP(),
        "sub-VP": SubVP(),
        "VE (α is 1)": VE(),
        "the flow, α = 1 − t and σ = t": Flow(),
    }
    for name, schedule in laws.items():
        yield Seen(f"{name}, t = {t.tolist()}", ask(*schedule(t), *schedule.rates(t)))


def truth(alpha: Tensor, sigma: Tensor, alpha_rate: Tensor, sigma_rate: Tensor) -> Tensor:
    log_snr_rate = 2 * (alpha_rate / alpha - sigma_rate / sigma)
    return torch.stack([alpha_rate / alpha, -(sigma**2) * log_snr_rate])


WRONG = [
    Swap(
        "g-for-its-square",
        "with g where g² is asked for",
        "the second of the two that are returned",
        "torch.stack([f, g2])",
        "torch.stack([f, g2.abs().sqrt()])",
    ),
    Swap(
        "rate-of-sigma",
        "with σ σ′ for the derivative of σ², which is 2 σ σ′",
        "the chain rule",
        "2 * sigma * sigma_rate",
        "sigma * sigma_rate",
    ),
    Swap(
        "rate-of-the-std",
        "with σ′ for (σ²)′, which is 2 σ σ′",
        "what the second equation is about: a variance, σ², and how it changes",
        "2 * sigma * sigma_rate",
        "sigma_rate",
    ),
    Swap(
        "square-of-the-rate",
        "with σ′² for (σ²)′, which is 2 σ σ′",
        "what is squared first: σ, and then comes the derivative",
        "2 * sigma * sigma_rate",
        "sigma_rate**2",
    ),
    Swap(
        "variance-for-std",
        "if sigma is taken for a variance",
        "what sigma is: a standard deviation, and the formula has its square",
        "2 * sigma * sigma_rate - 2 * f * sigma**2",
        "sigma_rate - 2 * f * sigma",
    ),
    Swap(
        "drift-once",
        "with f σ² for 2 f σ²",
        "what the drift alone does to a variance: x and x are both multiplied",
        "2 * f * sigma**2",
        "f * sigma**2",
    ),
    Swap(
        "no-drift-in-the-variance",
        "without what the drift does to the variance",
        "the equation of the variance, d Var/dt = 2 f Var + g²",
        " - 2 * f * sigma**2",
        "",
    ),
    Swap(
        "drift-of-the-variance",
        "with (α²)′/α² for α′/α",
        "what multiplies x, not x²",
        "f = alpha_rate / alpha",
        "f = 2 * alpha_rate / alpha",
    ),
    Swap(
        "sign-of-the-drift",
        "with the wrong sign in the variance",
        "which side of the equation 2 f σ² is on",
        "- 2 * f",
        "+ 2 * f",
    ),
]


@wrong("with α′ itself as the drift", "f, which multiplies x: the mean α x0 has to change by α′ x0")
def undivided(alpha: Tensor, sigma: Tensor, alpha_rate: Tensor, sigma_rate: Tensor) -> Tensor:
    return torch.stack([alpha_rate, 2 * sigma * sigma_rate - 2 * alpha_rate * sigma**2])


@right
def by_the_noise_level(alpha: Tensor, sigma: Tensor, alpha_rate: Tensor, sigma_rate: Tensor) -> Tensor:
    ratio_rate = (sigma_rate * alpha - sigma * alpha_rate) / alpha**2
    return torch.stack([alpha_rate / alpha, 2 * alpha * sigma * ratio_rate])


@right
def time_by_time(alpha: Tensor, sigma: Tensor, alpha_rate: Tensor, sigma_rate: Tensor) -> list[list[float]]:
    drifts, diffusions = [], []
    for a, s, da, ds in zip(alpha.tolist(), sigma.tolist(), alpha_rate.tolist(), sigma_rate.tolist(), strict=True):
        drifts.append(da / a)
        diffusions.append(2 * s * (ds - s * da / a))
    return [drifts, diffusions]


@right
def by_numpy(alpha: Tensor, sigma: Tensor, alpha_rate: Tensor, sigma_rate: Tensor) -> Tensor:
    import numpy as np

    a, s, da, ds = (np.asarray(value) for value in (alpha, sigma, alpha_rate, sigma_rate))
    variance_rate = 2 * s * ds
    return torch.from_numpy(np.stack([da / a, variance_rate - 2 * (da / a) * s**2]))
