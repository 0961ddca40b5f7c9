"""The stream of batches that training takes from a data set, ready on the device that trains."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.utils import data

from diffcli.core.devices import sent
from diffcli.core.randomness import keyed
from diffcli.data.augmentation import Augment
from diffcli.data.dataset import Dataset, Storage, to_unit
from diffcli.data.kinds import HINT
from diffcli.errors import Problem
from diffcli.system.device import free_memory

CPU = torch.device("cpu")
WORKERS = 2  # processes that read or change images, beside a processor that trains
MOST_WORKERS = 8  # beside an accelerator: it waits for images sooner, and leaves the cores to them
RESIDENT = 2 << 30  # bytes of a set that are put on an accelerator as a whole, at most
SHARE = 4  # and no more than this part of its free memory


class Fetched(NamedTuple):
    """Items as they are stored, [B, ...], and their conditions, [B, ...] by name; of these hints, too, as stored."""

    items: Tensor
    conditions: dict[str, Tensor]


def stream(
    dataset: Dataset,
    places: Tensor,
    *,
    batch: int,
    seed: int,
    augment: Augment | None = None,
    part: tuple[int, int] | None = None,
    device: torch.device = CPU,
) -> Callable[[int], Iterator[tuple[Tensor, dict[str, Tensor]]]]:
    """The endless stream of training batches, from any place in it: `stream(...)(first)`.

    Image j of the stream is in epoch j // N, whose order has its own key; batches run across epochs. What `augment`
    does to it depends on j, too, and on nothing else.

    part:    first place and number of the items that are wanted of each batch; None is all
    device:  that batches are on. A small set in memory is put there once; what else an accelerator needs is read and
             sent while the batch before it is computed with
    """
    begin, count = part or (0, batch)

    def batches(first: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        home = _home(dataset.storage, augment, device, dataset.hints)
        chosen = (taken[begin : begin + count] for taken in _taken(places, batch, seed, first, home or CPU))
        found: Iterator[Fetched]
        if home is None:
            numbers = (n + i for n in itertools.count(first + begin, batch) for i in range(count))
            found = _loaded(dataset, chosen, numbers, augment, device)
        else:
            found = _indexed(dataset, chosen, itertools.count(first + begin, batch), augment, home)
        for items, conditions in found if home == device or device.type == "cpu" else _ahead(found, device):
            yield to_unit(items), {n: to_unit(value) if n == HINT else value for n, value in conditions.items()}

    return batches


def _home(
    storage: Storage, augment: Augment | None, device: torch.device, hints: Storage | None = None
) -> torch.device | None:
    """Where items are kept that are taken by indexing; None where worker processes get them one by one."""
    if not isinstance(storage, Tensor) or not (hints is None or isinstance(hints, Tensor)):
        return None
    if device.type == "cpu":
        return CPU
    if augment and not augment.at_once:
        return None
    free = free_memory(device)
    size = storage.nbytes + (0 if hints is None else hints.nbytes)
    fits = size <= (RESIDENT if free is None else min(RESIDENT, free // SHARE))
    return device if fits else CPU


def _taken(places: Tensor, batch: int, seed: int, first: int, home: torch.device) -> Iterator[Tensor]:
    """The places [batch] of the items of each batch, on the device where the items are."""
    epoch, order = -1, places
    while True:
        chosen: list[Tensor] = []
        last = first + batch
        while first < last:
            if first // len(places) != epoch:
                epoch = first // len(places)
                order = sent(places[torch.randperm(len(places), generator=keyed(seed, "order", epoch))], home)
            chosen.append(order[first % len(places) :][: last - first])
            first += len(chosen[-1])
        yield torch.cat(chosen)


def _indexed(
    dataset: Dataset, chosen: Iterator[Tensor], numbers: Iterator[int], augment: Augment | None, home: torch.device
) -> Iterator[Fetched]:
    """Batches of a set in memory. numbers: of the first image of each, in the stream"""
    storage = cast(Tensor, dataset.storage).to(home)
    labels = None if dataset.labels is None else dataset.labels.to(home)
    hints = None if dataset.hints is None else cast(Tensor, dataset.hints).to(home)
    near = dataclasses.replace(dataset, storage=storage, labels=labels, hints=None)
    for places, number in zip(chosen, numbers, strict=True):
        pair = storage[places], None if hints is None else hints[places]
        items, beside = augment.together(*pair, number) if augment else pair
        yield _fetched(near, places, items, beside)


def _fetched(dataset: Dataset, places: Tensor, items: Tensor, hints: Tensor | None) -> Fetched:
    """A batch with what else is known of these items. dataset: one whose own hints are not looked at"""
    known = dataset.known(places)
    return Fetched(items, known if hints is None else known | {HINT: hints})


def _ahead(batches: Iterator[Fetched], device: torch.device) -> Iterator[Fetched]:
    """The batches on an accelerator, each sent there while the one before it is computed with."""
    if device.type != "cuda":
        yield from (_sent(batch, device) for batch in batches)
        return
    beside, before = torch.cuda.Stream(device), None
    for batch in batches:
        with torch.cuda.stream(beside):
            coming, arrived = _sent(batch, device), beside.record_event()
        if before is not None:
            yield _received(*before, torch.cuda.current_stream(device))
        before = coming, arrived


def _sent(batch: Fetched, device: torch.device) -> Fetched:
    return Fetched(sent(batch.items, device), {name: sent(value, device) for name, value in batch.conditions.items()})


def _received(batch: Fetched, arrived: torch.cuda.Event, stream: torch.cuda.Stream) -> Fetched:
    """A batch that was sent beside the stream, for use in it."""
    stream.wait_event(arrived)
    for tensor in (batch.items, *batch.conditions.values()):
        tensor.record_stream(stream)  # its memory is not given to the next copy before it has been used
    return batch


def _loaded(
    dataset: Dataset, chosen: Iterator[Tensor], numbers: Iterator[int], augment: Augment | None, device: torch.device
) -> Iterator[Fetched]:
    """Batches that worker processes read and change, in the order asked for; `numbers` of the images in the stream."""
    bare = dataclasses.replace(dataset, hints=None)
    loader: data.DataLoader[Any] = data.DataLoader(
        cast(data.Dataset[Any], _Reader(dataset.storage, augment, dataset.hints)),
        batch_sampler=([(next(numbers), int(i)) for i in places] for places in chosen),
        num_workers=WORKERS if device.type == "cpu" else max(WORKERS, min(MOST_WORKERS, torch.get_num_threads())),
        collate_fn=_together,
        pin_memory=device.type == "cuda",
    )
    for found in loader:
        if isinstance(found, Problem):
            raise found
        places, items, hints = found
        yield _fetched(bare, places, items, hints)


@dataclass
class _Reader:
    """A storage for worker processes; a problem travels as a value, because an exception would lose its hint."""

    storage: Storage
    augment: Augment | None
    hints: Storage | None = None

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, Tensor, Tensor | None] | Problem:
        """The place, its item and hint, as the image of this number in the stream: key is (number, place)."""
        number, place = key
        try:
            item, hint = self.storage[place], None if self.hints is None else self.hints[place]
        except Problem as problem:
            return problem
        if self.augment:
            items, hints = self.augment.together(item.unsqueeze(0), None if hint is None else hint.unsqueeze(0), number)
            item, hint = items.squeeze(0), None if hints is None else hints.squeeze(0)
        return place, item, hint


def _together(
    read: list[tuple[int, Tensor, Tensor | None] | Problem],
) -> tuple[Tensor, Tensor, Tensor | None] | Problem:
    """Places [B], items [B, ...] and hints, or what was wrong with the first that could not be read."""
    places, items, hints = list[int](), list[Tensor](), list[Tensor]()
    for one in read:
        if isinstance(one, Problem):
            return one
        places.append(one[0])
        items.append(one[1])
        hints += [] if one[2] is None else [one[2]]
    return torch.tensor(places), torch.stack(items), torch.stack(hints) if hints else None
