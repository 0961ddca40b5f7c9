"""Images and points: the kinds of data, and all that differs between them outside the core."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from diffcli.core.models import MODELS
from diffcli.metrics.health import Brightness, PointMoments
from diffcli.pictures.grid import grid


@dataclass(frozen=True)
class Kind:
    """What a data set holds.

    name:       what texts call its items, in the plural
    health:     what samples and data are compared by
    bounded:    whether values lie in [-1, 1], so that clean estimates may be held there
    mirrors:    whether items may be flipped left to right
    sampled:    how many are drawn unless told
    most:       how many can be drawn and held in memory
    held:       items held out for validation, at most; a loss of few numbers each needs many
    previewed:  numbers in one item -> how many samples a preview draws
    picture:    samples [N, ...] and as many or more items of the data -> what a preview shows
    """

    name: str
    health: type[Brightness] | type[PointMoments]
    bounded: bool
    mirrors: bool
    sampled: int
    most: int
    held: int
    previewed: Callable[[int], int]
    picture: Callable[[Tensor, Tensor], Image.Image]


def _samples_beside_data(samples: Tensor, data: Tensor) -> Image.Image:
    from diffcli.pictures.points import Panel, extent, row  # matplotlib, which takes half a second

    panels = [Panel("samples", samples), Panel("data", data[: len(samples)])]
    return row(panels, limit=extent(panels[1:]))


KINDS: dict[int, Kind] = {  # by the length of an item's shape
    3: Kind(
        "images", Brightness, bounded=True, mirrors=True, sampled=20, most=100_000, held=512,
        previewed=lambda numbers: 40 if numbers <= 1024 else 16, picture=lambda samples, _: grid(samples),
    ),
    1: Kind(
        "points", PointMoments, bounded=False, mirrors=False, sampled=2000, most=1_000_000, held=10_000,
        previewed=lambda _: 2000, picture=_samples_beside_data,
    ),
}  # fmt: skip


def kind_of(shape: Sequence[int]) -> Kind:
    """The kind of items of this shape, (C, H, W) or (D,)."""
    return KINDS[len(shape)]


def models_for(shape: Sequence[int]) -> list[str]:
    """The networks that take items of this shape."""
    return [name for name, model in MODELS.items() if model.dimensions == len(shape)]
