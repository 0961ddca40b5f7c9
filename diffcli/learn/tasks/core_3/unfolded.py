"""Every number of the images is another one, so the truth, a loop over the places, sees where each of them went."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def unfolded(x: Tensor, side: int) -> Tensor:
    """The way back from `folded`: channels become the pixels of squares again.

    x:     [B, C * side**2, H, W]; channels and pixels are ordered as `folded` leaves them
    side:  of a square in pixels

    Returns [B, C, H * side, W * side]. Its channel c holds at row r * side + i and column q * side + j what channel
    c * side**2 + i * side + j of x holds at row r and column q; all of them count from 0. It is made of x by torch, so
    that gradients pass.
    """
    batch, channels, height, width = x.shape
    squares = x.reshape(batch, channels // side**2, side, side, height, width)
    return squares.permute(0, 1, 4, 2, 5, 3).reshape(batch, channels // side**2, height * side, width * side)


def truth(x: Tensor, side: int) -> Tensor:
    batch, channels, height, width = x.shape
    found = torch.zeros(batch, channels // side**2, height * side, width * side)
    for channel in range(channels):
        c, place = divmod(channel, side**2)
        for row in range(height):
            for column in range(width):
                found[:, c, row * side + place // side, column * side + place % side] = x[:, channel, row, column]
    return found


def questions(ask: Ask) -> Iterator[Seen]:
    for shape, side in (((1, 4, 2, 2), 2), ((2, 12, 2, 3), 2), ((1, 18, 2, 3), 3)):
        x = torch.arange(float(torch.Size(shape).numel())).reshape(shape)
        yield Seen(f"x = arange(...).reshape{shape}, side {side}", ask(x, side))
    yield Seen("the gradient for x there", ask(x.requires_grad_(), side, want="gradients"))


WRONG = [
    Swap("folded-again", "with the permutation of `folded` used again", 
         "the order of the six axes: this permutation is not its own inverse",
         "permute(0, 1, 4, 2, 5, 3)", "permute(0, 1, 3, 5, 2, 4)"),
]  # fmt: skip


@wrong(
    "with a reshape alone, which keeps the order in memory",
    "the order of the axes between two reshapes: it has to be exchanged",
)
def reshaped(x: Tensor, side: int) -> Tensor:
    return x.reshape(len(x), -1, x.shape[2] * side, x.shape[3] * side)


@wrong("with columns before rows inside a square", "the places of i and j: i moves a pixel down, j to the right")
def columns_first(x: Tensor, side: int) -> Tensor:
    b, c, h, w = x.shape
    return x.reshape(b, -1, side, side, h, w).permute(0, 1, 4, 3, 5, 2).reshape(b, -1, h * side, w * side)


@wrong("with the place in the square before the channel", "the number of a channel, in which c counts slowest")
def place_before_channel(x: Tensor, side: int) -> Tensor:
    b, c, h, w = x.shape
    return x.reshape(b, side, side, c // side**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(b, -1, h * side, w * side)


@wrong("when channels become large tiles side by side", "the axes before the last reshape: i belongs behind r")
def large_tiles(x: Tensor, side: int) -> Tensor:
    b, c, h, w = x.shape
    return x.reshape(b, -1, side, side, h, w).permute(0, 1, 2, 4, 3, 5).reshape(b, -1, h * side, w * side)


@wrong(
    "when one channel is stretched over the whole square", "the channels: every pixel of a square has one of its own"
)
def stretched(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x[:, :: side**2], scale_factor=float(side), mode="nearest")


@right
def by_pixel_shuffle(x: Tensor, side: int) -> Tensor:
    return F.pixel_shuffle(x, side)


@right
def by_slices(x: Tensor, side: int) -> Tensor:
    batch, channels, height, width = x.shape
    image = torch.empty(batch, channels // side**2, height * side, width * side)
    for i in range(side):
        for j in range(side):
            image[:, :, i::side, j::side] = x[:, i * side + j :: side**2]
    return image


@right
def by_fold(x: Tensor, side: int) -> Tensor:
    height, width = x.shape[2:]
    return F.fold(x.flatten(2), (height * side, width * side), side, stride=side)
