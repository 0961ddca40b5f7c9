"""Held to a bisection of the distribution function, which is written out here."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.processes.laws.special import bisected
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def inverse_transform(u: Tensor, rate: float, most: float) -> Tensor:
    """Draws of the exponential law cut off at `most`: density in proportion to exp(-rate x) for 0 < x < most, else 0.

    u:    [N], uniform numbers in (0, 1)
    rate: a number above 0
    most: a number above 0, or math.inf for the whole exponential law

    Returns [N]: each x is such that the law has the share u below it. So x rises with u.
    """
    whole = 1 - math.exp(-rate * most)
    return -torch.log(1 - u * whole) / rate


def truth(u: Tensor, rate: float, most: float) -> Tensor:
    """By 60 halvings; an exponential law without an end is below 60 / rate."""
    u = u.double()
    whole = -math.expm1(-rate * most)
    top = min(most, 60 / rate)
    return bisected(lambda x: -torch.expm1(-rate * x) / whole, u, torch.zeros_like(u), torch.full_like(u, top))


def questions(ask: Ask) -> Iterator[Seen]:
    u = torch.tensor([0.1, 0.5, 0.8, 0.99])
    for rate, most in ((1.0, math.inf), (1.0, 2.0), (3.0, 0.5), (0.25, 4.0)):
        yield Seen(f"u = 0.1, 0.5, 0.8, 0.99; rate {rate:g}, most {most:g}", ask(u, rate, most))
    places = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    x = torch.as_tensor(ask(places, 2.0, 1.5))
    yield Seen("rate 2, most 1.5: the mean over 4000 even places u", x.mean().item())
    yield Seen("and the largest of these", x.max().item())


WRONG = [
    Swap("falling", "with log u for log(1 − u): right in its law for most = ∞, but x falls where u rises",
         "the lower end: F(0) = 0", "1 - u * whole", "u * whole"),
    Swap("not-cut", "when the whole exponential law is drawn, beyond `most` too",
         "the share below `most`: it is less than 1, and the density is divided by it", "1 - u * whole", "1 - u"),
    Swap("u-divided", "with u / whole for u · whole", "F(x) = u: what is divided by whole there is multiplied here",
         "u * whole", "u / whole"),
    Swap("x-divided", "with x divided by whole, not u multiplied", "F(x) = u: `whole` divides a share there, no x",
         "-torch.log(1 - u * whole) / rate", "-torch.log(1 - u) / rate / whole"),
    Swap("rate-multiplied", "with a multiplication by the rate where it has to divide",
         "the mean of the exponential law: 1 / rate", "/ rate", "* rate"),
    Swap("sign", "with the wrong sign: these numbers are below 0", "the sign of a logarithm of less than 1",
         "return -torch", "return torch"),
    Swap("rate-outside-whole", "when the part that is cut off does not know the rate", "F(most), with the rate in it",
         "math.exp(-rate * most)", "math.exp(-most)"),
    Swap("cdf", "with the distribution function itself, not its inverse", "the number that is given: u, a share",
         "-torch.log(1 - u * whole) / rate", "(1 - torch.exp(-rate * u)) / whole"),
]  # fmt: skip


@wrong("with −log(u) / rate: it knows nothing of `most`, and x falls where u rises", "F(x) = u, solved for x")
def from_memory(u: Tensor, rate: float, most: float) -> Tensor:
    return -torch.log(u) / rate


@wrong(
    "when draws beyond `most` are moved to it: a lump at the end", "the effect of cutting off: what is left is rescaled"
)
def clamped(u: Tensor, rate: float, most: float) -> Tensor:
    return (-torch.log(1 - u) / rate).clamp(max=most)


@right
def by_log1p(u: Tensor, rate: float, most: float) -> Tensor:
    return torch.log1p(u * math.expm1(-rate * most)) / -rate


@right
def by_a_loop(u: Tensor, rate: float, most: float) -> list[float]:
    least = math.exp(-rate * most)  # what is left above most
    return [-math.log((1 - value) + value * least) / rate for value in u.double().tolist()]


@right
def by_halving(u: Tensor, rate: float, most: float) -> Tensor:
    """For those who do not trust algebra."""
    low, high = torch.zeros_like(u), torch.full_like(u, min(most, 60 / rate))
    for _ in range(60):
        middle = (low + high) / 2
        below = (1 - torch.exp(-rate * middle)) / (1 - math.exp(-rate * most)) < u
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return low
