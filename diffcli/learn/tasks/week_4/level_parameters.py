"""Counted in the package's own blocks."""

from collections.abc import Iterator

import torch

from diffcli.core.models.layers import ResBlock
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def level_parameters(channels_in: int, channels: int, blocks: int, condition: int) -> int:
    """How many numbers the residual blocks of one resolution have, on the way down.

    The first block takes `channels_in` channels, the others `channels`; all give `channels`. A block with c channels in
    and d out has: a norm of c channels, a convolution of 3 × 3 from c to d, a linear layer from `condition` numbers to
    2 d, a norm of d channels, a convolution of 3 × 3 from d to d and, only if c and d differ, a convolution of 1 × 1
    from c to d. Convolutions and linear layers have biases, a norm has a weight and a bias for each channel.

    Returns a whole number.
    """
    total, c, d = 0, channels_in, channels
    for _ in range(blocks):
        total += 2 * c + 9 * c * d + d
        total += condition * 2 * d + 2 * d
        total += 2 * d + 9 * d * d + d
        total += c * d + d if c != d else 0
        c = d
    return total


def questions(ask: Ask) -> Iterator[Seen]:
    for channels_in, channels, blocks, condition in ((8, 8, 1, 16), (8, 16, 1, 32), (16, 24, 2, 32), (24, 8, 3, 20)):
        asked = (
            f"{channels_in} channels in, {channels} out, {blocks} block{'s' * (blocks > 1)}, a condition of {condition}"
        )
        yield Seen(asked, ask(channels_in, channels, blocks, condition))


def truth(channels_in: int, channels: int, blocks: int, condition: int) -> int:
    with torch.device("meta"):
        made = [ResBlock(channels if i else channels_in, channels, condition, 0.0) for i in range(blocks)]
    return sum(weight.numel() for block in made for weight in block.parameters())


WRONG = [
    Swap(
        "no-skip",
        "without the convolution of 1 × 1 on the skip",
        "what has to happen to x where it has other channels than the branch",
        "c * d + d if c != d else 0",
        "0",
    ),
    Swap(
        "skip-always",
        "with a convolution on every skip",
        "blocks that keep the number of channels: nothing is needed there",
        "c * d + d if c != d else 0",
        "c * d + d",
    ),
    Swap(
        "half-modulation",
        "with a linear layer to d numbers, not 2 d",
        "what the condition gives: a scale and a shift",
        "condition * 2 * d + 2 * d",
        "condition * d + d",
    ),
    Swap(
        "every-block-the-first",
        "if every block takes `channels_in`",
        "what the second block is given",
        "c = d\n",
        "c = channels_in\n",
    ),
    Swap(
        "no-norms",
        "without the numbers of the norms",
        "a weight and a bias for each channel, twice in a block",
        "total += 2 * c + 9",
        "total += -2 * d + 9",
    ),
]


@wrong("without biases", "what the docstring says of biases: convolutions and linear layers have them")
def no_biases(channels_in: int, channels: int, blocks: int, condition: int) -> int:
    biases = (5 * channels) * blocks - channels * blocks + (channels if channels_in != channels else 0)
    return level_parameters(channels_in, channels, blocks, condition) - biases


@wrong(
    "with the centre of the 3 × 3 convolutions only", "the size of the kernels: nine weights for each pair of channels"
)
def small_kernels(channels_in: int, channels: int, blocks: int, condition: int) -> int:
    pairs = channels_in * channels + (2 * blocks - 1) * channels**2
    return level_parameters(channels_in, channels, blocks, condition) - 8 * pairs


@right
def by_torch(channels_in: int, channels: int, blocks: int, condition: int) -> int:
    from torch import nn

    found = nn.ModuleList()
    for i in range(blocks):
        c = channels_in if i == 0 else channels
        found += [nn.GroupNorm(1, c), nn.Conv2d(c, channels, 3), nn.Linear(condition, 2 * channels)]
        found += [nn.GroupNorm(1, channels), nn.Conv2d(channels, channels, 3)]
        found += [nn.Conv2d(c, channels, 1)] if c != channels else []
    return sum(weight.numel() for weight in found.parameters())


@right
def first_and_rest(channels_in: int, channels: int, blocks: int, condition: int) -> int:
    d = channels
    common = 2 * d * (condition + 1) + 2 * d + 9 * d**2 + d
    first = 2 * channels_in + (9 * channels_in + 1) * d + common + (d * (channels_in + 1) if channels_in != d else 0)
    return first + (blocks - 1) * (2 * d + (9 * d + 1) * d + common)


@right
def by_shapes(channels_in: int, channels: int, blocks: int, condition: int) -> float:
    def block(c: int, d: int) -> int:
        shapes = [(c,), (c,), (d, c, 3, 3), (d,), (2 * d, condition), (2 * d,), (d,), (d,), (d, d, 3, 3), (d,)]
        shapes += [(d, c, 1, 1), (d,)] if c != d else []
        return sum(int(torch.Size(shape).numel()) for shape in shapes)

    return float(sum(block(channels_in if i == 0 else channels, channels) for i in range(blocks)))
