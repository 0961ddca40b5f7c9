"""Items of a data set beside what is known of them, and what can be computed from them: labelled columns."""

import colorsys
from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from diffcli.data.canvas_scenes import SHAPES
from diffcli.data.canvas_truth import Truth
from diffcli.data.conditions import CLASSES, CONDITIONS
from diffcli.data.dataset import Dataset, to_unit
from diffcli.data.kinds import HINT
from diffcli.pictures.figures import show_image

SIDE, GAP, LINE, MARGIN = 1.75, 0.06, 0.2, 0.1  # inches: of an image, between images, of a line of text, around all
FILL = 0.35  # of a colour inside of a box


def truth_figure(truths: Sequence[Truth]) -> Figure:
    """Canvases with their masks, edges, layouts and low resolutions, a row each, and the caption below."""
    columns = {
        "image": [to_unit(one.image) for one in truths],
        "mask": [_painted(one.mask) for one in truths],
        "edges": [2 * one.edges.float().unsqueeze(0) - 1 for one in truths],
        "layout": [_boxes(one) for one in truths],
        "low resolution": [to_unit(one.lowres) for one in truths],
    }
    return _columns(columns, [one.caption for one in truths])


def hints_figure(dataset: Dataset, count: int) -> Figure:
    """The first images with the hints beside them, if there are any, and those that are computed from them."""
    places = torch.arange(min(count, len(dataset)))
    images, known = dataset.take(places)
    columns = {"image": list(images)}
    if HINT in known:
        columns["hint"] = list(known[HINT])
    columns |= {name: list(one.extract(images)) for name, one in CONDITIONS.items() if one.extract}
    labels = [] if dataset.labels is None else [dataset.classes[i] for i in dataset.labels[places].tolist()]
    return _columns(columns, labels)


def _columns(columns: dict[str, list[Tensor]], below: Sequence[str]) -> Figure:
    """Images by the titles of their columns, each row with a line below it, if there are any."""
    rows, step = len(next(iter(columns.values()))), SIDE + (LINE if below else 0) + GAP
    width = len(columns) * (SIDE + GAP) - GAP + 2 * MARGIN
    height = rows * step + LINE + 2 * MARGIN
    figure = Figure(figsize=(width, height))
    for c, (title, images) in enumerate(columns.items()):
        for r, image in enumerate(images):
            left, top = MARGIN + c * (SIDE + GAP), MARGIN + LINE + r * step
            axes: Axes = figure.add_axes(
                (left / width, 1 - (top + SIDE) / height, SIDE / width, SIDE / height), label=f"{title} {r}"
            )
            show_image(axes, image)
            if r == 0:
                axes.set_title(title, fontsize=9, pad=4)
            if c == 0 and below:
                axes.text(0, -0.03, below[r], transform=axes.transAxes, fontsize=8, va="top")
    return figure


def _palette() -> Tensor:
    """A colour for each number in a mask [14, 3], in [-1, 1]: the ground, the digits, and shapes in greys."""
    digits = [colorsys.hsv_to_rgb(i / CLASSES, 0.65, 1.0) for i in range(CLASSES)]
    shapes = [(0.25 + 0.12 * i,) * 3 for i in range(len(SHAPES))]
    return 2 * torch.tensor([(0.06, 0.06, 0.08), *digits, *shapes]) - 1


def _painted(mask: Tensor) -> Tensor:
    return _palette()[mask.long()].permute(2, 0, 1)


def _boxes(truth: Truth) -> Tensor:
    """The boxes of a layout in the colours of their classes, [3, S, S]."""
    palette, side = _palette(), truth.mask.shape[-1]
    found = palette[0].reshape(3, 1, 1).expand(3, side, side).clone()
    edge = side // 64
    for box in truth.boxes:
        colour = palette[1 + box.label].reshape(3, 1, 1)
        found[:, box.top : box.bottom, box.left : box.right] = colour
        inside = found[:, box.top + edge : box.bottom - edge, box.left + edge : box.right - edge]
        inside[:] = palette[0].reshape(3, 1, 1) + FILL * (colour - palette[0].reshape(3, 1, 1))
    return found
