"""What canvases are painted with: textures, colours, and how digits and shapes cover a ground. Whole numbers only."""

import functools
import math

import numpy as np
from numpy.typing import NDArray

from diffcli.core.randomness import uniform

Whole = NDArray[np.int16]
Places = NDArray[np.int32]
FULL = 128  # coverage of a pixel that is covered wholly, and the lightest of a texture
TILE = 128  # pixels after which a texture repeats, at 128 pixels a side
TEXTURES = 24
KINDS = ("clouds", "marble", "grain")
SMOOTH = 256  # parts of a cell of noise
DIRECTIONS = 96  # in a whole turn; 256 of their cosines are at least 0.01 from where rounding is in doubt

INKS = {
    "red": (255, 92, 84),
    "orange": (255, 158, 58),
    "yellow": (255, 226, 84),
    "green": (124, 255, 110),
    "cyan": (92, 246, 255),
    "blue": (112, 164, 255),
    "violet": (192, 138, 255),
    "pink": (255, 132, 206),
}
"""Colours of digits: light and saturated, one channel full."""

GROUNDS = {
    "blue": ((8, 14, 40), (44, 72, 112)),
    "teal": ((4, 26, 34), (32, 96, 98)),
    "green": ((8, 26, 14), (60, 98, 58)),
    "olive": ((26, 24, 10), (98, 92, 46)),
    "brown": ((30, 18, 10), (108, 76, 50)),
    "wine": ((36, 8, 18), (108, 46, 62)),
    "purple": ((24, 12, 40), (86, 58, 112)),
    "grey": ((16, 18, 22), (88, 92, 100)),
}
"""The darkest and the lightest colour of a ground."""

TONES = {
    "blue": (46, 78, 122),
    "teal": (34, 108, 108),
    "green": (66, 108, 62),
    "olive": (110, 104, 54),
    "brown": (124, 88, 60),
    "wine": (122, 52, 68),
    "purple": (98, 68, 124),
    "grey": (104, 108, 116),
}
"""Colours of plain shapes: dimmer than digits, lighter than most grounds."""


def numbers(stream: str, count: int, each: int, seed: int) -> NDArray[np.int64]:
    """Random whole numbers from 0 to 2^24 - 1, [count, each]: the same on every machine."""
    return (uniform(seed, stream, range(count), (each,)) * 2**24).long().numpy()


def chosen(
    numbers: NDArray[np.int64], least: NDArray[np.int64] | int, most: NDArray[np.int64] | int
) -> NDArray[np.int64]:
    """Random whole numbers from `least` to `most`, both included, of such as `numbers` gives."""
    return least + (numbers * (most - least + 1) >> 24)


@functools.cache
def textures(side: int, seed: int) -> Whole:
    """All textures, 0 ... `FULL`, [TEXTURES, 2 tile, 2 tile] for canvases of 64 or 128: each repeated once both ways.

    Those of 64 are the means of 2 x 2 pixels of those of 128.
    """
    if side == TILE:
        found = np.stack([_texture(i, seed) for i in range(TEXTURES)])
    else:
        large = textures(TILE, seed)[:, :TILE, :TILE].astype(np.int32).reshape(TEXTURES, TILE // 2, 2, TILE // 2, 2)
        found = large.sum((2, 4)) + 2 >> 2
    return np.tile(found.astype(np.int16), (1, 2, 2))


def _texture(number: int, seed: int) -> NDArray[np.int64]:
    """One that continues at its edges, 0 ... FULL."""
    kind = KINDS[number % len(KINDS)]
    cells = {"clouds": (4, 8, 16), "marble": (4, 8), "grain": (8, 32, 64)}[kind]
    noise = np.zeros((TILE, TILE), np.int64)
    for octave, count in enumerate(cells):
        noise = noise + (_noise(count, f"{number} {octave}", seed) >> octave)
    if kind == "marble":
        run = np.arange(TILE) * (2 + number % 5)
        noise = noise * 3 // 4 + (run[:, None] if number % 2 else run[None, :]) * 256 // TILE
        noise = np.abs(noise % 256 - 128)
        return noise * noise * (3 * 128 - 2 * noise) >> 14
    least, most = noise.min(), noise.max()
    return (noise - least) * FULL // (most - least)


def _noise(cells: int, stream: str, seed: int) -> NDArray[np.int64]:
    """Random heights at corners of cells, 0 ... 255, joined smoothly: [TILE, TILE], continued at its edges."""
    heights = numbers(f"canvas texture {stream}", cells, cells, seed) >> 16
    size = TILE // cells
    cell, within = np.divmod(np.arange(TILE), size)
    part = within * SMOOTH // size
    part = part * part * (3 * SMOOTH - 2 * part) // SMOOTH**2
    rows = heights[cell] * (SMOOTH - part)[:, None] + heights[(cell + 1) % cells] * part[:, None]
    found = rows[:, cell] * (SMOOTH - part) + rows[:, (cell + 1) % cells] * part
    return found // SMOOTH**2


@functools.cache
def resampling(side: int) -> NDArray[np.float32]:
    """Weights [side, 28] that bring 28 pixels to so many: whole numbers that sum to 64 in each row.

    Linear between the middles of pixels, or the mean of what a smaller number covers. Products of bytes with two of
    them stay below 2^24, where float32 counts exactly, in whatever order it sums.
    """
    found = np.zeros((side, 28), np.int64)
    for place in range(side):
        middle, reach = (2 * place + 1) * 28, max(2 * side, 2 * 28)  # in parts of 2 side to a pixel
        weights = [max(0, reach - abs((2 * i + 1) * side - middle)) for i in range(28)]
        shares = [64 * weight // sum(weights) for weight in weights]
        order = sorted(range(28), key=lambda i: (shares[i] * sum(weights) - 64 * weights[i], i))
        for i in order[: 64 - sum(shares)]:
            shares[i] += 1
        found[place] = shares
    return found.astype(np.float32)


def digit(image: NDArray[np.uint8], side: int) -> Whole:
    """A digit [28, 28] as coverage [side, side], 0 ... FULL, its edges four times as steep."""
    weights = resampling(side)
    ink = (weights @ image.astype(np.float32) @ weights.T).astype(np.int32) >> 11
    return _held(ink - (256 - FULL // 2))


def disc(rows: Places, columns: Places, radius: int) -> Whole:
    """Coverage [H, W] of a disc. rows, columns: of pixels, from its middle; as the radius in sixteenths of a pixel"""
    inside = (radius * radius - ((rows * rows)[:, None] + columns * columns)) // (2 * radius)
    return _held(inside * 8 + FULL // 2)


def polygon(rows: Places, columns: Places, inner: int, corners: int, turn: int) -> Whole:
    """Coverage [H, W] of a polygon with 3 or 4 equal sides, as a disc's. inner: radius of the disc in it

    turn:  in `DIRECTIONS` to a whole one
    """
    furthest: Places | None = None
    for edge in range(corners):
        angle = 2 * math.pi * (turn + edge * DIRECTIONS // corners) / DIRECTIONS
        across, down = round(256 * math.cos(angle)), round(256 * math.sin(angle))
        out = (down * rows)[:, None] + across * columns
        furthest = out if furthest is None else np.maximum(furthest, out)
    assert furthest is not None
    return _held(((256 * inner - furthest) >> 8) * 8 + FULL // 2)


def _held(coverage: Places) -> Whole:
    """From 0 to FULL; np.clip takes three times as long for few numbers."""
    return np.minimum(np.maximum(coverage, 0, out=coverage), FULL, out=coverage).astype(np.int16)


def cover(place: Whole, colour: Whole, coverage: Whole) -> None:
    """Paint over a part of a canvas [3, H, W] by a colour [3, 1, 1], as far as each pixel is covered [H, W]."""
    place += (colour - place) * coverage >> 7  # within 16 bits: 255 x 128


def shade(place: Whole, coverage: Whole) -> None:
    """Darken a part of a canvas [3, H, W], by half where it is covered."""
    place -= place * coverage >> 8
