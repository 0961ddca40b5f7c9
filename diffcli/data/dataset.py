"""A set of images or points with labels, and the stream of batches that training takes from it."""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.utils import data

from diffcli.core.randomness import keyed
from diffcli.data.augmentation import Augment
from diffcli.data.kinds import CLASS, Items
from diffcli.errors import Problem

WORKERS = 2  # processes that read images which are not in memory


class Storage(Protocol):
    """Where items live: in memory or on disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Tensor:
        """One item: an image as uint8 [C, H, W], or a point as float32 [D]."""
        ...


@dataclass(frozen=True)
class Chosen:
    """Some of the items of a storage."""

    storage: Storage
    places: Tensor

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Tensor:
        return self.storage[int(self.places[index])]


@dataclass(frozen=True)
class Dataset:
    """Items of one kind with optional labels, in one split.

    items:        what each of them is
    storage:      uint8 [N, C, H, W] in memory, or a reader of files; float32 [N, D] for points
    labels:       int64 [N], or None
    fingerprint:  a digest of all that is in it
    notes:        what was done to the images, for the user to know
    """

    name: str
    items: Items
    storage: Storage
    labels: Tensor | None
    fingerprint: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.storage)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an item."""
        return self.items.shape

    @property
    def classes(self) -> tuple[str, ...]:
        """A name per class."""
        return self.items.classes

    @property
    def class_counts(self) -> list[int] | None:
        """How many items each class has; None where items have no class."""
        return None if self.labels is None else self.labels.bincount(minlength=len(self.classes)).tolist()

    def take(self, indices: Sequence[int] | Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The items at these places, float32 [B, ...], images in [-1, 1], and their conditions, [B, ...] by name."""
        places = torch.as_tensor(indices)
        if isinstance(self.storage, Tensor):
            pixels = self.storage[places]
        else:
            pixels = torch.stack([self.storage[int(i)] for i in places])
        return to_unit(pixels), self._known(places)

    def only(self, places: Tensor) -> "Dataset":
        """The items at these places [M] as a data set of their own; those on disk stay there."""
        storage = self.storage[places] if isinstance(self.storage, Tensor) else Chosen(self.storage, places)
        labels = None if self.labels is None else self.labels[places]
        mark = hashlib.sha256(self.fingerprint.encode() + places.numpy().tobytes()).hexdigest()[:16]
        return replace(self, storage=storage, labels=labels, fingerprint=mark)

    def _known(self, places: Tensor) -> dict[str, Tensor]:
        """The conditions of the items at these places."""
        return {} if self.labels is None else {CLASS: self.labels[places]}

    def holdout(self, most: int = 512) -> tuple[Tensor, Tensor]:
        """Places for training and for validation: a tenth is held out, at most `most`; the same for every seed.

        A set of fewer than ten images is validated on itself.
        """
        order = torch.randperm(len(self), generator=keyed(0, "holdout"))
        count = min(most, len(self) // 10)
        return (order[count:], order[:count]) if count else (order, order)


def to_unit(pixels: Tensor) -> Tensor:
    """uint8 0 ... 255 -> float32 in [-1, 1]; what is no uint8 stays as it is."""
    return pixels.float() / 127.5 - 1 if pixels.dtype == torch.uint8 else pixels


def to_pixels(images: Tensor) -> Tensor:
    """Values in [-1, 1] (others are clipped) -> uint8, the inverse of `to_unit` on its range."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def stream(
    dataset: Dataset,
    places: Tensor,
    *,
    batch: int,
    seed: int,
    augment: Augment | None = None,
    part: tuple[int, int] | None = None,
) -> Callable[[int], Iterator[tuple[Tensor, dict[str, Tensor]]]]:
    """The endless stream of training batches, from any place in it: `stream(...)(first)`.

    Image j of the stream is in epoch j // N, whose order has its own key; batches run across epochs. What `augment`
    does to it depends on j, too, and on nothing else.

    part:  first place and number of the items that are wanted of each batch; None is all
    """
    begin, count = part or (0, batch)

    def indices(first: int) -> Iterator[Tensor]:
        epoch, order = -1, places
        while True:
            chosen: list[Tensor] = []
            last = first + batch
            while first < last:
                if first // len(places) != epoch:
                    epoch = first // len(places)
                    order = places[torch.randperm(len(places), generator=keyed(seed, "order", epoch))]
                chosen.append(order[first % len(places) :][: last - first])
                first += len(chosen[-1])
            yield torch.cat(chosen)[begin : begin + count]

    def batches(first: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        if not isinstance(dataset.storage, Tensor):
            numbers = (n + i for n in itertools.count(first + begin, batch) for i in range(count))
            yield from _load(dataset, indices(first), numbers, augment)
            return
        for chosen in indices(first):
            items = dataset.storage[chosen]
            yield to_unit(augment(items, first + begin) if augment else items), dataset._known(chosen)
            first += batch

    return batches


def _load(
    dataset: Dataset, indices: Iterator[Tensor], numbers: Iterator[int], augment: Augment | None
) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Batches read from disk by worker processes, in the order asked for; `numbers` of the images in the stream."""
    loader: data.DataLoader[Any] = data.DataLoader(
        cast(data.Dataset[Any], _Reader(dataset.storage, augment)),
        batch_sampler=([(next(numbers), int(i)) for i in chosen] for chosen in indices),
        num_workers=WORKERS,
        collate_fn=list,
    )
    for items in loader:
        for _, item in items:
            if isinstance(item, Problem):
                raise item
        places = torch.tensor([place for place, _ in items])
        images = to_unit(torch.stack([item for _, item in items]))
        yield images, dataset._known(places)


@dataclass
class _Reader:
    """A storage for worker processes; a problem travels as a value, because an exception would lose its hint."""

    storage: Storage
    augment: Augment | None

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, Tensor | Problem]:
        """The item at a place, as the image of this number in the stream: key is (number, place)."""
        number, place = key
        try:
            item = self.storage[place]
            return place, self.augment(item.unsqueeze(0), number).squeeze(0) if self.augment else item
        except Problem as problem:
            return place, problem
