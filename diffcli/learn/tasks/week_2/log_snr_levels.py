"""Held to the package's schedule `log-snr`, and to what comes back as the log-SNR."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion.schedules import LogSNR
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def log_snr_levels(t: Tensor, most: float, least: float) -> Tensor:
    """The schedule with α² + σ² = 1 whose log-SNR, log(α²/σ²), falls along a straight line.

    t:     [B], times; 0 is next to the data, 1 is the noisiest
    most:  the log-SNR at t = 0, in nats (a natural logarithm)
    least: the log-SNR at t = 1, below `most`

    Returns one tensor [2, B]: α, then σ. Use functions of torch, so that derivatives by t pass through.
    """
    log_snr = most + t * (least - most)
    return torch.stack([log_snr.sigmoid().sqrt(), (-log_snr).sigmoid().sqrt()])


def questions(ask: Ask) -> Iterator[Seen]:
    t = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0], dtype=torch.float64)
    for most, least in ((6.0, -4.0), (13.3, -6.0), (2.0, 1.0)):
        yield Seen(f"t = {t.tolist()}, log-SNR from {most:g} to {least:g}", ask(t, most, least))
    alpha, sigma = (torch.as_tensor(row).double() for row in ask(t, 8.0, -5.0))
    back = 2 * (alpha.log() - sigma.log())
    yield Seen("log(α²/σ²) of the answer, log-SNR from 8 to -5, which should be 8 − 13 t", back, within=1e-2)
    asked = "the derivatives of α + σ by t, log-SNR from 6 to -4"
    yield Seen(asked, ask(t.clone().requires_grad_(True), 6.0, -4.0, want="gradients"))


def truth(t: Tensor, most: float, least: float) -> Tensor:
    return torch.stack(list(LogSNR(most, least)(t)))


WRONG = [
    Swap(
        "no-root",
        "with α² and σ² for α and σ",
        "what is a sigmoid of the log-SNR: the variance, or its root",
        "[log_snr.sigmoid().sqrt(), (-log_snr).sigmoid().sqrt()]",
        "[log_snr.sigmoid(), (-log_snr).sigmoid()]",
    ),
    Swap(
        "half-in-the-sigmoid",
        "with sigmoid(λ/2) for the root of sigmoid(λ)",
        "the root: it is taken of the sigmoid, not of what stands in it",
        "[log_snr.sigmoid().sqrt(), (-log_snr).sigmoid().sqrt()]",
        "[(log_snr / 2).sigmoid(), (-log_snr / 2).sigmoid()]",
    ),
    Swap(
        "half-log-snr",
        "if log(α/σ) runs along the line: half of the log-SNR, the λ of DPM-Solver",
        "the definition: α and σ are squared in it",
        "log_snr = most + t * (least - most)",
        "log_snr = 2 * (most + t * (least - most))",
    ),
    Swap(
        "swapped",
        "with signal and noise exchanged",
        "which of the two is large at t = 0",
        "log_snr.sigmoid().sqrt(), (-log_snr).sigmoid().sqrt()",
        "(-log_snr).sigmoid().sqrt(), log_snr.sigmoid().sqrt()",
    ),
    Swap(
        "time-turned",
        "with time turned round",
        "where the data are: at t = 0",
        "most + t * (least - most)",
        "least + t * (most - least)",
    ),
    Swap(
        "sigma-as-the-rest",
        "with σ = 1 − α, so that α² + σ² is not 1",
        "what adds up to 1: the variances",
        "(-log_snr).sigmoid().sqrt()",
        "1 - log_snr.sigmoid().sqrt()",
    ),
    Swap(
        "decibels",
        "with a logarithm to base 10",
        "the unit: nats",
        "log_snr = most + t * (least - most)",
        "log_snr = (most + t * (least - most)) * 2.302585092994046",
    ),
]


@wrong("if log σ² and not the log-SNR runs along a line", "what falls evenly: the ratio, not the noise alone")
def even_noise(t: Tensor, most: float, least: float) -> Tensor:
    first, last = (torch.tensor(-value, dtype=t.dtype).sigmoid().log() for value in (most, least))
    variance = (first + t * (last - first)).exp()
    return torch.stack([(1 - variance).clamp(min=0).sqrt(), variance.sqrt()])


@right
def by_exponentials(t: Tensor, most: float, least: float) -> Tensor:
    snr = torch.exp((1 - t) * most + t * least)
    return torch.stack([torch.sqrt(snr / (1 + snr)), torch.sqrt(1 / (1 + snr))])


@right
def by_angle(t: Tensor, most: float, least: float) -> Tensor:
    angle = torch.atan(torch.exp(-(most - t * (most - least)) / 2))
    return torch.stack([angle.cos(), angle.sin()])


@right
def one_from_the_other(t: Tensor, most: float, least: float) -> Tensor:
    alpha = (1 / (1 + torch.exp(-most + t * (most - least)))) ** 0.5
    return torch.stack((alpha, (1 - alpha**2) ** 0.5))
