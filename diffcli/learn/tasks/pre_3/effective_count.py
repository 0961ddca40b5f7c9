"""The truth has its autocorrelation from a Fourier transform."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.metrics.statistics import autocorrelation


def effective_count(chain: Tensor, lags: int) -> float:
    """How many independent draws a chain of N states is worth: N / τ, with its autocorrelation time τ.

    τ = 1 + 2 (ρ_1 + ρ_2 + ... + ρ_lags), where ρ_k is the autocorrelation at lag k: the sum of
    (x_i − m)(x_{i+k} − m) over all N − k pairs of states, divided by the sum of (x_i − m)² over all N states. m is the
    mean of the chain. Neither sum is divided by the number of its terms.

    chain: [N], float64
    lags:  how many enter the sum, less than N

    Returns a number.
    """
    centred = chain - chain.mean()
    time = 1.0
    for k in range(1, lags + 1):
        rho = (centred[k:] * centred[:-k]).sum() / (centred**2).sum()
        time += 2 * rho.item()
    return len(chain) / time


def truth(chain: Tensor, lags: int) -> float:
    rho = autocorrelation(chain.unsqueeze(1))
    return len(chain) / (2 * rho[: lags + 1].sum().item() - 1)


def autoregression(rho: float, count: int, seed: int) -> Tensor:
    """A chain around 3."""
    noise = torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = noise.clone()
    for n in range(1, count):
        x[n] = rho * x[n - 1] + (1 - rho**2) ** 0.5 * noise[n]
    return 3 + x


def questions(ask: Ask) -> Iterator[Seen]:
    small = torch.tensor([1.0, 2.0, 4.0, 3.0, 1.0, 0.0, 2.0], dtype=torch.float64)
    yield Seen(f"the chain {small.tolist()}, 1 lag", ask(small, 1))
    yield Seen("the same chain, 2 lags", ask(small, 2))
    for rho, count, lags in ((0.7, 200, 12), (-0.5, 150, 6), (0.9, 250, 30)):
        case = f"{count} states of an AR(1) chain with rho = {rho:g}, {lags} lags"
        yield Seen(case, ask(autoregression(rho, count, lags), lags))


WRONG = [
    Swap(
        "no-two",
        "without the factor 2",
        "the pairs of lag k: each counts in both directions",
        "2 * rho.item()",
        "rho.item()",
    ),
    Swap(
        "not-centred",
        "without taking the mean away",
        "the first line: a covariance is about the mean",
        "chain - chain.mean()",
        "chain",
    ),
    Swap(
        "lag-zero-twice", "with lag 0 in the doubled sum", "the lag at which the sum begins", "time = 1.0", "time = 3.0"
    ),
    Swap("no-one", "without the 1, which is lag 0", "what τ is for independent draws", "time = 1.0", "time = 0.0"),
    Swap(
        "last-lag-missing",
        "without the last lag",
        "the end of the sum: ρ_lags belongs to it",
        "range(1, lags + 1)",
        "range(1, lags)",
    ),
    Swap(
        "multiplied",
        "with N times τ",
        "what a chain is worth where neighbours are alike: less than N",
        "len(chain) / time",
        "len(chain) * time",
    ),
    Swap("time-itself", "with τ itself", "what is asked for: N / τ", "len(chain) / time", "time"),
    Swap(
        "mean-of-pairs",
        "when each sum is divided by the number of its terms",
        "the end of the docstring: both are plain sums",
        "(centred[k:] * centred[:-k]).sum() / (centred**2).sum()",
        "(centred[k:] * centred[:-k]).mean() / (centred**2).mean()",
    ),
]


@wrong(
    "with a mean over pairs and `var`, which divide by other numbers", "the end of the docstring: both are plain sums"
)
def mean_over_variance(chain: Tensor, lags: int) -> float:
    centred = chain - chain.mean()
    rho = [(centred[k:] * centred[:-k]).mean() / chain.var() for k in range(1, lags + 1)]
    return len(chain) / (1 + 2 * sum(r.item() for r in rho))


@wrong("if the chain is a ring, whose end is followed by its beginning", "what `roll` does with the last states")
def in_a_ring(chain: Tensor, lags: int) -> float:
    centred = chain - chain.mean()
    rho = [(centred * centred.roll(k)).sum() / centred.square().sum() for k in range(1, lags + 1)]
    return len(chain) / (1 + 2 * sum(r.item() for r in rho))


@right
def by_numpy(chain: Tensor, lags: int) -> np.floating:
    x = chain.numpy() - chain.numpy().mean()
    sums = np.correlate(x, x, mode="full")[len(x) - 1 :]
    return len(x) / (1 + 2 * (sums[1 : lags + 1] / sums[0]).sum())


@right
def by_a_matrix(chain: Tensor, lags: int) -> Tensor:
    centred = chain - chain.mean()
    padded = torch.cat([centred, centred.new_zeros(lags)])
    shifted = padded.unfold(0, lags + 1, 1)  # [N, lags + 1]
    sums = centred @ shifted
    return len(chain) / (2 * sums.sum() / sums[0] - 1)


@right
def by_plain_loops(chain: Tensor, lags: int) -> float:
    values = chain.tolist()
    mean = sum(values) / len(values)
    whole = sum((v - mean) ** 2 for v in values)
    total = 0.0
    for k in range(1, lags + 1):
        total += sum((values[i] - mean) * (values[i + k] - mean) for i in range(len(values) - k)) / whole
    return len(values) / (1 + 2 * total)
