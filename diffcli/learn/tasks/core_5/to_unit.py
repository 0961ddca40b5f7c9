"""Whole numbers in one byte: arithmetic in their own type runs over, which is the mistake that the last values show."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.data.dataset import to_unit as of_the_package
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def to_unit(pixels: Tensor) -> Tensor:
    """Pixels as the numbers that a diffusion model works with: 0 becomes −1 and 255 becomes 1, evenly in between.

    pixels:  uint8 of any shape

    Returns float32 of the same shape.
    """
    return pixels.float() / 127.5 - 1


def truth(pixels: Tensor) -> Tensor:
    return of_the_package(pixels)


def questions(ask: Ask) -> Iterator[Seen]:
    yield Seen("pixels [0, 255]", ask(torch.tensor([0, 255], dtype=torch.uint8)))
    yield Seen("pixels [[1, 100], [128, 254]]", ask(torch.tensor([[1, 100], [128, 254]], dtype=torch.uint8)))


WRONG = [
    Swap("zero-to-one", "with values from 0 to 1", "the value of black: −1, so that the data lie around 0",
         "pixels.float() / 127.5 - 1", "pixels.float() / 255"),
    Swap("by-128", "with 128 for 127.5, so that white is not 1", "the middle between 0 and 255", "127.5", "128"),
    Swap("by-256", "with 256 steps between 0 and 255", "the distance from 0 to 255: 255 steps",
         "pixels.float() / 127.5 - 1", "(pixels.float() + 0.5) / 128 - 1"),
    Swap("width-four", "with values from −2 to 2", "the length of [−1, 1]", "pixels.float() / 127.5 - 1",
         "(pixels.float() / 127.5 - 1) * 2"),
    Swap("upside-down", "with black and white exchanged", "the sign",
         "pixels.float() / 127.5 - 1", "1 - pixels.float() / 127.5"),
]  # fmt: skip


@wrong("when a byte runs over: 2 · 128 is 0 again", "the type of 2 * pixels, which is uint8 as long as pixels are")
def run_over(pixels: Tensor) -> Tensor:
    return (2 * pixels) / 255 - 1


@wrong(
    "when every image is stretched from its darkest to its brightest pixel",
    "the ends 0 and 255, not the least and the greatest pixel",
)
def stretched(pixels: Tensor) -> Tensor:
    x = pixels.float()
    return 2 * (x - x.min()) / (x.max() - x.min()) - 1


@right
def by_steps(pixels: Tensor) -> Tensor:
    return (pixels.to(torch.float32) - 127.5) / 127.5


@right
def by_a_table(pixels: Tensor) -> Tensor:
    return torch.linspace(-1, 1, 256)[pixels.long()]


@right
def by_numpy(pixels: Tensor) -> np.ndarray:
    return np.interp(pixels.numpy(), [0, 255], [-1, 1])
