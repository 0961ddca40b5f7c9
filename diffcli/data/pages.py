"""Images of files, brought to one shape: read one by one when asked for, or all of them in a first pass."""

import logging
import os
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffcli.console.show import Bar
from diffcli.data.fitting import Shape, fitted, fitted_numbers
from diffcli.data.readers import UNREADABLE, Page, is_clear
from diffcli.data.readers import deep as deep_files
from diffcli.data.readers.pictures import decoded_jpeg
from diffcli.data.scan import reader_kind
from diffcli.data.sources import ImageSource
from diffcli.data.spans import EIGHT, Spans, Tallies
from diffcli.errors import DataProblem

JPEG = (".jpg", ".jpeg", ".jfif")
MANY_PIXELS = 300_000_000  # of JPEG files: torchvision saves 7 ms for a million, and takes 2 s to be imported
AHEAD = 64  # files that are read before they are asked for
SHOWN = 10  # broken files that are named
SAID = threading.local()
OF_CODE = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning)  # and not of files
T = TypeVar("T")


class Broken(NamedTuple):
    """A file that cannot be read."""

    source: ImageSource
    why: str


@dataclass(frozen=True)
class Pages:
    """Images of files, read when asked for: uint8 [C, H, W], or float32 in [-1, 1] where the set has spans."""

    pages: tuple[Page, ...]
    shape: Shape
    spans: Spans | None = None
    fast: bool = False

    def __len__(self) -> int:
        return len(self.pages)

    def __getitem__(self, index: int) -> Tensor:
        page = self.pages[index]
        with silenced({}):
            try:
                with only(page, fast=self.fast) as image:
                    return in_span(brought(image, self.shape), page, self.spans)
            except UNREADABLE as error:
                raise unreadable([Broken(page.source, reason(error))]) from error


@dataclass
class Contents:
    """What a first pass over the images has found.

    tallies:   of numbers with more than 8 bits
    clear:     images that are transparent somewhere
    constant:  images that are of one colour; by their places, as those that are there twice
    twice:     images that another one before them is equal to
    broken:    files that could not be read, of which nothing is kept
    empty:     whole files that hold no image, as reports of a hospital
    said:      what a library warned of, by file
    """

    tallies: Tallies = field(default_factory=Tallies.empty)
    clear: int = 0
    constant: list[int] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    empty: list[ImageSource] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)


def look(sources: Sequence[ImageSource], *, first: bool, found: Contents, bar: Bar) -> list[Page]:
    """The images that files hold; what cannot be read is told in `found`."""
    pages: list[Page] = []

    def one(source: ImageSource) -> list[Page]:
        with about(source):
            return reader_kind(source).reader.pages(source, first=first)

    with silenced(found.said):
        for done, (source, outcome) in enumerate(_ahead(one, sources), start=1):
            if isinstance(outcome, BaseException):
                found.broken.append(Broken(source, reason(outcome)))
            else:
                pages += outcome
                found.empty += [] if outcome else [source]
            bar.update(done)
    return pages


def read_into(place: Tensor, pages: Sequence[Page], shape: Shape, found: Contents, bar: Bar) -> list[int]:
    """Read all images into `place` [N, C, H, W], as numbers of the files where some have more than 8 bits.

    Returns the numbers of those that could be read: they lie at the beginning.
    """
    groups = [list(group) for _, group in groupby(range(len(pages)), key=lambda i: pages[i].source)]
    deep, fast, done = place.dtype != torch.uint8, is_fast(pages), 0
    kept: list[int] = []
    seen: set[int] = set()

    def one(group: list[int]) -> list[tuple[Tensor, bool, Tallies]]:
        with about(pages[group[0]].source):
            some = [pages[i] for i in group]
            return [_counted(image, shape) for image in images(some, fast=fast)]

    with silenced(found.said):
        for group, outcome in _ahead(one, groups):
            done += len(group)
            if isinstance(outcome, BaseException):
                found.broken.append(Broken(pages[group[0]].source, reason(outcome)))
                continue
            for number, (image, clear, tallies) in zip(group, outcome, strict=True):
                at = len(kept)
                place[at] = image.float() if deep else image
                found.clear += clear
                found.tallies.join(tallies)
                mark = hash(image.numpy().tobytes())
                if mark in seen:
                    found.twice.append(at)
                seen.add(mark)
                if bool((image == image.reshape(image.shape[0], -1)[:, :1, None]).all()):
                    found.constant.append(at)
                kept.append(number)
            bar.update(done)
    return kept


def images(pages: Sequence[Page], *, fast: bool = False) -> Generator[Any]:
    """Those of one file, in the order of their numbers.

    fast:  whether so many JPEG files are read that torchvision is worth its import; the pixels are the same
    """
    source = pages[0].source
    for image in reader_kind(source).reader.images(source, pages):
        yield (fast and isinstance(image, Image.Image) and decoded_jpeg(source, image)) or image


@contextmanager
def only(page: Page, *, fast: bool = False) -> Iterator[Any]:
    """One image, while its file is open."""
    found = images([page], fast=fast)
    with closing(found):
        yield next(found)


def is_fast(pages: Sequence[Page]) -> bool:
    """Whether torchvision pays for these."""
    return sum(page.size[0] * page.size[1] for page in pages if page.source.suffix in JPEG) > MANY_PIXELS


def brought(image: Any, shape: Shape) -> Tensor:
    """A picture as uint8 [C, H, W]; deeper numbers as float32, as the file has them."""
    if isinstance(image, Image.Image):
        return fitted(image, shape)
    if image.dtype == np.uint8:
        return fitted(Image.fromarray(image.squeeze(-1) if image.ndim == 3 and image.shape[2] == 1 else image), shape)
    return fitted_numbers(image, shape)


def in_span(image: Tensor, page: Page, spans: Spans | None) -> Tensor:
    """An image as its set has them: uint8, or float32 in [-1, 1] by the spans."""
    return image if spans is None else scaled(image.float(), page, spans)


def scaled(values: Tensor, page: Page, spans: Spans) -> Tensor:
    """Numbers of a file in [-1, 1]."""
    if not page.deep and spans.eight == EIGHT:
        return values / 127.5 - 1
    span = spans.floats if page.floats else spans.integers if page.deep else spans.eight
    return torch.from_numpy(span.unit(values.numpy()))


def _counted(image: Any, shape: Shape) -> tuple[Tensor, bool, Tallies]:
    """An image in its shape, whether it is transparent somewhere, and what numbers it holds."""
    tallies, clear = Tallies.empty(), False
    if isinstance(image, np.ndarray):
        clear = deep_files.is_transparent(image)
        if image.dtype != np.uint8:
            image = deep_files.over_white(image)
            tallies.add(image)
    elif isinstance(image, Image.Image) and is_clear(image.mode):
        clear = is_transparent(image)
    return brought(image, shape), clear, tallies


def is_transparent(image: Image.Image) -> bool:
    """Whether a picture is transparent somewhere, and not only could be."""
    if "A" not in image.mode and "a" not in image.mode and "transparency" not in image.info:
        return False
    least: Any = image.convert("RGBA").getchannel("A").getextrema()[0]
    return bool(least < 255)


def unreadable(broken: Sequence[Broken]) -> DataProblem:
    """The problem for files that cannot be read: the first ten by name, and how many there are."""
    if len(broken) == 1:
        return DataProblem(
            f"{broken[0].source} is not a readable image: {broken[0].why}",
            "repair or remove it, or --skip-broken to go on without it",
        )
    names = "; ".join(f"{one.source} ({one.why})" for one in broken[:SHOWN])
    more = f"; and {len(broken) - SHOWN:,} more" if len(broken) > SHOWN else ""
    return DataProblem(
        f"{len(broken):,} files are not readable images: {names}{more}",
        "repair or remove them, or --skip-broken to go on without them",
    )


def reason(error: BaseException) -> str:
    """What was wrong, in one line without addresses of objects."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return "no kind of image that is known" if text.startswith("cannot identify image file") else text


# Reading ahead, and what libraries say


def _ahead(do: Callable[[T], Any], items: Iterable[T]) -> Iterator[tuple[T, Any]]:
    """Each item with what was done with it, or the error that came of it, by as many threads as there are cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        waiting: list[tuple[T, Future[Any]]] = []
        try:
            for item in items:
                waiting.append((item, pool.submit(do, item)))
                if len(waiting) > AHEAD:
                    yield _outcome(*waiting.pop(0))
            for item, future in waiting:
                yield _outcome(item, future)
        finally:
            for _, future in waiting:
                future.cancel()


def _outcome(item: T, future: Future[Any]) -> tuple[T, Any]:
    try:
        return item, future.result()
    except UNREADABLE as error:
        return item, error


@contextmanager
def about(source: ImageSource) -> Iterator[None]:
    """What a library warns of inside is said of this file."""
    SAID.source = source
    try:
        yield
    finally:
        SAID.source = None


@contextmanager
def silenced(said: dict[str, str]) -> Iterator[None]:
    """Keep what libraries warn of inside from the terminal; `said` gets the first warning of each file."""

    def keep(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
        source = getattr(SAID, "source", None)
        if source is not None and not issubclass(category, OF_CODE):
            said.setdefault(str(source), " ".join(str(message).split()))

    loggers = [logging.getLogger(name) for name in ("PIL", "tifffile", "pydicom", "nibabel")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = keep
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
