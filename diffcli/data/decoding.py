"""A first pass over files: every image in one shape and on one scale, and what a user should know of them."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.data import fitting
from diffcli.data.pages import (
    Broken,
    Contents,
    Pages,
    is_fast,
    look,
    only,
    read_into,
    reason,
    scaled,
    silenced,
    unreadable,
)
from diffcli.data.readers import UNREADABLE, Page, is_clear
from diffcli.data.readers.deep import over_white
from diffcli.data.reading import Reading
from diffcli.data.sources import ImageSource
from diffcli.data.spans import Span, Spans, Tallies
from diffcli.errors import DataProblem
from diffcli.system.text import legible

NAMED = 5  # files that a note names


@dataclass(frozen=True)
class Decoded:
    """Images of one shape and scale.

    storage:  uint8 or float32 [N, C, H, W]; or the images in their files, where these take too much memory
    pages:    where each comes from
    spans:    what is black and white, where any has more than 8 bits
    notes:    what was done to them, and what is odd about them
    skipped:  files that were left out because they cannot be read
    """

    storage: Tensor | Pages
    pages: tuple[Page, ...]
    shape: fitting.Shape
    spans: Spans | None
    notes: tuple[str, ...]
    skipped: int = 0


def decoded(sources: Sequence[ImageSource], reading: Reading, show: Show) -> Decoded:
    """The images of these files; raises DataProblem for files that cannot be read, unless they are to be skipped."""
    found, notes = Contents(), list[str]()
    with show.progress("opening", len(sources), "files") as bar:
        pages = look(sources, first=reading.frames == "first", found=found, bar=bar)
    _refuse(found.broken, reading, bool(pages))
    if not pages:
        raise DataProblem(f"{found.empty[0]} holds no images", "name files or folders that do")
    pages, several = _sized(pages, reading, notes), len(pages) - len({page.source for page in pages})
    if several:
        notes.append(f"files hold several images: all {len(pages):,} are taken (--set data.frames=first for one each)")
    shape, said = fitting.common_shape([(page.mode, page.size) for page in pages], reading.size)
    notes += said
    deep = bool(reading.range) or any(page.deep for page in pages)
    size = len(pages) * math.prod(shape) * (4 if deep else 1)
    if size <= fitting.MEMORY_LIMIT:
        result = _in_memory(pages, shape, deep, reading, found, show)
    else:
        result = _on_disk(pages, shape, deep, reading, found, show)
    skipped = len(found.broken)
    notes += [*result.notes, *_told(found, len(result.pages))]
    if skipped:
        are = "file is" if skipped == 1 else "files are"
        notes.append(f"{skipped:,} broken {are} skipped: {_names([one.source for one in found.broken])}")
    return replace(result, notes=tuple(notes), skipped=skipped)


def _refuse(broken: Sequence[Broken], reading: Reading, some: bool) -> None:
    if broken and not (reading.skip_broken and some):
        raise unreadable(broken)


def _sized(pages: list[Page], reading: Reading, notes: list[str]) -> list[Page]:
    """The images without those that are so small that they would shrink all others."""
    small = fitting.dwarfs([(page.mode, page.size) for page in pages], reading.size)
    if not small:
        return pages
    names = ", ".join(f"{legible(pages[i].source.name)} ({pages[i].size[0]}x{pages[i].size[1]})" for i in small[:NAMED])
    more = ", ..." if len(small) > NAMED else ""
    are = "is left out: it is" if len(small) == 1 else "are left out: they are"
    notes.append(f"{names}{more} {are} far smaller than the other images (--set size=N takes all)")
    left = set(small)
    return [page for i, page in enumerate(pages) if i not in left]


def _in_memory(
    pages: Sequence[Page], shape: fitting.Shape, deep: bool, reading: Reading, found: Contents, show: Show
) -> Decoded:
    place = torch.empty((len(pages), *shape), dtype=torch.float32 if deep else torch.uint8)
    with show.progress("reading", len(pages), "images") as bar:
        kept = read_into(place, pages, shape, found, bar)
    _refuse(found.broken, reading, bool(kept))
    place, chosen = place[: len(kept)], tuple(pages[i] for i in kept)
    spans, notes = _spans(chosen, found.tallies, reading) if deep else (None, list[str]())
    if spans is not None:
        for i, page in enumerate(chosen):
            place[i] = scaled(place[i], page, spans)
    return Decoded(place, chosen, shape, spans, tuple(notes))


def _on_disk(
    pages: Sequence[Page], shape: fitting.Shape, deep: bool, reading: Reading, found: Contents, show: Show
) -> Decoded:
    """Nothing is kept; only of numbers with more than 8 bits all files are read, to find their scale."""
    spans, notes = Spans.parsed(reading.range), list[str]()
    if deep and spans is None:
        with show.progress("finding the scale", len(pages), "images") as bar, silenced(found.said):
            for done, page in enumerate(pages, start=1):
                if page.deep:
                    try:
                        with only(page) as image:
                            found.tallies.add(over_white(image))
                    except UNREADABLE as error:
                        found.broken.append(Broken(page.source, reason(error)))
                bar.update(done)
        _refuse(found.broken, reading, True)
        gone = {one.source for one in found.broken}
        pages = [page for page in pages if page.source not in gone]
    if deep:
        spans, notes = _spans(pages, found.tallies, reading)
    if any(is_clear(page.mode) for page in pages):
        notes.append("what is transparent is laid over white")
    reader = Pages(tuple(pages), shape, spans, is_fast(pages))
    return Decoded(reader, reader.pages, shape, spans, tuple(notes))


def _spans(pages: Sequence[Page], tallies: Tallies, reading: Reading) -> tuple[Spans, list[str]]:
    """What is black and white: as the recipe says, as all files themselves say, or as their numbers show."""
    if any(page.deep for page in pages):
        asked = Spans.parsed(reading.range)
        eight = "; 0 and 255 in files of 8 bits" if not all(page.deep for page in pages) else ""
        if asked is not None:
            return asked, [f"{asked.integers.black:g} is black and {asked.integers.white:g} white{eight}"]
        windows = {page.window for page in pages}
        if None not in windows:
            low, high = min(w.black for w in windows if w), max(w.white for w in windows if w)
            window = Span(low, high)
            state = f"{low:g} is black and {high:g} white, the window that the files state"
            return Spans(window, window), [f"{state} (--set data.range=LOW:HIGH for another)"]
        found = tallies.spans()
        assert found is not None
        return found[0], [found[1] + eight]
    asked = Spans.parsed(reading.range)
    assert asked is not None
    eight_too = asked._replace(eight=asked.integers)
    return eight_too, [f"{asked.integers.black:g} is black and {asked.integers.white:g} white"]


def _told(found: Contents, count: int) -> list[str]:
    """What is odd about the images."""
    notes = []
    if found.empty:
        notes.append(f"{_count(found.empty, 'file')} without images: {_names(found.empty)}")
    if found.clear:
        few = "" if found.clear == count else f" ({found.clear:,} of {count:,} images)"
        notes.append(f"transparency is laid over white{few}")
    if found.constant:
        notes.append(f"{_count(found.constant, 'image')} of one colour throughout")
    if found.twice:
        notes.append(f"{_count(found.twice, 'image')} equal to another one")
    if found.said:
        name, text = next(iter(found.said.items()))
        more = f" ({len(found.said) - 1:,} more files like that)" if len(found.said) > 1 else ""
        notes.append(f"{name}: {text}{more}")
    return notes


def _names(sources: Sequence[ImageSource]) -> str:
    return ", ".join(legible(one.name) for one in sources[:NAMED]) + (", ..." if len(sources) > NAMED else "")


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things):,} {name}{'s are' if len(things) > 1 else ' is'}"


def few(labels: Sequence[int], classes: Sequence[str], least: int = 10) -> list[str]:
    """A note of classes that have fewer images than this."""
    counts = Counter(labels)
    small = [f"{name} ({counts[i]})" for i, name in enumerate(classes) if counts[i] < least]
    more = ", ..." if len(small) > NAMED else ""
    return [f"classes of under {least} images: {', '.join(small[:NAMED])}{more}"] if small else []
