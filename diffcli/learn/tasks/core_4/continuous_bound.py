"""Held to the same rule written out piece by piece, and to the closed form for Gaussian data."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def continuous_bound(alpha: Tensor, sigma: Tensor, eps_error: Tensor) -> Tensor:
    """The bound's sum over steps for endlessly many steps, ½ ∫ E‖ε − ε̂‖² dλ over the log-SNR λ = log(α²/σ²), in nats.

    The levels are given from data to noise, so λ falls along the tensors; the integral is over rising λ, and is
    positive. They lie close together but not evenly in anything: use the trapezoidal rule.

    alpha, sigma: [N], float64, the levels x = α x0 + σ ε, above 0; α² + σ² may be anything
    eps_error:    [N], float64, E‖ε − ε̂‖² at each level: the expected squared error of ε, summed over an item's numbers

    Returns a number.
    """
    log_snr = 2 * (alpha.log() - sigma.log())
    return 0.5 * torch.trapezoid(eps_error.flip(0), log_snr.flip(0))


def truth(alpha: Tensor, sigma: Tensor, eps_error: Tensor) -> Tensor:
    """The mean error of both ends of each piece, times its width in log(α/σ), which is half of that in λ."""
    half_log_snr, error = (alpha / sigma).log().numpy(), eps_error.numpy()
    return torch.tensor(((half_log_snr[:-1] - half_log_snr[1:]) * (error[:-1] + error[1:]) / 2).sum())


def questions(ask: Ask) -> Iterator[Seen]:
    std, numbers, t = 0.7, 3, torch.linspace(0.02, 0.95, 3001, dtype=torch.float64)
    schedules = {
        "α = cos(πt/2), σ = sin(πt/2)": (torch.cos(math.pi / 2 * t), torch.sin(math.pi / 2 * t)),
        "α = 1 − t, σ = t": (1 - t, t),
        "α = 1, σ = 0.03 · 400^t": (torch.ones_like(t), 0.03 * 400**t),
    }
    for name, (alpha, sigma) in schedules.items():
        snr = (alpha / sigma) ** 2
        error = numbers * std**2 * snr / (1 + std**2 * snr)
        found = torch.as_tensor(ask(alpha, sigma, error))
        yield Seen(f"{name}, 3001 levels, the error of the best model for N(0, 0.7²) in three dimensions", found)
        closed = numbers / 2 * torch.log((1 + std**2 * snr[0]) / (1 + std**2 * snr[-1]))
        yield Seen(f"{name}: the same, less the closed form", found - closed, within=1e-3)


WRONG = [
    Swap("falling", "with the integral from data to noise, which is negative", "the direction: λ has to rise",
         "eps_error.flip(0), log_snr.flip(0)", "eps_error, log_snr"),
    Swap("no-half", "without the factor ½", "the formula: half of the integral", "0.5 * torch", "torch"),
    Swap("half-log-snr", "with λ = log(α/σ), which is half of the log-SNR", "the docstring: λ = log(α²/σ²)",
         "2 * (alpha.log() - sigma.log())", "(alpha.log() - sigma.log())"),
    Swap("falling-half-log-snr", "with λ = log(α/σ), half of the log-SNR, and from data to noise, where λ falls",
         "two things: λ = log(α²/σ²), and the direction, in which it has to rise",
         "2 * (alpha.log() - sigma.log())\n    return 0.5 * torch.trapezoid(eps_error.flip(0), log_snr.flip(0))",
         "(alpha.log() - sigma.log())\n    return 0.5 * torch.trapezoid(eps_error, log_snr)"),
    Swap("base-ten", "with the logarithm to base 10", "the unit: nats, so the natural logarithm",
         "2 * (alpha.log() - sigma.log())", "2 * (alpha.log10() - sigma.log10())"),
    Swap("snr-for-log-snr", "with the error of ε integrated over SNR, not over its logarithm",
         "which error goes with which variable: that of x0 with SNR, that of ε with log-SNR",
         "2 * (alpha.log() - sigma.log())", "(alpha / sigma) ** 2"),
]  # fmt: skip


@wrong(
    "with an even grid in time, where the error is averaged over t",
    "what is integrated over: λ, by its own differences",
)
def over_time(alpha: Tensor, sigma: Tensor, eps_error: Tensor) -> Tensor:
    return 0.5 * eps_error.mean()


@wrong("with the plain sum over the levels", "the width of each piece in λ")
def summed(alpha: Tensor, sigma: Tensor, eps_error: Tensor) -> Tensor:
    return 0.5 * eps_error.sum()


@wrong("with the SNR of amplitudes, α/σ, for the squared one, and the error of x0", "what SNR is: α²/σ²")
def amplitudes(alpha: Tensor, sigma: Tensor, eps_error: Tensor) -> Tensor:
    ratio = alpha / sigma
    return -0.5 * torch.trapezoid(eps_error / ratio**2, ratio)


@wrong("with the error at the noisier end of each piece: the bound of N − 1 steps with β̃, not yet its limit",
       "the trapezoidal rule: the mean of both ends")  # fmt: skip
def left_sum(alpha: Tensor, sigma: Tensor, eps_error: Tensor) -> Tensor:
    snr = (alpha / sigma) ** 2
    return 0.5 * ((eps_error / snr)[1:] * (snr[:-1] - snr[1:])).sum()


@wrong("with the error at the noisier end of each piece alone", "the trapezoidal rule: the mean of both ends")
def noisier_end(alpha: Tensor, sigma: Tensor, eps_error: Tensor) -> Tensor:
    log_snr = 2 * (alpha / sigma).log()
    return 0.5 * (eps_error[1:] * (log_snr[:-1] - log_snr[1:])).sum()


@wrong("with the error at the cleaner end of each piece alone", "the trapezoidal rule: the mean of both ends")
def cleaner_end(alpha: Tensor, sigma: Tensor, eps_error: Tensor) -> Tensor:
    log_snr = 2 * (alpha / sigma).log()
    return 0.5 * (eps_error[:-1] * (log_snr[:-1] - log_snr[1:])).sum()


@wrong("with levels taken for even in λ", "the width of each piece, which differs: λ by its own differences")
def even_in_log_snr(alpha: Tensor, sigma: Tensor, eps_error: Tensor) -> Tensor:
    log_snr = 2 * (alpha / sigma).log()
    width = (log_snr[0] - log_snr[-1]) / (len(log_snr) - 1)
    return 0.5 * width * torch.trapezoid(eps_error)


@right
def by_numpy(alpha: Tensor, sigma: Tensor, eps_error: Tensor) -> float:
    log_snr = np.log(alpha.numpy() ** 2 / sigma.numpy() ** 2)
    pieces = (log_snr[:-1] - log_snr[1:]) * (eps_error.numpy()[:-1] + eps_error.numpy()[1:]) / 2
    return float(pieces.sum() / 2)


@right
def by_a_loop(alpha: Tensor, sigma: Tensor, eps_error: Tensor) -> float:
    total, before = 0.0, None
    for a, s, e in zip(alpha.tolist(), sigma.tolist(), eps_error.tolist(), strict=True):
        here = (math.log((a / s) ** 2), e)
        if before is not None:
            total += (before[0] - here[0]) * (before[1] + here[1]) / 2
        before = here
    return total / 2


@right
def over_snr(alpha: Tensor, sigma: Tensor, eps_error: Tensor) -> Tensor:
    snr = alpha**2 / sigma**2
    x0_error = eps_error * sigma**2 / alpha**2
    return torch.trapezoid(x0_error.flip(0), snr.flip(0)) / 2
