"""Held to the package's decoder, which goes by logarithms of tails; the shares of 256 values add up to 1."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion import bound
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def decoder_nats(x0: Tensor, mean: Tensor, std: float) -> Tensor:
    """−log p(x0 | x_1) in nats, number by number: of the share of N(mean, std²) that falls into the bin of each pixel.

    A pixel has one of 256 values from −1 to 1, which lie 2/255 apart. Its bin is all that is nearer to it than to any
    other value, so the bin of −1 is open to −∞ and that of 1 to +∞. The cost has to be right far from the mean too:
    up to 30 std on either side, where it is about 450 nats.

    x0:   [B, ...], float64, pixels
    mean: like x0, any numbers, also outside of [−1, 1]
    std:  a number above 0, the standard deviation

    Returns nats like x0, nothing summed.
    """
    half = 1 / 255
    distance = (x0 - mean).abs()
    near, far = (distance - half) / std, (distance + half) / std  # the share is the same on both sides of the mean
    inner = 0.5 * (torch.erfc(near / 2**0.5) - torch.erfc(far / 2**0.5))
    below = 0.5 * torch.erfc((mean - x0 - half) / std / 2**0.5)
    above = 0.5 * torch.erfc((x0 - half - mean) / std / 2**0.5)
    share = torch.where(x0 < -1 + half, below, torch.where(x0 > 1 - half, above, inner))
    return -share.log()


def truth(x0: Tensor, mean: Tensor, std: float) -> Tensor:
    return bound.decoder(x0, mean, torch.tensor(std**2, dtype=torch.float64), discrete=True)


def questions(ask: Ask) -> Iterator[Seen]:
    x0 = values([[0, 3, 100], [128, 200, 255]])
    for std in (0.004, 0.05, 0.7):
        mean = x0 + std * torch.tensor([[0.3, -0.6, 1.2], [-2.0, 0.1, -0.8]], dtype=torch.float64)
        yield Seen(
            f"pixels 0, 3, 100, 128, 200, 255 of 255, means within 2 std of them, std {std:g}", ask(x0, mean, std)
        )
    every = values([list(range(256))])
    for middle in (-0.95, 1.2):
        nats = torch.stack([torch.as_tensor(row) for row in ask(every, torch.full_like(every, middle), 0.3)])
        yield Seen(
            f"the sum of exp(-nats) over all 256 values, mean {middle:g}, std 0.3", torch.exp(-nats).sum().item()
        )
    pixels, away = values([[[0, 30], [100, 255]]]), torch.tensor([[[29.0, -9.0], [20.0, -28.0]]], dtype=torch.float64)
    yield Seen("means 29 std above pixel 0, 9 below pixel 30, 20 above pixel 100, 28 below pixel 255",
               ask(pixels, pixels + 0.02 * away, 0.02))  # fmt: skip


def values(numbers: list[list[int]] | list[list[list[int]]]) -> Tensor:
    """Pixels of these numbers, from 0 to 255, in [-1, 1]."""
    return torch.tensor(numbers, dtype=torch.float64) * 2 / 255 - 1


WRONG = [
    Swap("closed-ends", "with the bins of −1 and 1 as wide as all others, so that the shares do not add up to 1",
         "what is nearer to −1 than to any other value: everything below",
         "torch.where(x0 < -1 + half, below, torch.where(x0 > 1 - half, above, inner))", "inner"),
    Swap("wide-bins", "with bins of 4/255: a whole step to each side", "where the next bin begins: half a step away",
         "half = 1 / 255", "half = 2 / 255"),
    Swap("256-steps", "with bins of 2/256", "how many steps there are between 256 values",
         "half = 1 / 255", "half = 1 / 256"),
    Swap("one-open-end", "with the open bin of 1 only, that of −1 being closed", "the lower end",
         "torch.where(x0 < -1 + half, below, torch.where(x0 > 1 - half, above, inner))",
         "torch.where(x0 > 1 - half, above, inner)"),
    Swap("positive", "with log p for −log p", "the sign: costs are positive", "return -share", "return share"),
    Swap("summed", "with the sum over each item", "what is returned: nats like x0",
         "share.log()", "share.log().flatten(1).sum(1)"),
]  # fmt: skip


def _plain_share(x0: Tensor, mean: Tensor, std: float) -> Tensor:
    """As a difference of two distribution functions, which is 0 in the upper tail."""
    upper = torch.where(x0 > 1 - 1 / 255, math.inf, (x0 + 1 / 255 - mean) / std)
    lower = torch.where(x0 < -1 + 1 / 255, -math.inf, (x0 - 1 / 255 - mean) / std)
    return torch.special.ndtr(upper) - torch.special.ndtr(lower)


@wrong("when the share of a bin far from the mean comes out as 0, and its cost as infinite",
       "Φ(u) − Φ(l), which is 1 − 1 far above the mean and has no digits left: write it as Φ(−l) − Φ(−u) there; and at "
       "`torch.special.ndtr` and `Normal.cdf`, which are 0 below −8.3, where `torch.erfc` is not")  # fmt: skip
def cancelled(x0: Tensor, mean: Tensor, std: float) -> Tensor:
    return -_plain_share(x0, mean, std).log()


@wrong("when Φ is exact in its lower tail and Φ(u) − Φ(l) is used on both sides: far above the mean it is 1 − 1",
       "the pixels above the mean: there Φ(−l) − Φ(−u) is the same share, of small numbers")  # fmt: skip
def one_form(x0: Tensor, mean: Tensor, std: float) -> Tensor:
    upper = torch.where(x0 > 1 - 1 / 255, math.inf, (x0 + 1 / 255 - mean) / std)
    lower = torch.where(x0 < -1 + 1 / 255, -math.inf, (x0 - 1 / 255 - mean) / std)
    return -torch.log(0.5 * torch.erfc(-upper / 2**0.5) - 0.5 * torch.erfc(-lower / 2**0.5))


@wrong("with shares held to 1e-12, so that no pixel costs more than 27.6 nats, as in DDPM's published code",
       "the tails, where no floor is needed: Φ(u) − Φ(l) = Φ(−l) − Φ(−u), and Φ by `torch.erfc`")  # fmt: skip
def held(x0: Tensor, mean: Tensor, std: float) -> Tensor:
    return -_plain_share(x0, mean, std).clamp(min=1e-12).log()


@wrong("with the density at the pixel, which is no probability", "the bin: its share of the law is an integral")
def density(x0: Tensor, mean: Tensor, std: float) -> Tensor:
    return ((x0 - mean) / std) ** 2 / 2 + math.log(std) + 0.5 * math.log(2 * math.pi)


@wrong("with the density at the middle of the bin times its width", "wide bins beside a narrow law, and the open ends")
def midpoint(x0: Tensor, mean: Tensor, std: float) -> Tensor:
    return density(x0, mean, std) - math.log(2 / 255)


@wrong("with the variance in the place of the standard deviation", "what `std` is")
def variance_for_std(x0: Tensor, mean: Tensor, std: float) -> Tensor:
    return decoder_nats(x0, mean, std**2)


@right
def by_log_tails(x0: Tensor, mean: Tensor, std: float) -> Tensor:
    upper = torch.where(x0 > 0.999, math.inf, (x0 + 1 / 255 - mean) / std)
    lower = torch.where(x0 < -0.999, -math.inf, (x0 - 1 / 255 - mean) / std)
    mirrored = lower > 0
    high, low = torch.where(mirrored, -lower, upper), torch.where(mirrored, -upper, lower)
    top, bottom = torch.special.log_ndtr(high), torch.special.log_ndtr(low)
    return -(top + torch.log1p(-torch.exp(bottom - top)))


@right
def by_loops(x0: Tensor, mean: Tensor, std: float) -> Tensor:
    def below(edge: float, middle: float) -> float:
        return math.erfc((middle - edge) / (std * math.sqrt(2))) / 2

    nats = []
    for value, middle in zip(x0.flatten().tolist(), mean.flatten().tolist(), strict=True):
        if value > middle:  # look from the other side
            value, middle = -value, -middle
        share = 1.0 if value > 0.999 else below(value + 1 / 255, middle)
        share -= 0.0 if value < -0.999 else below(value - 1 / 255, middle)
        nats.append(-math.log(share))
    return torch.tensor(nats).reshape(x0.shape)


@right
def by_the_lower_tail(x0: Tensor, mean: Tensor, std: float) -> Tensor:
    """Everything is turned so that the pixel lies below the mean, where distribution functions are small and exact."""
    side = torch.where(x0 > mean, -1.0, 1.0)
    value, middle = side * x0, side * mean
    upper, lower = (value + 1 / 255 - middle) / std, (value - 1 / 255 - middle) / std
    upper, lower = upper.masked_fill(value > 0.999, math.inf), lower.masked_fill(value < -0.999, -math.inf)
    share = torch.erfc(-upper * math.sqrt(0.5)) - torch.erfc(-lower * math.sqrt(0.5))
    return math.log(2) - share.log()
