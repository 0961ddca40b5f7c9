"""Held to Euler's method for d(x/√ᾱ) = ε d(√(1 − ᾱ)/√ᾱ), which is the same walk in another variable."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def ddim_walk(predict: Callable[[Tensor, int], Tensor], x: Tensor, times: list[int], abar: Tensor) -> Tensor:
    """Deterministic DDIM (η = 0) along a few entries of a table, from noise to the data.

    predict: (x, t) -> the noise ε̂ in x at entry t, like x; it is known for the entries 1 ... T, not for 0
    x:       [B, D], at the first of the times
    times:   the entries at which the walk stops, falling; the last step goes from the last of them to the data
    abar:    [T + 1], float64, ᾱ by entry: abar[t] belongs to entry t, and abar[0] = 1 to the data

    Returns the data, [B, D].
    """
    for t, s in pairwise([*times, 0]):
        eps = predict(x, t)
        clean = (x - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()
        x = abar[s].sqrt() * clean + (1 - abar[s]).sqrt() * eps
    return x


def truth(predict: Callable[[Tensor, int], Tensor], x: Tensor, times: list[int], abar: Tensor) -> Tensor:
    ratio = ((1 - abar) / abar).sqrt()
    scaled = x / abar[times[0]].sqrt()
    for t, s in pairwise([*times, 0]):
        scaled = scaled + (ratio[s] - ratio[t]) * predict(scaled * abar[t].sqrt(), t)
    return scaled


MEAN, STD = 0.8, 0.5  # of the data in the questions


def exact_noise(abar: Tensor) -> Callable[[Tensor, int], Tensor]:
    """E[ε | x_t] for data N(MEAN, STD²), by entry."""

    def predict(x: Tensor, t: int) -> Tensor:
        if t not in range(1, len(abar)):
            raise ValueError(f"there is no noise at entry {t}: the entries go from 1 to {len(abar) - 1}")
        signal, noise = abar[int(t)], 1 - abar[int(t)]
        return noise.sqrt() * (x - signal.sqrt() * MEAN) / (signal * STD**2 + noise)

    return predict


def table(entries: int) -> Tensor:
    """ᾱ by entry, [entries + 1], with the data at 0."""
    betas = torch.linspace(0.01, 0.5, entries, dtype=torch.float64)
    return torch.cat([torch.ones(1, dtype=torch.float64), (1 - betas).cumprod(0)])


def questions(ask: Ask) -> Iterator[Seen]:
    abar, x = table(12), torch.tensor([[-1.5, 0.3], [2.0, 0.9]], dtype=torch.float64)
    for times in ([12, 9, 6, 3], [12, 11, 7, 2, 1], [5]):
        name = "12 entries, the best model of N(0.8, 0.5²), stops at"
        yield Seen(f"{name} {', '.join(map(str, times))}", ask(exact_noise(abar), x, times, abar))
    every = list(range(12, 0, -1))
    yield Seen("a walk through all 12 entries", ask(exact_noise(abar), x, every, abar))


WRONG = [
    Swap("not-to-the-data", "without the step from the last entry to the data",
         "the last step, which goes to ᾱ = 1: what is left there is the clean estimate",
         "pairwise([*times, 0])", "pairwise(times)"),
    Swap("noise-at-s", "with the network asked at the entry that the step goes to", "where x is before the step: at t",
         "predict(x, t)", "predict(x, max(s, 1))"),
    Swap("estimate-only", "with the clean estimate as the next x, without the noise that belongs to s",
         "the second term of eq. 12", " + (1 - abar[s]).sqrt() * eps", ""),
    Swap("root-forgotten", "with ᾱ for √ᾱ in the factor of the clean estimate",
         "the first factor: x_s = √ᾱ_s x̂0 + √(1 − ᾱ_s) ε̂",
         "abar[s].sqrt() * clean", "abar[s] * clean"),
    Swap("index-from-0", "with abar[t − 1] for entry t, as in tables that have no entry for the data",
         "the docstring of `abar`: abar[0] is the data",
         "clean = (x - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()",
         "clean = (x - (1 - abar[t - 1]).sqrt() * eps) / abar[t - 1].sqrt()"),
    Swap("back-to-noise", "with abar[-1] for the last step, which is the noisiest entry and not the data",
         "the docstring of `abar`: the data are at 0", "pairwise([*times, 0])", "pairwise([*times, -1])"),
]  # fmt: skip


@wrong("with the clean estimate at the last entry but one, where the network was asked last",
       "the last entry: the network is asked there too, and the step to the data follows")  # fmt: skip
def estimate_of_before(predict: Callable[[Tensor, int], Tensor], x: Tensor, times: list[int], abar: Tensor) -> Tensor:
    clean = x
    for t, s in pairwise(times):
        eps = predict(x, t)
        clean = (x - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()
        x = abar[s].sqrt() * clean + (1 - abar[s]).sqrt() * eps
    return clean


@wrong("with steps to the entry t − 1, whatever the next one of `times` is",
       "where each step ends: at the next entry of `times`")  # fmt: skip
def neighbours(predict: Callable[[Tensor, int], Tensor], x: Tensor, times: list[int], abar: Tensor) -> Tensor:
    for t in times:
        eps = predict(x, t)
        clean = (x - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()
        x = abar[t - 1].sqrt() * clean + (1 - abar[t - 1]).sqrt() * eps
    return x


@wrong("with all entries of the table walked through, not those of `times`", "`times`: a few entries, and no others")
def all_entries(predict: Callable[[Tensor, int], Tensor], x: Tensor, times: list[int], abar: Tensor) -> Tensor:
    return ddim_walk(predict, x, list(range(times[0], 0, -1)), abar)


@wrong("with the walk taken from data to noise", "the order of `times`: they fall")
def upwards(predict: Callable[[Tensor, int], Tensor], x: Tensor, times: list[int], abar: Tensor) -> Tensor:
    for s, t in pairwise([0, *reversed(times)]):
        eps = predict(x, max(s, 1))
        clean = (x - (1 - abar[s]).sqrt() * eps) / abar[s].sqrt()
        x = abar[t].sqrt() * clean + (1 - abar[t]).sqrt() * eps
    return x


@right
def by_indices(predict: Callable[[Tensor, int], Tensor], x: Tensor, times: list[int], abar: Tensor) -> Tensor:
    x0 = x
    for i, t in enumerate(times):
        a = float(abar[t])
        noise = predict(x, t)
        x0 = x / a**0.5 - (1 / a - 1) ** 0.5 * noise
        if i + 1 < len(times):
            b = float(abar[times[i + 1]])
            x = b**0.5 * x0 + (1 - b) ** 0.5 * noise
    return x0


@right
def by_ratios(predict: Callable[[Tensor, int], Tensor], x: Tensor, times: list[int], abar: Tensor) -> Tensor:
    """x_s = √(ᾱ_s/ᾱ_t) x_t + (√(1 − ᾱ_s) − √(ᾱ_s/ᾱ_t) √(1 − ᾱ_t)) ε̂."""
    stops = [*times, 0]
    for place in range(len(times)):
        t, s = stops[place], stops[place + 1]
        ratio = torch.sqrt(abar[s] / abar[t])
        x = ratio * x + (torch.sqrt(1 - abar[s]) - ratio * torch.sqrt(1 - abar[t])) * predict(x, t)
    return x


@right
def item_by_item(predict: Callable[[Tensor, int], Tensor], x: Tensor, times: list[int], abar: Tensor) -> Tensor:
    ends = []
    for item in x:
        here = item.unsqueeze(0)
        for t, s in zip(times, [*times[1:], 0], strict=True):
            (a, c), (b, d) = ((abar[k].item() ** 0.5, (1 - abar[k].item()) ** 0.5) for k in (t, s))
            eps = predict(here, t)
            here = b * (here - c * eps) / a + d * eps
        ends.append(here[0])
    return torch.stack(ends)
