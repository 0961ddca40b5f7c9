"""What is on each canvas, and where: drawn for all of a split at once, in pixels of a canvas of 64 a side."""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffcli.data.canvas_names import COUNTS
from diffcli.data.canvas_paint import DIRECTIONS, GROUNDS, INKS, TEXTURES, chosen, numbers
from diffcli.data.published import DATASETS

SEED = 16
SIDE = 64
MOST = 3  # digits, and shapes
LARGE, SMALL = (40, 52), (20, 26)  # sides of the 28 x 28 pixels of MNIST's digits, the first and the others
TRIES = 12  # places that are tried for a digit beside the others; if none is free, it is left out
APART = 2  # pixels between boxes of digits
SHAPES = ("disc", "box", "triangle")
RADII = (64, 176)  # of discs in sixteenths of a pixel; of the disc in a box, and in a triangle, these parts of it:
INNER = (16, 13, 10)  # of 16
Draws = NDArray[np.int64]


@dataclass(frozen=True)
class Scenes:
    """A split, int16 but for `images`.

    images:  of MNIST, uint8 [M, 28, 28]
    digits:  [N, MOST, 5]: class (-1 is none), colour, side, top and left of its 28 x 28 pixels
    which:   of the images they are, int32 [N, MOST]
    shapes:  [N, MOST, 6]: kind (-1 is none), colour, inner radius, row and column of its middle in sixteenths, turn
    ground:  [N, 7]: colour, texture, row and column where it begins, and those of another texture
    """

    images: NDArray[np.uint8]
    digits: NDArray[np.int16]
    which: NDArray[np.int32]
    shapes: NDArray[np.int16]
    ground: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.ground)


@functools.cache
def scenes(split: str) -> Scenes:
    """Those of a split; all classes are as likely. Raises DataProblem where MNIST is not whole."""
    images, labels = DATASETS["mnist"].read(split, None)
    images, count = images[:, 0], COUNTS[split]
    digits, which = _digits(images, labels.astype(np.int64), split, count)
    drawn = numbers(f"canvas {split} ground", count, 7, SEED)
    ground = np.stack([chosen(drawn[:, i], 0, most - 1) for i, most in enumerate(
        (len(GROUNDS), TEXTURES, SIDE, SIDE, TEXTURES, SIDE, SIDE))], 1)  # fmt: skip
    shapes = _shapes(split, count, ground[:, 0])
    return Scenes(images, digits.astype(np.int16), which.astype(np.int32), shapes.astype(np.int16),
                  ground.astype(np.int16))  # fmt: skip


def _digits(images: NDArray[np.uint8], labels: Draws, split: str, count: int) -> tuple[Draws, Draws]:
    drawn = numbers(f"canvas {split} digits", count, 5 + MOST * (3 + 2 * TRIES), SEED)
    wanted = 1 + chosen(drawn[:, 0], 0, MOST - 1)
    colours = _different(drawn[:, 1:4], len(INKS))
    by_class = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels, minlength=10)
    begins = np.cumsum(sizes) - sizes
    ink = _ink(images)
    digits, which = np.full((count, MOST, 5), -1), np.zeros((count, MOST), np.int64)
    taken: list[Draws] = []  # boxes: top, left, bottom, right, [N] each
    for i in range(MOST):
        some = drawn[:, 5 + i * (3 + 2 * TRIES) :][:, : 3 + 2 * TRIES]
        label = chosen(some[:, 0], 0, 9)
        image = by_class[begins[label] + chosen(some[:, 1], 0, sizes[label] - 1)]
        side = chosen(some[:, 2], *(LARGE if i == 0 else SMALL))
        top, left, bottom, right = (ink[image, j] * side for j in range(4))
        inset = np.stack([top // 28, left // 28, -(-bottom // 28), -(-right // 28)])  # of the ink in its own pixels
        height, width = inset[2] - inset[0], inset[3] - inset[1]
        placed = np.zeros(count, bool)
        box = np.full((4, count), -2 * SIDE)
        for k in range(TRIES if i else 1):
            y = chosen(some[:, 3 + 2 * k], 1, SIDE - 2 - height)
            x = chosen(some[:, 4 + 2 * k], 1, SIDE - 2 - width)
            here = np.stack([y, x, y + height, x + width])
            free = (wanted > i) & ~placed
            for other in taken:
                free &= _are_apart(here, other)
            box = np.where(free, here, box)
            placed |= free
        taken.append(box)
        row = np.stack([label, colours[:, i], side, box[0] - inset[0], box[1] - inset[1]], 1)
        digits[:, i] = np.where(placed[:, None], row, -1)
        which[:, i] = image
    return digits, which


def _ink(images: NDArray[np.uint8]) -> Draws:
    """Where the ink of each begins and ends: top, left, bottom, right [M, 4]."""
    inked = images >= 64
    ends = []
    for axis in (2, 1):
        line = np.asarray(inked.any(axis))
        ends += [line.argmax(1), 28 - line[:, ::-1].argmax(1)]
    return np.stack([ends[0], ends[2], ends[1], ends[3]], 1)


def _are_apart(a: Draws, b: Draws) -> NDArray[np.bool_]:
    """Whether boxes have `APART` pixels between them, [4, N] each."""
    gaps = np.concatenate([a[:2] - b[2:], b[:2] - a[2:]])
    return np.asarray(gaps.max(0) >= APART)


def _different(drawn: Draws, count: int) -> Draws:
    """Numbers from 0 to count - 1 that differ in each row of three [N, 3]."""
    first = chosen(drawn[:, 0], 0, count - 1)
    second, third = 1 + chosen(drawn[:, 1], 0, count - 2), 1 + chosen(drawn[:, 2], 0, count - 3)
    third = third + (third >= second)
    return np.stack([first, (first + second) % count, (first + third) % count], 1)


def _shapes(split: str, count: int, ground: Draws) -> Draws:
    drawn = numbers(f"canvas {split} shapes", count, 1 + MOST * 6, SEED)
    wanted = chosen(drawn[:, 0], 0, MOST)
    colours = _different(drawn[:, [1, 7, 13]], len(GROUNDS) - 1)
    found = np.full((count, MOST, 6), -1)
    for i in range(MOST):
        some = drawn[:, 1 + 6 * i :]
        kind = chosen(some[:, 1], 0, len(SHAPES) - 1)
        inner = chosen(some[:, 2], *RADII) * np.array(INNER)[kind] >> 4
        middle = [chosen(some[:, j], 16 * 4, 16 * (SIDE - 4)) for j in (3, 4)]
        turn = chosen(some[:, 5], 0, DIRECTIONS - 1)
        row = np.stack([kind, (ground + 1 + colours[:, i]) % len(GROUNDS), inner, *middle, turn], 1)
        found[:, i] = np.where((wanted > i)[:, None], row, -1)
    return found
