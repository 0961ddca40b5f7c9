"""Pictures that a model can be told of an image, computed from it: [B, C, H, W] in [-1, 1] -> [B, k, H, W] in [-1, 1].

Nothing here asks a tensor for a number, so that all of it can be recorded and played back on an accelerator.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d, pad

EDGE_SMOOTHING = 0.8  # pixels
STRONG, WEAK = 0.25, 0.1  # of the steepest gradient: an edge begins at the first and goes on at the second
FOLLOWED = 16  # pixels that an edge goes on without a strong one
FLAT = 0.05  # a gradient for a pixel, where the range is 2: an image without steeper ones has no edges
TIE = 1e-4  # gradients as much as this apart, of their size, count as equal
SKETCH_SMOOTHING = 1.0  # pixels
BLURRED = 14  # parts of the longer side that one standard deviation of the blur is
COARSE = 4  # pixels of a side that are one in the low resolution
GREY = 0.006  # a hole is painted 0, which is between two of 256 greys: these are as far from it at most
SHORTEST, LONGEST = 0.25, 0.75  # sides of a hole, of those of the image
PRIME = 2**31 - 1  # of Lehmer's random numbers, with
FACTOR = 48271  # as his factor (Park, Miller & Stockmeyer 1993)
LIGHT = 145  # of 255: what a canvas shows in a brighter channel than this is a digit


def edges(images: Tensor) -> Tensor:
    """Where brightness or a colour changes most steeply, 1 on -1, one pixel thick, on the lighter side [B, 1, H, W].

    Smoothing, gradients, only what is steepest across the edge, and weak edges where they go on from strong ones
    (Canny 1986); thresholds are relative to the steepest gradient in the image. Of colours the steepest counts.
    """
    down, right, steep = _gradients(smoothed(images, EDGE_SMOOTHING))
    ridge = steep * _is_ridge(down, right, steep)
    most = steep.amax((1, 2, 3), keepdim=True)
    found, weak = (ridge > (share * most).clamp(min=FLAT) for share in (STRONG, WEAK))
    line, way = found.float(), weak.float()
    for _ in range(FOLLOWED):
        line = max_pool2d(line, 3, 1, 1) * way
    return 2 * line - 1


def sketch(images: Tensor) -> Tensor:
    """A soft line drawing: squares of the smoothed image's gradients, of the largest [B, 1, H, W]."""
    _, _, steep = _gradients(smoothed(images, SKETCH_SMOOTHING))
    most = steep.amax((1, 2, 3), keepdim=True).clamp(min=FLAT)
    return 2 * (steep / most).square() - 1


def blur(images: Tensor) -> Tensor:
    """Smoothed so far that only colours and their places are left; each channel's mean stays [B, C, H, W]."""
    return smoothed(images, max(images.shape[-2:]) / BLURRED).clamp(-1, 1)


def lowres(images: Tensor) -> Tensor:
    """The mean of each square of 4 x 4 pixels, in all of them [B, C, H, W]; at the far edges of what there is."""
    height, width = images.shape[-2:]
    small = avg_pool2d(images, COARSE, ceil_mode=True, count_include_pad=False)
    return small.repeat_interleave(COARSE, -2).repeat_interleave(COARSE, -1)[..., :height, :width]


def mask(images: Tensor) -> Tensor:
    """1 where something is, else -1 [B, 1, H, W]: grey above the middle, or in colour the digits of a canvas."""
    threshold = 0.0 if images.shape[1] == 1 else LIGHT / 127.5 - 1
    return 2 * (images.amax(1, keepdim=True) > threshold).float() - 1


def hole(images: Tensor) -> Tensor:
    """The images with a box painted grey, 0, of any size from a quarter to three quarters of their sides [B, C, H, W].

    Where it lies is drawn by the pixels themselves, as 8-bit numbers: an image has one hole, and another has another.
    """
    height, width = images.shape[-2:]
    values = ((images.flatten(1) + 1) * 127.5).round().long()
    places = torch.arange(1, values.shape[1] + 1, device=images.device)
    state = (values * (places * FACTOR % PRIME)).sum(1) % (PRIME - 1) + 1
    inside = torch.ones(len(images), 1, height, width, dtype=torch.bool, device=images.device)
    for side, across in ((height, -1), (width, -2)):
        state, of_length = _next(state)
        state, of_place = _next(state)
        length = (side * (SHORTEST + (LONGEST - SHORTEST) * of_length)).round().clamp(1, side)
        first = ((side - length + 1) * of_place).floor()
        pixel = torch.arange(side, device=images.device)
        found = (pixel >= first.unsqueeze(1)) & (pixel < (first + length).unsqueeze(1))
        inside &= found[:, None].unsqueeze(across)
    return torch.where(inside, 0.0, images)


def is_hole(hints: Tensor) -> Tensor:
    """Where images [B, C, H, W] in [-1, 1] are painted grey, or are so themselves: bool [B, 1, H, W]."""
    return (hints.abs() < GREY).all(1, keepdim=True)


def _next(state: Tensor) -> tuple[Tensor, Tensor]:
    """The next states [B] of a Lehmer generator, and uniform numbers in [0, 1)."""
    for _ in range(3):  # small differences between states are gone after some steps
        state = state * FACTOR % PRIME
    return state, (state >> 8).float() / 2**23


def smoothed(images: Tensor, deviation: float) -> Tensor:
    """By a Gaussian of so many pixels; beyond its edges the image is mirrored, so that each channel keeps its mean."""
    height, width = images.shape[-2:]
    rows, columns = (_smoothing(side, deviation, images.device).to(images.dtype) for side in (height, width))
    return rows @ images @ columns


def _smoothing(side: int, deviation: float, device: torch.device) -> Tensor:
    """The symmetric matrix [side, side] of the smoothing of a row; each row and column sums to 1."""
    reach = math.ceil(4 * deviation)
    total = sum(math.exp(-0.5 * (step / deviation) ** 2) for step in range(-reach, reach + 1))
    row, column = torch.arange(side, device=device).unsqueeze(1), torch.arange(side, device=device)
    found = torch.zeros(side, side, device=device)
    for turn in range(-(reach // (2 * side)) - 1, reach // (2 * side) + 2):  # mirrored twice is shifted by 2 side
        for away in (row - column + 2 * side * turn, row + column + 1 + 2 * side * turn):
            found += torch.exp(-0.5 * (away / deviation).square()) * (away.abs() <= reach)
    return found / total


def _gradients(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sobel's gradients for a pixel, down and right, and their size, of the steepest channel [B, 1, H, W]."""
    x = pad(images, (1, 1, 1, 1), mode="replicate")
    rows = (x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]) / 4
    columns = (x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]) / 4
    down = (rows[..., 2:, :] - rows[..., :-2, :]) / 2
    right = (columns[..., 2:] - columns[..., :-2]) / 2
    size, channel = (down.square() + right.square()).sqrt().max(1, keepdim=True)
    return down.gather(1, channel), right.gather(1, channel), size


def _is_ridge(down: Tensor, right: Tensor, steep: Tensor) -> Tensor:
    """Whether no neighbour across the edge is steeper; of two that are alike the lighter one counts."""
    height, width = steep.shape[-2:]
    around = pad(steep, (1, 1, 1, 1))
    slanted = math.tan(math.pi / 8)
    upright, level = down.abs() > slanted * right.abs(), right.abs() > slanted * down.abs()
    vertical, horizontal = down.sign() * upright, right.sign() * level  # where it becomes lighter: -1, 0 or 1
    found = torch.zeros_like(steep, dtype=torch.bool)
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        there = around[..., 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        back = around[..., 1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        for sign, lighter, darker in ((1, there, back), (-1, back, there)):
            here = (vertical == sign * dy) & (horizontal == sign * dx)
            found |= here & (steep > lighter * (1 + TIE)) & (steep * (1 + TIE) >= darker)
    return found
