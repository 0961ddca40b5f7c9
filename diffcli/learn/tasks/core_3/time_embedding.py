"""Held to sines and cosines computed number by number in double precision."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def time_embedding(t: Tensor, size: int, longest: float) -> Tensor:
    """Sines and cosines of a time, fast ones and slow ones: how a network is told how noisy its input is.

    t:        [B], numbers; in DDPM the steps 1 ... T themselves, not divided by T
    size:     of the embedding, an even number
    longest:  a number above 1. The frequencies are ω_k = longest^(−2k / size) in radians per unit of t, for
              k = 0 ... size/2 − 1: the first is 1, and each is the same factor below the one before

    Returns [B, size]: sin(ω_k t) for all k, and behind them cos(ω_k t) for all k.
    """
    frequencies = longest ** (-2 * torch.arange(size // 2) / size)
    phase = t.unsqueeze(1) * frequencies
    return torch.cat([phase.sin(), phase.cos()], dim=1)


def truth(t: Tensor, size: int, longest: float) -> Tensor:
    rows = []
    for time in t.tolist():
        phases = [time * math.exp(-2 * k * math.log(longest) / size) for k in range(size // 2)]
        rows.append([math.sin(p) for p in phases] + [math.cos(p) for p in phases])
    return torch.tensor(rows, dtype=torch.float64)


def questions(ask: Ask) -> Iterator[Seen]:
    yield Seen("t = [0, 1, 2.5], size 6, longest 10,000", ask(torch.tensor([0.0, 1.0, 2.5]), 6, 10_000.0))
    yield Seen("t = [3, 40], size 8, longest 100", ask(torch.tensor([3.0, 40.0]), 8, 100.0))
    yield Seen("t = [200], size 32, longest 10,000", ask(torch.tensor([200.0]), 32, 10_000.0))


WRONG = [
    Swap("cosines-first", "with the cosines before the sines", "the order of the two halves",
         "[phase.sin(), phase.cos()]", "[phase.cos(), phase.sin()]"),
    Swap("interleaved", "with sine and cosine of each frequency side by side, as in the transformer",
         "the order: all sines, then all cosines",
         "torch.cat([phase.sin(), phase.cos()], dim=1)", "torch.stack([phase.sin(), phase.cos()], dim=2).flatten(1)"),
    Swap("no-two", "with −k / size in the exponent, so that the slowest wave is not slow enough",
         "the factor 2 in the exponent: k goes up to size/2 only", "-2 * torch.arange", "-1 * torch.arange"),
    Swap("growing", "with frequencies that grow", "the sign of the exponent", "(-2 * ", "(2 * "),
    Swap("last-is-longest", "when the last frequency is 1 / longest itself, as in DDPM's code",
         "the denominator: size/2 counts, not size/2 − 1",
         "-2 * torch.arange(size // 2) / size", "-torch.arange(size // 2) / (size // 2 - 1)"),
    Swap("cycles", "with frequencies in cycles, not in radians", "a factor 2π that should not be there",
         "t.unsqueeze(1) * frequencies", "2 * torch.pi * t.unsqueeze(1) * frequencies"),
]  # fmt: skip


@wrong("with frequencies evenly apart, so that the slow ones are missing", "the factor between each and the one before")
def evenly(t: Tensor, size: int, longest: float) -> Tensor:
    phase = t.unsqueeze(1) * torch.linspace(1, 1 / longest, size // 2)
    return torch.cat([phase.sin(), phase.cos()], dim=1)


@right
def by_numpy(t: Tensor, size: int, longest: float) -> np.ndarray:
    phase = np.outer(t.numpy().astype(np.float64), longest ** (-np.arange(0, size, 2) / size))
    return np.concatenate([np.sin(phase), np.cos(phase)], axis=1)


@right
def on_the_circle(t: Tensor, size: int, longest: float) -> Tensor:
    rate = math.log(longest) / (size // 2)
    turned = torch.exp(1j * t.double()[:, None] * torch.exp(-rate * torch.arange(size // 2).double()))
    return torch.cat([turned.imag, turned.real], dim=1).float()


@right
def column_by_column(t: Tensor, size: int, longest: float) -> Tensor:
    found = torch.zeros(len(t), size)
    for k in range(size // 2):
        found[:, k] = torch.sin(t / longest ** (2 * k / size))
        found[:, k + size // 2] = torch.cos(t / longest ** (2 * k / size))
    return found
