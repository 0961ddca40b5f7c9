"""Streams of batches: the same wherever they are entered, however they are divided, and on any device."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from crossings import META, Crossings
from PIL import Image
from torch import Tensor

from diffcli.data import fitting, kinds, streaming
from diffcli.data.augmentation import AUGMENTATIONS, Augment
from diffcli.data.dataset import Dataset, Storage, to_unit
from diffcli.data.folders import load_folder
from diffcli.data.kinds import Items
from diffcli.data.streaming import CPU, Fetched, stream
from diffcli.errors import DataProblem


def numbered(count: int) -> Dataset:
    """Image i is i everywhere but in its right half, which is 255, and has label i."""
    pixels = torch.arange(count, dtype=torch.uint8).reshape(-1, 1, 1, 1).repeat(1, 1, 2, 2)
    pixels[..., 1] = 255
    return Dataset("x", Items(kinds.IMAGES, (1, 2, 2), tuple(map(str, range(count)))), pixels, torch.arange(count), "")


def labels(dataset: Dataset, first: int, batches: int, **options: Any) -> list[int]:
    taken = islice(stream(dataset, torch.arange(len(dataset)), **options)(first), batches)
    return torch.cat([conditions["label"] for _, conditions in taken]).tolist()


def test_every_epoch_shows_every_image_once_in_an_order_of_its_own() -> None:
    seen = labels(numbered(10), 0, 10, batch=3, seed=0)
    epochs = [seen[i : i + 10] for i in (0, 10, 20)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("first", [3, 9, 12, 30])
def test_a_stream_entered_anywhere_is_the_tail_of_the_whole(first: int) -> None:
    assert (
        labels(numbered(10), 0, 20, batch=3, seed=1)[first:30]
        == labels(numbered(10), first, 9, batch=3, seed=1)[: 30 - first]
    )


def test_a_batch_may_be_larger_than_the_data() -> None:
    seen = labels(numbered(4), 0, 1, batch=10, seed=0)
    assert sorted(seen[:4]) == sorted(seen[4:8]) == [0, 1, 2, 3]


def test_the_order_depends_on_the_seed() -> None:
    assert labels(numbered(30), 0, 1, batch=30, seed=0) != labels(numbered(30), 0, 1, batch=30, seed=1)


def test_half_of_the_images_are_mirrored_the_same_ones_from_wherever() -> None:
    dataset = numbered(200)
    batches = stream(dataset, torch.arange(200), batch=50, seed=0, augment=Augment(("flip",), 0))
    whole = torch.cat([images for images, _ in islice(batches(0), 8)])
    mirrored = whole[:, 0, 0, 0] == 1
    assert 0.4 < mirrored.float().mean() < 0.6
    assert torch.equal(torch.cat([images for images, _ in islice(batches(150), 2)]), whole[150:250])
    assert not torch.equal(mirrored[:200], mirrored[200:])


def test_a_set_too_large_for_memory_streams_the_same_batches(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = load_folder(pictures)
    monkeypatch.setattr(fitting, "MEMORY_LIMIT", 0)
    on_disk = load_folder(pictures)
    assert not isinstance(on_disk.storage, torch.Tensor)
    places, _ = in_memory.holdout()
    for augment in (None, Augment(("flip", "crop", "rotate"), 3)):
        pairs = [
            list(islice(stream(dataset, places, batch=16, seed=3, augment=augment)(32), 5))
            for dataset in (in_memory, on_disk)
        ]
        for (a, told_a), (b, told_b) in zip(*pairs, strict=True):
            assert torch.equal(a, b)
            assert torch.equal(told_a["label"], told_b["label"])


def test_an_image_that_breaks_while_training_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MEMORY_LIMIT", 0)
    for i in range(4):
        Image.effect_noise((8, 8), 50).save(tmp_path / f"{i}.png")
    dataset = load_folder(tmp_path)
    (tmp_path / "2.png").write_bytes(b"gone")
    with pytest.raises(DataProblem, match=r"2\.png is not a readable image") as caught:
        list(islice(stream(dataset, torch.arange(4), batch=2, seed=0)(0), 2))
    assert caught.value.hint


# Parts of batches, as ranks take them


def pixels_of(images: int) -> Tensor:
    return torch.randint(256, (images, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def pictures_in_memory(count: int = 100) -> Dataset:
    classes = tuple("abcdefghij")
    labels = torch.arange(count) % 10
    return Dataset("x", Items(kinds.IMAGES, (3, 8, 8), classes), pixels_of(count), labels, "")


@dataclass(frozen=True)
class Lazy:
    """Images one by one, of which some must not be read."""

    pixels: Tensor
    allowed: frozenset[int] | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:
        if self.allowed is not None and index not in self.allowed:
            raise DataProblem(f"{index} is read")
        return self.pixels[index]


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("ranks", [2, 3])
def test_the_parts_of_a_batch_are_the_batch(lazy: bool, ranks: int) -> None:
    dataset = pictures_in_memory()
    storage: Storage = Lazy(dataset.storage) if lazy else dataset.storage  # type: ignore[arg-type]
    shared = Dataset("x", dataset.items, storage, dataset.labels, "")
    augment = Augment(("flip", "crop"), 1)
    bounds = [32 * rank // ranks for rank in range(ranks + 1)]

    def taken(source: Dataset, part: tuple[int, int] | None) -> list[tuple[Tensor, dict[str, Tensor]]]:
        made = stream(source, torch.arange(100), batch=32, seed=5, augment=augment, part=part)
        return list(islice(made(64), 4))

    parts = [taken(shared, (a, b - a)) for a, b in zip(bounds, bounds[1:], strict=False)]
    for (images, told), *mine in zip(taken(dataset, None), *parts, strict=True):
        assert torch.equal(torch.cat([images for images, _ in mine]), images)
        assert torch.equal(torch.cat([told["label"] for _, told in mine]), told["label"])


def test_a_rank_reads_its_own_part_only() -> None:
    dataset = pictures_in_memory()
    plain = stream(dataset, torch.arange(100), batch=20, seed=5, part=(10, 10))(0)
    mine = torch.cat([images for images, _ in islice(plain, 5)])
    unit = to_unit(pixels_of(100)).flatten(1)
    allowed = {int((unit == image).all(1).nonzero()) for image in mine.flatten(1)}
    assert len(allowed) == 50
    reader = Lazy(pixels_of(100), frozenset(allowed))
    reading = Dataset("x", dataset.items, reader, None, "")
    list(islice(stream(reading, torch.arange(100), batch=20, seed=5, part=(10, 10))(0), 3))
    with pytest.raises(DataProblem, match="is read"):
        list(islice(stream(reading, torch.arange(100), batch=20, seed=5)(0), 3))


# Accelerators


def test_a_small_set_is_put_on_the_accelerator_once_and_indexed_there() -> None:
    dataset = pictures_in_memory()
    with Crossings() as crossings:
        batches = list(islice(stream(dataset, torch.arange(100), batch=10, seed=0, device=META)(0), 30))
    assert crossings.count == 2 + 3  # the pixels, the labels, and the order of each epoch
    for images, told in batches:
        assert images.device == told["label"].device == META
        assert (images.shape, images.dtype, told["label"].shape) == ((10, 3, 8, 8), torch.float32, (10,))


def test_an_accelerator_is_sent_the_numbers_of_an_augmentation_and_no_more() -> None:
    augment = Augment(("flip", "vflip", "crop"), 0)
    with Crossings() as crossings:
        made = stream(pictures_in_memory(), torch.arange(100), batch=10, seed=0, augment=augment, device=META)
        assert all(images.device == META for images, _ in islice(made(0), 10))
    assert crossings.count == 3 + 3 * 10


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_that_is_said_to_change_all_images_at_once_looks_at_none(name: str) -> None:
    pytest.importorskip("torchvision")
    images = torch.empty(4, 3, 16, 16, dtype=torch.uint8, device=META)
    with nullcontext() if AUGMENTATIONS[name].at_once else pytest.raises((RuntimeError, NotImplementedError)):
        assert Augment((name,), 0)(images, 0).shape == images.shape


@pytest.mark.parametrize(
    ("names", "lazy", "resident", "free", "device", "home"),
    [
        ((), False, 1 << 31, None, META, META),
        (("flip", "crop"), False, 1 << 31, None, META, META),
        (("flip", "rotate"), False, 1 << 31, None, META, None),  # image by image
        ((), True, 1 << 31, None, META, None),
        ((), False, 19_199, None, META, CPU),  # a byte less than the set has
        ((), False, 19_200, None, META, META),
        ((), False, 1 << 31, 4 * 19_200, META, META),
        ((), False, 1 << 31, 4 * 19_200 - 1, META, CPU),
        (("rotate",), False, 0, 0, CPU, CPU),
        ((), True, 0, 0, CPU, None),
    ],
)
def test_where_items_are_taken_from(
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    lazy: bool,
    resident: int,
    free: int | None,
    device: torch.device,
    home: torch.device | None,
) -> None:
    monkeypatch.setattr(streaming, "RESIDENT", resident)
    monkeypatch.setattr(streaming, "free_memory", lambda device: free)
    storage: Storage = Lazy(pixels_of(100)) if lazy else pixels_of(100)
    assert streaming._home(storage, Augment(names, 0) if names else None, device) == home


@pytest.mark.parametrize("names", [(), ("flip", "rotate")])
def test_what_does_not_fit_is_sent_batch_by_batch(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> None:
    if names:
        pytest.importorskip("torchvision")
    monkeypatch.setattr(streaming, "RESIDENT", 0)
    augment = Augment(names, 0) if names else None
    made = stream(pictures_in_memory(), torch.arange(100), batch=10, seed=0, augment=augment, device=META)
    for images, told in islice(made(0), 3):
        assert images.device == told["label"].device == META
        assert images.shape == (10, 3, 8, 8)


@dataclass
class Tape:
    """Stands for a stream of a GPU, and writes down what is asked of it."""

    lines: list[str]
    events: Iterator[int] = field(default_factory=lambda: iter(range(100)))

    def record_event(self) -> int:
        return next(self.events)

    def wait_event(self, event: int) -> None:
        self.lines.append(f"wait for {event}")


def test_a_batch_is_sent_before_the_one_before_it_is_used_and_waited_for_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[str] = []
    beside, current = Tape(lines), Tape(lines)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: beside)
    monkeypatch.setattr(torch.cuda, "stream", lambda chosen: nullcontext() if chosen is beside else pytest.fail())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: current)
    monkeypatch.setattr(Tensor, "record_stream", lambda tensor, chosen: lines.append(f"keep {int(tensor[0])}"))

    def send(tensor: Tensor, device: torch.device) -> Tensor:
        lines.append(f"send {int(tensor[0])}")
        return tensor

    monkeypatch.setattr(streaming, "sent", send)
    batches = (Fetched(torch.tensor([i]), {"label": torch.tensor([10 + i])}) for i in range(5))
    ahead = streaming._ahead(batches, torch.device("cuda"))
    for i in range(3):
        batch = next(ahead)
        assert (batch.items.item(), batch.conditions["label"].item()) == (i, 10 + i)
        lines.append("use")
    assert lines == [
        *("send 0", "send 10", "send 1", "send 11", "wait for 0", "keep 0", "keep 10", "use"),
        *("send 2", "send 12", "wait for 1", "keep 1", "keep 11", "use"),
        *("send 3", "send 13", "wait for 2", "keep 2", "keep 12", "use"),
    ]


# Hints


def hinted(count: int, lazy: bool = False) -> Dataset:
    """Images of noise; the hint of each has two planes, both of them the image's own red."""
    pixels = pixels_of(count)
    hints = pixels[:, :1].repeat(1, 2, 1, 1)
    items = Items(kinds.IMAGES, tuple(pixels.shape[1:]), ("a",))
    storages = (Lazy(pixels), Lazy(hints)) if lazy else (pixels, hints)
    return Dataset("x", items, storages[0], torch.zeros(count).long(), "", hints=storages[1])


def test_hints_are_a_condition_and_stay_with_their_items() -> None:
    x0, conditions = (some := hinted(20).only(torch.tensor([3, 11, 7]))).take([2, 0])
    assert torch.equal(x0, to_unit(pixels_of(20))[[7, 3]])
    assert torch.equal(conditions["hint"], x0[:, :1].repeat(1, 2, 1, 1))
    assert list(some.known(torch.tensor([0]))) == ["label", "hint"]
    assert torch.equal(hinted(20, lazy=True).only(torch.tensor([3, 11, 7])).take([2, 0])[1]["hint"], conditions["hint"])


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("names", [(), ("flip", "vflip", "crop"), ("rotate",)], ids=str)
def test_what_moves_an_image_moves_its_hint(names: tuple[str, ...], lazy: bool) -> None:
    batches = stream(hinted(8, lazy), torch.arange(8), batch=8, seed=0, augment=Augment(names, 3))(0)
    x0, conditions = next(batches)
    assert conditions["hint"].dtype == torch.float32
    assert torch.equal(conditions["hint"], x0[:, :1].repeat(1, 2, 1, 1))


def test_colour_is_changed_in_images_only() -> None:
    pair = hinted(6)
    assert isinstance(pair.storage, torch.Tensor)
    assert isinstance(pair.hints, torch.Tensor)
    images, hints = Augment(("color",), 0).together(pair.storage, pair.hints, 0)
    assert not torch.equal(images, pair.storage)
    assert hints is not None
    assert torch.equal(hints, pair.hints)
