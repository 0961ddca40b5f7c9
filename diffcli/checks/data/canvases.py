"""Canvases: that what is known of them is what can be seen, in both sizes, and that their bytes are what they were."""

import hashlib
from collections.abc import Iterator

import numpy as np
import torch

from diffcli.checks.check import Finding, check, near
from diffcli.data.canvas import Canvases, CanvasHints
from diffcli.data.canvas_scenes import scenes
from diffcli.data.canvas_truth import truth

COUNT = 24
LIGHT = 145  # a digit has a channel that is lighter, and nothing else has
PINNED = {64: 0x8F7702, 128: 0x55A5F1}  # the first six digits of the sha256 of the first canvases


def _sizes() -> tuple[Canvases, Canvases]:
    return Canvases(scenes("test"), 64), Canvases(scenes("test"), 128)


@check("the first canvases have the bytes that they had", "their digest")
def canvas_bytes() -> Iterator[Finding]:
    for canvases in _sizes():
        found = hashlib.sha256(b"".join(canvases[i].numpy().tobytes() for i in range(COUNT))).hexdigest()
        yield near(f"{canvases.side} pixels a side", PINNED[canvases.side], int(found[:6], 16))


@check("digits are where the mask says: what is light in the image", "one channel above 145 of 255")
def canvas_masks() -> Iterator[Finding]:
    for canvases in _sizes():
        shares = []
        for i in range(COUNT):
            seen = canvases[i].numpy().max(0) > LIGHT
            known = (canvases.mask(i) >= 1) & (canvases.mask(i) <= 10)
            hint = CanvasHints(canvases, "mask")[i][0].numpy()
            yield near(f"hint {i}", torch.from_numpy(255 * known), torch.from_numpy(hint))
            shares.append((seen & known).sum() / (seen | known).sum())
        yield near(f"overlap at {canvases.side}", 1, float(np.mean(shares)), abs=0.03)


@check("a canvas of 128 averaged by 2 x 2 is the canvas of 64, but for the edges of what is on it", "the mean")
def canvas_sizes() -> Iterator[Finding]:
    small, large = _sizes()
    for i in range(COUNT):
        halved = large[i].numpy().astype(float).reshape(3, 64, 2, 64, 2).mean((2, 4))
        away = np.abs(halved - small[i].numpy())
        yield near(f"canvas {i}: mean difference", 0, float(away.mean()), abs=2.5)
        yield near(f"canvas {i}: of the middle pixel", 0, float(np.median(away)), abs=0.75)
        yield near(f"canvas {i}: captions", 1, float(truth(small, i).caption == truth(large, i).caption))


@check("label, boxes, layout, edges and low resolution are those of the mask and the image", "the definitions")
def canvas_truths() -> Iterator[Finding]:
    for canvases in _sizes():
        side = canvases.side
        for i in range(COUNT // 2):
            found, mask = truth(canvases, i), canvases.mask(i)
            first = found.boxes[0]
            areas = [(box.bottom - box.top) * (box.right - box.left) for box in found.boxes]
            yield near(f"{i}: the label is the first digit's", found.label, int(canvases.scenes.digits[i, 0, 0]))
            heights = [box.bottom - box.top for box in found.boxes]
            yield near(
                f"{i}: which is the tallest, or the widest",
                1,
                float(heights[0] == max(heights) or areas[0] == max(areas)),
            )
            layout = np.zeros((10, side, side))
            for box in found.boxes:
                layout[box.label, box.top : box.bottom, box.left : box.right] = 1
                ink = mask[box.top : box.bottom, box.left : box.right] == 1 + box.label
                tight = ink[0].any() and ink[-1].any() and ink[:, 0].any() and ink[:, -1].any()
                yield near(f"{i}: the box of a {box.label} is tight", 1, float(tight))
            yield near(f"{i}: layout", torch.from_numpy(layout), found.layout.double())
            inside = layout.any(0)
            yield near(f"{i}: digits outside of boxes", 0, int(((mask >= 1) & (mask <= 10) & ~inside).sum()))
            shown = mask[first.top : first.bottom, first.left : first.right]
            yield near(f"{i}: shapes over the digit", 0, _ink_hidden(canvases, i, shown))
            y, x = np.nonzero(mask[:-1, :-1] != mask[:-1, 1:])
            yield near(f"{i}: edges to the right", 1, found.edges.double()[y, x] if len(y) else 1)
            yield near(f"{i}: edges in all", _edges(mask), int(found.edges.sum()))
            means = canvases[i].double().reshape(3, side // 4, 4, side // 4, 4).mean((2, 4))
            yield near(f"{i}: low resolution", means, found.lowres.double(), abs=0.5)


def _ink_hidden(canvases: Canvases, index: int, shown: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> int:
    """Pixels of the first digit that are not in the mask."""
    first = canvases.digits(index)[0]
    return int((first.coverage >= 64).sum()) - int((shown == first.number).sum())


def _edges(mask: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> int:
    """How many pixels have another number to their right or below, one by one."""
    rows, side = mask.tolist(), len(mask)
    right = {(y, x) for y in range(side) for x in range(side - 1) if rows[y][x] != rows[y][x + 1]}
    below = {(y, x) for y in range(side - 1) for x in range(side) if rows[y][x] != rows[y + 1][x]}
    return len(right | below)
