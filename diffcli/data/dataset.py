"""A set of images or points with labels."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from diffcli.core.diffusion.latent import Codec
from diffcli.core.randomness import keyed
from diffcli.data.kinds import CLASS, HINT, Items

MANY = 1000  # images of a class: then chance leaves it about its share


class Storage(Protocol):
    """Where items live: in memory or on disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Tensor:
        """One item: an image as uint8 [C, H, W], or float32 in [-1, 1] where files hold more; or a point [D]."""
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
    storage:      uint8 [N, C, H, W] in memory, float32 where the files hold more, or a reader of files; float32 [N, D]
                  for points
    labels:       int64 [N], or None
    fingerprint:  a digest of all that is in it
    notes:        what was done to the images, for the user to know
    codec:        of latents what turns them into images; their storage holds mean and std of each, [N, 2 c, h, w]
    hints:        a picture beside each item, as its mask: [k, H, W], stored as images are
    """

    name: str
    items: Items
    storage: Storage
    labels: Tensor | None
    fingerprint: str
    notes: tuple[str, ...] = ()
    codec: Codec | None = None
    hints: Storage | None = None

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

    def among(self, classes: tuple[str, ...]) -> "Dataset":
        """The same, its classes counted among others that are known; as it is where one of its own is not."""
        if classes == self.classes or not set(self.classes) <= set(classes):
            return self
        numbers = torch.tensor([classes.index(name) for name in self.classes], dtype=torch.int64)
        labels = None if self.labels is None else numbers[self.labels]
        return replace(self, items=replace(self.items, classes=classes), labels=labels)

    def take(self, indices: Sequence[int] | Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The items at these places, float32 [B, ...], images in [-1, 1], and their conditions, [B, ...] by name."""
        places = torch.as_tensor(indices)
        return to_unit(stored(self.storage, places)), self.known(places)

    def known(self, places: Tensor) -> dict[str, Tensor]:
        """The conditions of the items at these places, [B, ...] by name."""
        found = {} if self.labels is None else {CLASS: self.labels[places]}
        return found if self.hints is None else found | {HINT: to_unit(stored(self.hints, places))}

    def only(self, places: Tensor) -> "Dataset":
        """The items at these places [M] as a data set of their own; those on disk stay there."""
        labels = None if self.labels is None else self.labels[places]
        hints = None if self.hints is None else _chosen(self.hints, places)
        mark = hashlib.sha256(self.fingerprint.encode() + places.numpy().tobytes()).hexdigest()[:16]
        return replace(self, storage=_chosen(self.storage, places), labels=labels, hints=hints, fingerprint=mark)

    def holdout(self, most: int = 512, *, by_class: bool = True) -> tuple[Tensor, Tensor]:
        """Places for training and for validation: a tenth is held out, at most `most`; the same for every seed.

        by_class:  whether each class gives its share, and keeps an image, where one has fewer than `MANY`

        A set of fewer than ten images is validated on itself.
        """
        order = torch.randperm(len(self), generator=keyed(0, "holdout"))
        count = min(most, len(self) // 10)
        if not count:
            return order, order
        counts = self.class_counts
        if not by_class or counts is None or min(counts, default=MANY) >= MANY:
            return order[count:], order[:count]
        assert self.labels is not None
        labels, shares = self.labels[order], apportioned(count, counts)
        rank = one_hot(labels, len(counts)).cumsum(0).gather(1, labels.unsqueeze(1)).squeeze(1)
        chosen = rank <= torch.tensor(shares)[labels]
        return order[~chosen], order[chosen]


def stored(storage: Storage, places: Tensor) -> Tensor:
    """The items at these places as they are stored, [B, ...]."""
    return storage[places] if isinstance(storage, Tensor) else torch.stack([storage[int(i)] for i in places])


def _chosen(storage: Storage, places: Tensor) -> Storage:
    return storage[places] if isinstance(storage, Tensor) else Chosen(storage, places)


def apportioned(count: int, sizes: Sequence[int]) -> list[int]:
    """`count` in whole parts as the sizes are, by the largest remainders; of no size all is taken."""
    total = sum(sizes)
    exact = [count * size / total for size in sizes]
    found = [min(int(share), max(0, size - 1)) for share, size in zip(exact, sizes, strict=True)]
    by_rest = sorted(range(len(sizes)), key=lambda i: (found[i] - exact[i], i))
    for i in by_rest[: max(0, count - sum(found))]:
        found[i] = min(found[i] + 1, max(0, sizes[i] - 1))
    return found


def to_unit(pixels: Tensor) -> Tensor:
    """uint8 0 ... 255 -> float32 in [-1, 1]; of what is no uint8 the values stay as they are."""
    if pixels.dtype == torch.uint8:
        return pixels.float() / 127.5 - 1
    return pixels.float() if pixels.dtype == torch.float16 else pixels


def to_pixels(images: Tensor) -> Tensor:
    """Values in [-1, 1] (others are clipped) -> uint8, the inverse of `to_unit` on its range."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
