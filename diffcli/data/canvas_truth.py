"""All that is known of a canvas, as pictures and in words."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffcli.core.processes.hints import COARSE
from diffcli.data.canvas import Box, Canvases, CanvasHints
from diffcli.data.canvas_paint import GROUNDS, INKS
from diffcli.data.canvas_scenes import SHAPES

COUNTED = {1: "a", 2: "two", 3: "three"}


@dataclass(frozen=True)
class Truth:
    """What is known of one canvas.

    image:    uint8 [3, S, S]
    label:    the class of the largest digit
    boxes:    of the digits, the largest first
    mask:     uint8 [S, S]: 0 the ground, 1 + class a digit, then 11 disc, 12 box, 13 triangle
    edges:    bool [S, S]: where the mask changes to the right or below
    layout:   bool [10, S, S]: the boxes of each class
    lowres:   uint8 [3, S / 4, S / 4], the means of squares, rounded
    caption:  in English
    """

    image: Tensor
    label: int
    boxes: tuple[Box, ...]
    mask: Tensor
    edges: Tensor
    layout: Tensor
    lowres: Tensor
    caption: str

    @property
    def document(self) -> dict[str, Any]:
        """For --json: what is no picture."""
        return {"class": self.label, "caption": self.caption, "boxes": [box._asdict() for box in self.boxes]}


def truth(canvases: Canvases, index: int) -> Truth:
    """All that is known of the canvas at a place."""
    image, boxes = canvases[index], tuple(canvases.boxes(index))
    mask, side = torch.from_numpy(canvases.mask(index)), canvases.side
    small = image.int().reshape(3, side // COARSE, COARSE, side // COARSE, COARSE).sum((2, 4))
    lowres = ((2 * small + COARSE**2) // (2 * COARSE**2)).to(torch.uint8)
    layout = CanvasHints(canvases, "layout")[index] > 0
    return Truth(image, boxes[0].label, boxes, mask, boundaries(mask), layout, lowres, caption(canvases, index))


def boundaries(mask: Tensor) -> Tensor:
    """Where the number in a mask [..., H, W] is another one to the right or below: bool, of the same shape."""
    found = torch.zeros_like(mask, dtype=torch.bool)
    found[..., :, :-1] |= mask[..., :, 1:] != mask[..., :, :-1]
    found[..., :-1, :] |= mask[..., 1:, :] != mask[..., :-1, :]
    return found


def caption(canvases: Canvases, index: int) -> str:
    """What is to be seen, as "a large yellow 3 above a small green 7, on a blue ground with two discs"."""
    scenes, names, colours = canvases.scenes, list(GROUNDS), list(INKS)
    digits = [(row[0], colours[row[1]]) for row in scenes.digits[index].tolist() if row[0] >= 0]
    boxes = canvases.boxes(index)
    others = [
        f"{_where(boxes[0], box)} a small {colour} {label}"
        for box, (label, colour) in zip(boxes[1:], digits[1:], strict=True)
    ]
    first = f"a large {digits[0][1]} {digits[0][0]}"
    ground = names[int(scenes.ground[index][0])]
    things = Counter(SHAPES[kind] for kind in scenes.shapes[index][:, 0].tolist() if kind >= 0)
    counted = [f"{COUNTED[count]} {_several(name, count)}" for name, count in things.items()]
    with_them = f" with {_joined(counted)}" if counted else ""
    return f"{first} {' and '.join(others)}".strip() + f", on {_article(ground)} {ground} ground{with_them}"


def _where(first: Box, other: Box) -> str:
    """Where the first is, seen from the other."""
    right = other.left + other.right - first.left - first.right
    down = other.top + other.bottom - first.top - first.bottom
    if abs(down) >= abs(right):
        return "above" if down > 0 else "below"
    return "left of" if right > 0 else "right of"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _several(name: str, count: int) -> str:
    return name if count == 1 else f"{name}{'es' if name.endswith('x') else 's'}"


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
