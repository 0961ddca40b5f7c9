"""The bundled data set of canvases: MNIST's digits in colours over textured grounds, and everything known of them.

An item depends on its split and its number alone, and is painted when asked for, in whole numbers, so that it has the
same bytes on every machine. Canvases of 128 pixels a side show the scenes of those of 64.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffcli.data.canvas_names import SIDES
from diffcli.data.canvas_paint import (
    FULL,
    GROUNDS,
    INKS,
    TONES,
    Places,
    Whole,
    cover,
    digit,
    disc,
    polygon,
    shade,
    textures,
)
from diffcli.data.canvas_scenes import SEED, SIDE, Scenes, scenes
from diffcli.data.conditions import CLASSES
from diffcli.data.dataset import Chosen, Dataset, Storage
from diffcli.data.fitting import digest
from diffcli.data.kinds import IMAGES, Items
from diffcli.errors import UsageProblem

HALF = FULL // 2
SHADOW = 1  # pixels down and to the right, of 64
CORNERS = (0, 4, 3)  # of shapes
FIRST_SHAPE = 1 + CLASSES  # its number in a mask
KNOWN = ("mask", "layout")  # conditions whose hints `with_hints` gives
INK, TONE, DARK, LIGHTER = (
    np.array(list(colours), np.int16).reshape(-1, 3, 1, 1)
    for colours in (
        INKS.values(), TONES.values(), [dark for dark, _ in GROUNDS.values()],
        [[b - a for a, b in zip(*pair, strict=True)] for pair in GROUNDS.values()],
    )
)  # fmt: skip


class Box(NamedTuple):
    """Where a digit is: its class, and columns and rows from the first to the one after the last."""

    label: int
    left: int
    top: int
    right: int
    bottom: int


class Patch(NamedTuple):
    """A digit or a shape in its place: rows, columns, coverage [H, W], colour [3, 1, 1], number in the mask."""

    rows: slice
    columns: slice
    coverage: Whole
    colour: Whole
    number: int


@dataclass(frozen=True)
class Canvases:
    """The canvases of a split, painted one by one: uint8 [3, side, side]."""

    scenes: Scenes
    side: int

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Tensor:
        index = range(len(self))[index]
        canvas, digits = self._ground(index), self.digits(index)
        for shape in self.shapes(index):
            cover(canvas[:, shape.rows, shape.columns], shape.colour, shape.coverage)
        step = SHADOW * self.side // SIDE
        for one in digits:
            rows, columns = (slice(part.start + step, part.stop + step) for part in (one.rows, one.columns))
            place = canvas[:, rows, columns]
            shade(place, one.coverage[: place.shape[1], : place.shape[2]])
        for one in digits:
            cover(canvas[:, one.rows, one.columns], one.colour, one.coverage)
        return torch.from_numpy(canvas.astype(np.uint8))

    def mask(self, index: int) -> NDArray[np.uint8]:
        """What is where [side, side]: 0 the ground, 1 + class a digit, then disc, box and triangle."""
        found = np.zeros((self.side, self.side), np.uint8)
        for one in (*self.shapes(index), *self.digits(index)):
            found[one.rows, one.columns][one.coverage >= HALF] = one.number
        return found

    def boxes(self, index: int) -> list[Box]:
        """Of the digits, the largest first."""
        found = []
        for one in self.digits(index):
            ink = one.coverage >= HALF
            rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
            left, top = one.columns.start, one.rows.start
            ends = left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1
            found.append(Box(one.number - 1, *map(int, ends)))
        return found

    def digits(self, index: int) -> list[Patch]:
        """As they lie on the canvas, the largest first."""
        scale, found = self.side // SIDE, []
        for (label, colour, side, top, left), which in zip(
            self.scenes.digits[index].tolist(), self.scenes.which[index].tolist(), strict=True
        ):
            if label >= 0:
                coverage = digit(self.scenes.images[which], side * scale)
                rows, columns = (_within(first * scale, side * scale, self.side) for first in (top, left))
                seen = coverage[_shown(rows, top * scale), _shown(columns, left * scale)]
                found.append(Patch(rows, columns, seen, INK[colour], 1 + label))
        return found

    def shapes(self, index: int) -> list[Patch]:
        """As they lie on the canvas, those below first."""
        scale, found = self.side // SIDE, []
        for kind, colour, *numbers in self.scenes.shapes[index].tolist():
            if kind >= 0:
                inner, row, column, turn = (scale * n for n in numbers)
                reach = (inner * (16, 23, 32)[kind] >> 8) + 2
                rows, columns = (_within((at >> 4) - reach, 2 * reach, self.side) for at in (row, column))
                down, across = _away(rows, row), _away(columns, column)
                corners = CORNERS[kind]
                if corners:
                    coverage = polygon(down, across, inner, corners, turn // scale)
                else:
                    coverage = disc(down, across, inner)
                found.append(Patch(rows, columns, coverage, TONE[colour], FIRST_SHAPE + kind))
        return found

    def _ground(self, index: int) -> Whole:
        """int16 [3, side, side]."""
        colour, *numbers = self.scenes.ground[index].tolist()
        bank, scale = textures(self.side, SEED), self.side // SIDE
        parts = [
            bank[texture, scale * y : scale * y + self.side, scale * x : scale * x + self.side]
            for texture, y, x in (numbers[:3], numbers[3:])
        ]
        light = parts[0] + parts[1] >> 1
        found: Whole = (LIGHTER[colour] * light >> 7) + DARK[colour]
        return found


@dataclass(frozen=True)
class CanvasHints:
    """What is known of canvases as hints, 0 or 255: where digits are [1, side, side], or boxes by class [10, ...]."""

    canvases: Canvases
    condition: str

    def __len__(self) -> int:
        return len(self.canvases)

    def __getitem__(self, index: int) -> Tensor:
        side = self.canvases.side
        found = torch.zeros(CLASSES if self.condition == "layout" else 1, side, side, dtype=torch.uint8)
        if self.condition == "layout":
            for box in self.canvases.boxes(index):
                found[box.label, box.top : box.bottom, box.left : box.right] = 255
        else:
            for one in self.canvases.digits(index):
                found[0, one.rows, one.columns] |= torch.from_numpy((one.coverage >= HALF).astype(np.uint8) * 255)
        return found


def canvas_dataset(name: str, split: str) -> Dataset:
    """The canvases of a split; raises DataProblem where MNIST is not whole."""
    found = Canvases(scenes(split), SIDES[name])
    known = (found.scenes.digits, found.scenes.which, found.scenes.shapes, found.scenes.ground)
    mark = digest(name.encode(), *(one.tobytes() for one in known), *(found[i].numpy().tobytes() for i in range(8)))
    items = Items(IMAGES, (3, found.side, found.side), tuple("0123456789"))
    return Dataset(name, items, found, torch.from_numpy(found.scenes.digits[:, 0, 0].astype(np.int64)), mark)


def with_hints(dataset: Dataset, condition: str) -> Dataset:
    """Canvases with what is known of them as hints: `mask` or `layout`; raises UsageProblem for other data."""
    if condition not in KNOWN:
        raise UsageProblem(f"no hint {condition} is known of canvases", f"there are {' and '.join(KNOWN)}")
    return replace(dataset, hints=_hints(dataset.storage, condition, dataset.name))


def _hints(storage: Storage, condition: str, name: str) -> Storage:
    if isinstance(storage, Chosen):
        return Chosen(_hints(storage.storage, condition, name), storage.places)
    if not isinstance(storage, Canvases):
        raise UsageProblem(f"no {condition} is known of {name}", "it is of canvas-64 and canvas-128; see data.hints")
    return CanvasHints(storage, condition)


def _away(part: slice, middle: int) -> Places:
    """From the middle of a shape to those of pixels, in sixteenths of one."""
    return 16 * np.arange(part.start, part.stop, dtype=np.int32) + 8 - middle


def _within(first: int, count: int, side: int) -> slice:
    return slice(min(max(0, first), side), max(0, min(side, first + count)))


def _shown(part: slice, first: int) -> slice:
    return slice(part.start - first, part.stop - first)
