"""Values inside, between two pixels and beyond the ends, and all 256 there and back."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.data.dataset import to_pixels as of_the_package
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def to_pixels(x: Tensor) -> Tensor:
    """What a model drew as pixels: the way back from `to_unit`, for any numbers.

    x:  float32 of any shape. What lies below −1 or above 1 becomes what −1 or 1 does, anything else the nearest pixel

    Returns whole numbers from 0 to 255 of the same shape, uint8.
    """
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def truth(x: Tensor) -> Tensor:
    return of_the_package(x)


def questions(ask: Ask) -> Iterator[Seen]:
    yield Seen("x = [-1, 1, 0.3]", ask(torch.tensor([-1.0, 1.0, 0.3])))
    kind = torch.as_tensor(ask(torch.tensor([0.5]))).dtype
    yield Seen("the type of the result", "floats" if kind.is_floating_point else "whole numbers")
    yield Seen("x = [[-0.42, 0.999], [0.007, -0.996]]", ask(torch.tensor([[-0.42, 0.999], [0.007, -0.996]])))
    yield Seen("beyond the ends: x = [-1.02, -3, 1.01, 1.7]", ask(torch.tensor([-1.02, -3.0, 1.01, 1.7])))
    pixels = torch.arange(256, dtype=torch.uint8)
    yield Seen("all 256 pixels as `to_unit` makes them", ask(pixels.float() / 127.5 - 1))


WRONG = [
    Swap("cut-off", "without rounding: to(torch.uint8) cuts off what stands after the decimal point",
         "`round`; on average a picture gets half a step darker", ".round()", ""),
    Swap("not-held", "without holding x to [−1, 1]: a byte runs over, and white turns black", "`clamp`",
         "((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)",
         "((x + 1) * 127.5).round().to(torch.int64).remainder(256).to(torch.uint8)"),
    Swap("as-it-comes", "with neither rounding nor holding x to [−1, 1]", "`round` and `clamp`: a cast does neither",
         "((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)",
         "((x + 1) * 127.5).to(torch.int64).remainder(256).to(torch.uint8)"),
    Swap("no-cast", "without the cast: whole numbers that are still floats, four bytes for each pixel",
         "the type: uint8", ".to(torch.uint8)", ""),
    Swap("by-128", "with 128 for 127.5", "the value that 1 becomes: 255", "* 127.5)", "* 128).clamp(0, 255)"),
    Swap("by-255", "when x is taken to go from 0 to 1", "the value that −1 becomes: 0",
         "((x.clamp(-1, 1) + 1) * 127.5)", "(x.clamp(0, 1) * 255)"),
    Swap("rounded-up", "when everything is rounded up", "`ceil` is not `round`", ".round()", ".ceil()"),
]  # fmt: skip


@wrong(
    "when the picture is stretched from its least to its greatest value",
    "the values that −1 and 1 become, whatever the picture holds",
)
def stretched(x: Tensor) -> Tensor:
    return ((x - x.min()) / (x.max() - x.min()) * 255).round().to(torch.uint8)


@right
def half_added(x: Tensor) -> Tensor:
    return (127.5 * x + 127.5 + 0.5).floor().clamp(0, 255).byte()


@right
def by_numpy(x: Tensor) -> np.ndarray:
    return np.clip(np.rint((x.numpy().astype(np.float64) + 1) / 2 * 255), 0, 255).astype(np.uint8)


@right
def number_by_number(x: Tensor) -> Tensor:
    found = [min(255, max(0, round((value + 1) * 127.5))) for value in x.flatten().tolist()]
    return torch.tensor(found).reshape(x.shape)
