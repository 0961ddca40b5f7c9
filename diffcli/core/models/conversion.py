"""The weights of one U-Net for another of the same widths: other channels of images, other classes."""

from collections.abc import Sequence

import torch
from torch import Tensor

ENTER, LEAVE, LABELS = "enter.weight", ("leave.2.weight", "leave.2.bias"), "embed_label.weight"
"""The weights of `UNet` whose shapes depend on the data."""


def entering(weight: Tensor, inputs: int, before: int, after: int) -> Tensor:
    """A first convolution [O, inputs * before * f, h, w] for images of other channels, [O, inputs * after * f, h, w].

    A grey image in three equal channels gives what the grey image gave: weights are repeated and divided by three, or
    summed. `before` or `after` is 1.
    """
    parts = weight.unflatten(1, (inputs, before, -1))
    parts = parts.expand(-1, -1, after, -1, -1, -1) / after if before < after else parts.sum(2, keepdim=True)
    return parts.flatten(1, 3)


def leaving(weight: Tensor, outputs: int, before: int, after: int) -> Tensor:
    """A last convolution, or its bias, [outputs * before * f, ...] for other channels: repeated, or averaged."""
    parts = weight.unflatten(0, (outputs, before, -1))
    parts = parts.expand(-1, after, *parts.shape[2:]) if before < after else parts.mean(1, keepdim=True)
    return parts.flatten(0, 2)


def relabelled(rows: Tensor, places: Sequence[int | None]) -> Tensor:
    """A table of class embeddings [K + 1, E] for other classes, [len(places) + 1, E]; the last row is the null class.

    places:  of each class among the K, None of one that is not there: it begins as the null class
    """
    null = len(rows) - 1
    return rows[torch.tensor([null if place is None else place for place in places] + [null])].clone()


def widened(weight: Tensor, channels: int) -> Tensor:
    """A first convolution [O, I, h, w] that sees further channels, [O, channels, h, w]: with weights 0 at first."""
    return torch.nn.functional.pad(weight, (0, 0, 0, 0, 0, channels - weight.shape[1]))
