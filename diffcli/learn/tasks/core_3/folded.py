"""Every number of the images is another one, so the truth, a loop over the places, sees where each of them went."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, right, wrong


def folded(x: Tensor, side: int) -> Tensor:
    """Squares of pixels as channels: a smaller image with more channels, and nothing is lost.

    x:     [B, C, H, W]
    side:  of a square in pixels; it divides H and W

    Returns [B, C * side**2, H / side, W / side]. Its channel c * side**2 + i * side + j holds at row r and column q
    what channel c of x holds at row r * side + i and column q * side + j; all of them count from 0. It is made of x by
    torch, so that gradients pass.
    """
    batch, channels, height, width = x.shape
    squares = x.reshape(batch, channels, height // side, side, width // side, side)
    return squares.permute(0, 1, 3, 5, 2, 4).reshape(batch, channels * side**2, height // side, width // side)


def truth(x: Tensor, side: int) -> Tensor:
    batch, channels, height, width = x.shape
    found = torch.zeros(batch, channels * side**2, height // side, width // side)
    for c in range(channels):
        for row in range(height):
            for column in range(width):
                channel = c * side**2 + row % side * side + column % side
                found[:, channel, row // side, column // side] = x[:, c, row, column]
    return found


def questions(ask: Ask) -> Iterator[Seen]:
    for shape, side in (((1, 1, 4, 4), 2), ((2, 3, 4, 6), 2), ((1, 2, 6, 9), 3)):
        x = torch.arange(float(torch.Size(shape).numel())).reshape(shape)
        yield Seen(f"x = arange(...).reshape{shape}, side {side}", ask(x, side))
    yield Seen("the gradient for x there", ask(x.requires_grad_(), side, want="gradients"))


@wrong(
    "with a reshape alone, which keeps the order in memory",
    "the order of the axes between two reshapes: it has to be exchanged",
)
def reshaped(x: Tensor, side: int) -> Tensor:
    return x.reshape(len(x), -1, x.shape[2] // side, x.shape[3] // side)


@wrong("with columns before rows inside a square", "the order of i and j in the number of a channel")
def columns_first(x: Tensor, side: int) -> Tensor:
    b, c, h, w = x.shape
    squares = x.reshape(b, c, h // side, side, w // side, side)
    return squares.permute(0, 1, 5, 3, 2, 4).reshape(b, -1, h // side, w // side)


@wrong("with the place in the square before the channel", "the number of a channel, in which c counts slowest")
def place_before_channel(x: Tensor, side: int) -> Tensor:
    b, c, h, w = x.shape
    squares = x.reshape(b, c, h // side, side, w // side, side)
    return squares.permute(0, 3, 5, 1, 2, 4).reshape(b, -1, h // side, w // side)


@wrong("when the image is cut into side² large tiles", "the pixels of a square, which lie side by side")
def large_tiles(x: Tensor, side: int) -> Tensor:
    b, c, h, w = x.shape
    tiles = x.reshape(b, c, side, h // side, side, w // side)
    return tiles.permute(0, 1, 2, 4, 3, 5).reshape(b, -1, h // side, w // side)


@wrong("when all channels of a square hold its first pixel", "the beginning of each slice, which i and j move")
def first_pixel(x: Tensor, side: int) -> Tensor:
    return x[:, :, ::side, ::side].repeat_interleave(side**2, dim=1)


@right
def by_pixel_unshuffle(x: Tensor, side: int) -> Tensor:
    return F.pixel_unshuffle(x, side)


@right
def by_slices(x: Tensor, side: int) -> Tensor:
    slices = [x[:, :, i::side, j::side] for i in range(side) for j in range(side)]
    return torch.stack(slices, dim=2).flatten(1, 2)


@right
def by_unfold(x: Tensor, side: int) -> Tensor:
    return F.unfold(x, side, stride=side).reshape(len(x), -1, x.shape[2] // side, x.shape[3] // side)
