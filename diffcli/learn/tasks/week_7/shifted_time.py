"""Held to the log-SNR: it has to fall by the log of the ratio, and the time is found from it by bisection."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion.schedules import Flow
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right


def shifted_time(t: Tensor, numbers: float, base: float) -> Tensor:
    """The time at which items of more numbers are as noisy to the eye as items of `base` numbers are at time t.

    The schedule is the flow's, α = 1 − t and σ = t. The mean of k numbers that show the same has 1/k of the variance
    of their noise. So an item of k = numbers/base times as many numbers shows as much at an SNR, (α/σ)², that is k
    times smaller: t′ is the time at which the SNR is 1/k of that at t.

    t:       [B], times in [0, 1]; 1 is pure noise
    numbers: how many numbers an item has
    base:    how many it had where the schedule was found to be good

    Returns [B], times in [0, 1]; of torch, so that derivatives by t pass through.
    """
    root = (numbers / base) ** 0.5
    return root * t / (1 + (root - 1) * t)


def questions(ask: Ask) -> Iterator[Seen]:
    t = torch.tensor([0.0, 0.1, 0.35, 0.8, 1.0], dtype=torch.float64)
    for numbers, base in ((784.0, 196.0), (49.0, 784.0), (3072.0, 784.0), (784.0, 784.0)):
        yield Seen(f"t = {t.tolist()}, {numbers:g} numbers, good for {base:g}", ask(t, numbers, base))
    asked = "the derivatives by t, 784 numbers, good for 196"
    yield Seen(asked, ask(t[1:4].clone().requires_grad_(True), 784.0, 196.0, want="gradients"))


def truth(t: Tensor, numbers: float, base: float) -> Tensor:
    ratio = numbers / base
    if t.requires_grad:  # the log-SNR has the slope −2/(t (1 − t)), at both times
        moved = truth(t.detach(), numbers, base)
        slope = (moved * (1 - moved)) / (t.detach() * (1 - t.detach()))
        return moved + slope * (t - t.detach())
    return Flow().time(Flow()(t).log_snr - torch.tensor(ratio, dtype=t.dtype).log())


WRONG = [
    Swap(
        "ratio-for-its-root",
        "with the ratio of the numbers where its root belongs",
        "α/σ beside (α/σ)²",
        "** 0.5",
        "** 1.0",
    ),
    Swap(
        "turned-over",
        "with the ratio turned over: more numbers get less noise",
        "which way the shift goes: more numbers need more noise",
        "(numbers / base)",
        "(base / numbers)",
    ),
    Swap(
        "no-denominator",
        "with the numerator only: times beyond 1",
        "what t = 1 has to become: 1",
        " / (1 + (root - 1) * t)",
        "",
    ),
    Swap(
        "ratio-of-sides",
        "with the fourth root: the root of the ratio of sides",
        "what is counted: numbers of an item, not its side",
        "** 0.5",
        "** 0.25",
    ),
    Swap(
        "power-of-t",
        "with a power of t, which keeps the ends but shifts the log-SNR unevenly",
        "the condition: α/σ is divided by the same number at every time",
        "return root * t / (1 + (root - 1) * t)",
        "return t ** (1 / root)",
    ),
    Swap(
        "sign-in-the-denominator",
        "with the wrong sign in the denominator",
        "what t = 1 has to become: 1",
        "1 + (root - 1)",
        "1 - (root - 1)",
    ),
]


@right
def by_the_noise_level(t: Tensor, numbers: float, base: float) -> Tensor:
    noise, signal = t * numbers**0.5, (1 - t) * base**0.5
    return noise / (noise + signal)


@right
def by_the_log_snr(t: Tensor, numbers: float, base: float) -> Tensor:
    return torch.sigmoid(torch.logit(t) + 0.5 * torch.log(torch.tensor(numbers / base, dtype=t.dtype)))


@right
def from_the_data(t: Tensor, numbers: float, base: float) -> Tensor:
    s = 1 - t
    return 1 - s / (s + (numbers / base) ** 0.5 * (1 - s))
