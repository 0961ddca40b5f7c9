"""Held to Euler's method upwards, with the same first step."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.tasks.core_6.ddim_walk import exact_noise, table


def ddim_invert(predict: Callable[[Tensor, int], Tensor], x0: Tensor, times: list[int], abar: Tensor) -> Tensor:
    """The noise that data come from: the steps of deterministic DDIM (η = 0) with their ends exchanged.

    A step from s up to the next noisier t keeps what is seen at s: x_t = √ᾱ_t x̂0 + √(1 − ᾱ_t) ε̂, with
    ε̂ = predict(x_s, s) and x̂0 from x_s and ε̂. At the data there is nothing to see: the first step, from x0 to the
    last of the times, takes x̂0 = x0 and ε̂ = predict(x0, the last of the times).

    predict: (x, t) -> the noise ε̂ in x at entry t, like x; it is known for the entries 1 ... T, not for 0
    x0:      [B, D], data
    times:   the entries of the walk down, falling, as `ddim_walk` takes them; here they are passed in reverse
    abar:    [T + 1], float64, ᾱ by entry, abar[0] = 1

    Returns x at the first of the times, the noisiest, [B, D].
    """
    t = times[-1]
    x = abar[t].sqrt() * x0 + (1 - abar[t]).sqrt() * predict(x0, t)
    for s, t in pairwise(reversed(times)):
        eps = predict(x, s)
        clean = (x - (1 - abar[s]).sqrt() * eps) / abar[s].sqrt()
        x = abar[t].sqrt() * clean + (1 - abar[t]).sqrt() * eps
    return x


def truth(predict: Callable[[Tensor, int], Tensor], x0: Tensor, times: list[int], abar: Tensor) -> Tensor:
    ratio, scaled = ((1 - abar) / abar).sqrt(), x0
    for s, t in pairwise([0, *reversed(times)]):
        seen = s if s > 0 else t
        scaled = scaled + (ratio[t] - ratio[s]) * predict(scaled * abar[s].sqrt(), seen)
    return scaled * abar[times[0]].sqrt()


def questions(ask: Ask) -> Iterator[Seen]:
    abar, x0 = table(12), torch.tensor([[-0.4, 0.8], [1.6, 0.3]], dtype=torch.float64)
    for times in ([12, 9, 6, 3], [12, 11, 7, 2, 1], [5]):
        name = "12 entries, the best model of N(0.8, 0.5²), stops at"
        yield Seen(f"{name} {', '.join(map(str, times))}", ask(exact_noise(abar), x0, times, abar))
    every = list(range(12, 0, -1))
    yield Seen("up through all 12 entries", ask(exact_noise(abar), x0, every, abar))


WRONG = [
    Swap("noise-at-t", "with the network asked at the entry that each step goes to, where x is not yet",
         "where x is before the step: at s", "eps = predict(x, s)", "eps = predict(x, t)"),
    Swap("not-to-the-top", "without the last step, to the noisiest entry", "where the walk ends: at times[0]",
         "pairwise(reversed(times))", "pairwise(list(reversed(times))[:-1])"),
    Swap("downwards", "with the entries in the order of the walk down",
         "the docstring: the times are passed in reverse", "pairwise(reversed(times))", "pairwise(times)"),
    Swap("no-noise", "without the predicted noise: the clean estimate is only shrunk",
         "the second term of x_t = √ᾱ_t x̂0 + √(1 − ᾱ_t) ε̂", " + (1 - abar[t]).sqrt() * eps", ""),
    Swap("data-first", "with a first step that shrinks the data and adds no noise",
         "the first step: ε̂ = predict(x0, the last of the times)", " + (1 - abar[t]).sqrt() * predict(x0, t)", ""),
    Swap("x0-kept", "with the data as the clean estimate of every step",
         "x̂0 from x_s and ε̂, anew at each stop", "abar[t].sqrt() * clean", "abar[t].sqrt() * x0"),
    Swap("not-divided", "with a clean estimate that is not divided by √ᾱ_s", "how x̂0 follows from x_s and ε̂",
         " / abar[s].sqrt()", ""),
]  # fmt: skip


@wrong("without the first step: x0 is taken for x at the last of the times", "the first step, from the data")
def from_first_entry(predict: Callable[[Tensor, int], Tensor], x0: Tensor, times: list[int], abar: Tensor) -> Tensor:
    x = x0
    for s, t in pairwise(reversed(times)):
        eps = predict(x, s)
        clean = (x - (1 - abar[s]).sqrt() * eps) / abar[s].sqrt()
        x = abar[t].sqrt() * clean + (1 - abar[t]).sqrt() * eps
    return x


@wrong(
    "with the neighbours t − 1 and t for the ends of each step",
    "where each step begins: at the entry before in `times`",
)
def neighbours(predict: Callable[[Tensor, int], Tensor], x0: Tensor, times: list[int], abar: Tensor) -> Tensor:
    x = x0
    for t in reversed(times):
        s = t - 1
        eps = predict(x, max(s, 1))
        clean = (x - (1 - abar[s]).sqrt() * eps) / abar[s].sqrt()
        x = abar[t].sqrt() * clean + (1 - abar[t]).sqrt() * eps
    return x


@right
def by_one_loop(predict: Callable[[Tensor, int], Tensor], x0: Tensor, times: list[int], abar: Tensor) -> Tensor:
    x = x0
    for s, t in pairwise([0, *times[::-1]]):
        eps = predict(x, s or t)
        x = torch.sqrt(abar[t] / abar[s]) * (x - (1 - abar[s]) ** 0.5 * eps) + (1 - abar[t]) ** 0.5 * eps
    return x


@right
def by_scaled(predict: Callable[[Tensor, int], Tensor], x0: Tensor, times: list[int], abar: Tensor) -> Tensor:
    rising, y, before = sorted(times), x0.clone(), 0.0
    for place, t in enumerate(rising):
        seen = rising[max(place - 1, 0)]
        scale = float(abar[rising[place - 1]]) ** 0.5 if place else 1.0
        rho = float(1 / abar[t] - 1) ** 0.5
        y += (rho - before) * predict(y * scale, seen)
        before = rho
    return y * float(abar[rising[-1]]) ** 0.5


@right
def by_items(predict: Callable[[Tensor, int], Tensor], x0: Tensor, times: list[int], abar: Tensor) -> Tensor:
    ends = []
    for item in x0.split(1):
        eps, clean, x = predict(item, times[-1]), item, item
        for place in range(len(times) - 1, -1, -1):
            a = float(abar[times[place]])
            x = a**0.5 * clean + (1 - a) ** 0.5 * eps
            if place:
                eps = predict(x, times[place])
                clean = (x - (1 - a) ** 0.5 * eps) / a**0.5
        ends.append(x)
    return torch.cat(ends)
