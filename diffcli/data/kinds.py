"""The kinds of data, and all that differs between them outside the core. A data set declares its kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from unicodedata import normalize

import torch
from torch import Tensor

from diffcli.data.spans import Spans
from diffcli.errors import one_of
from diffcli.system.text import legible


@dataclass(frozen=True)
class Kind:
    """What a data set holds.

    name:        what texts call its items, in the plural
    dimensions:  of an item's shape: 3 for (C, H, W), 1 for (D,)
    bounded:     whether values lie in [-1, 1], so that clean estimates may be held there and are 8-bit values
    mirrors:     whether items may be flipped left to right
    sampled:     how many are drawn unless told
    most:        how many can be drawn and held in memory
    held:        items held out for validation, at most; a loss of few numbers each needs many
    previewed:   numbers in one item -> how many samples a preview draws
    """

    name: str
    dimensions: int
    bounded: bool
    mirrors: bool
    sampled: int
    most: int
    held: int
    previewed: Callable[[int], int]


def _grid_of(numbers: int) -> int:
    return 40 if numbers <= 1024 else 16


IMAGES = Kind(
    "images", 3, bounded=True, mirrors=True, sampled=20, most=100_000, held=512, previewed=_grid_of,
)  # fmt: skip
POINTS = Kind(
    "points", 1, bounded=False, mirrors=False, sampled=2000, most=1_000_000, held=10_000, previewed=lambda _: 2000,
)  # fmt: skip
LATENTS = Kind(
    "latents", 3, bounded=False, mirrors=False, sampled=20, most=100_000, held=512, previewed=_grid_of,
)  # fmt: skip

CLASS = "label"
"""The condition that the class of an item is: numbers from 0, int64."""
HINT = "hint"
"""The condition that a picture beside an item is, as its edges or its mask: float32 [B, k, H, W] in [-1, 1]."""


@dataclass(frozen=True)
class Items:
    """What one item of a data set is: all that a model must know of its data.

    shape:     (C, H, W), or (D,) for points
    classes:   a name per class; none where items have no class
    spans:     the numbers that were black and white in files of more than 8 bits; None of all other items
    patients:  whether they come from files of scanners or sets of such, so that it is said what they are not for

    Raises ValueError for a shape that no item of the kind has.
    """

    kind: Kind
    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    spans: Spans | None = None
    patients: bool = False

    def __post_init__(self) -> None:
        numbers = all(isinstance(n, int) and n > 0 for n in self.shape)
        if len(self.shape) != self.kind.dimensions or not numbers:
            raise ValueError(f"{self.kind.name} of shape {list(self.shape)}")

    @property
    def numbers(self) -> int:
        """In one item."""
        return torch.Size(self.shape).numel()

    def number_of(self, name: str) -> int:
        """The number of a class, by its name or, where these are not all numbers themselves, by that number.

        So 0 is not the folder 1. Raises UsageProblem.
        """
        places = {known: i for i, known in enumerate(self.classes)}
        if not all(map(str.isdecimal, places)):
            places = {str(i): i for i in range(len(places))} | places
        name = normalize("NFC", name)
        return places[one_of(name if name in places else legible(name), places, "class")]

    def in_turn(self, count: int) -> dict[str, Tensor]:
        """Conditions of so many items, [count] each: item i has class i mod K, where there are classes."""
        return {CLASS: torch.arange(count) % len(self.classes)} if self.classes else {}


KINDS: dict[str, Kind] = {kind.name: kind for kind in (IMAGES, POINTS, LATENTS)}


def kind_of_shape(shape: Sequence[int]) -> Kind:
    """The kind of items whose shape alone is known, (C, H, W) or (D,): of checkpoints from before they told it.

    Raises ValueError for any other shape.
    """
    kinds = {3: IMAGES, 1: POINTS}
    if len(shape) not in kinds:
        raise ValueError(f"items of shape {list(shape)}")
    return kinds[len(shape)]
