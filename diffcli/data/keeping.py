"""Decoded images in the cache, so that a second start is quick: known by what is in the files, and bounded."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.data.decoding import Decoded, decoded
from diffcli.data.pages import Pages, is_fast
from diffcli.data.readers import Page
from diffcli.data.reading import Reading
from diffcli.data.sources import ImageSource
from diffcli.data.spans import Span, Spans
from diffcli.errors import EnvironmentProblem
from diffcli.system.cache import cache_folder
from diffcli.system.files import write_atomically

VERSION = 2  # of what decoding does
SMALL = 1 << 22  # bytes of files that are decoded in less than a second; nothing is kept of them
BOUND = 8 << 30  # bytes of the cache
READERS = 2  # threads that read files
ROOM = 2  # times as much must be free as is written


def folder() -> Path:
    """Where decoded images are kept."""
    return cache_folder() / "decoded"


def decoded_once(sources: Sequence[ImageSource], reading: Reading, show: Show) -> Decoded:
    """What `decoded` gives; from the cache where these very files were read before."""
    try:
        stats = {path: path.stat() for path in {source.path for source in sources}}
    except OSError:  # a file is gone since the folder was looked at
        stats = {}
    if sum(stat.st_size for stat in stats.values()) < SMALL:
        return decoded(sources, reading, show)
    listing = folder() / f"list-{_listing(sources, stats, reading)}.json"
    key = _read(listing) or _content(sources, reading, show)
    if (found := _recalled(key, sources)) is not None:
        _remember(listing, json.dumps(key).encode())
        return found
    found = decoded(sources, reading, show)
    _keep(key, found, sources)
    _remember(listing, json.dumps(key).encode())
    return found


def clear() -> int:
    """Remove everything that is kept; returns the bytes that are free now."""
    files = _files()
    for path, _, _ in files:
        path.unlink(missing_ok=True)
    return sum(size for _, size, _ in files)


def _listing(sources: Sequence[ImageSource], stats: Mapping[Path, os.stat_result], reading: Reading) -> str:
    """Of the names, sizes and times of files."""
    lines = (f"{s.path} {s.name} {s.member} {stats[s.path].st_size} {stats[s.path].st_mtime_ns}" for s in sources)
    return _digest("\n".join([_settings(reading), *lines]))


def _content(sources: Sequence[ImageSource], reading: Reading, show: Show) -> str:
    """Of what is in the files, wherever they lie and whatever their folder is called."""

    def of_file(path: Path) -> str:
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        except OSError as error:
            return f"unreadable: {error.errno}"

    paths = list(dict.fromkeys(source.path for source in sources))
    marks = {}
    title = "looking whether they are known"
    with show.progress(title, len(paths), "files") as bar, ThreadPoolExecutor(READERS) as pool:
        for done, (path, mark) in enumerate(zip(paths, pool.map(of_file, paths), strict=True), start=1):
            marks[path] = mark
            bar.update(done)
    return _digest("\n".join([_settings(reading), *(f"{s.name} {s.member} {marks[s.path]}" for s in sources)]))


def _settings(reading: Reading) -> str:
    settings = asdict(replace(reading, mark=""))
    del settings["hints"]  # which are not kept
    return json.dumps([VERSION, settings], sort_keys=True)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _keep(key: str, found: Decoded, sources: Sequence[ImageSource]) -> None:
    """Write it to the cache; where that cannot be done, nothing is kept."""
    number = {source: i for i, source in enumerate(sources)}
    rows = [[number[page.source], *page[1:]] for page in found.pages]
    spans = None if found.spans is None else str(found.spans)
    held = isinstance(found.storage, Tensor)
    document = {
        "held": held,
        "shape": found.shape,
        "spans": spans,
        "notes": found.notes,
        "skipped": found.skipped,
        "pages": rows,
    }
    if not isinstance(found.storage, Tensor) or keep_array(key, found.storage):
        _remember(folder() / f"{key}.json", json.dumps(document).encode())
        _bound()


def keep_array(key: str, values: Tensor) -> bool:
    """Write a tensor to the cache under a name, if there is room; whether it lies there now."""
    part = folder() / f".{key}.{os.getpid()}.npy"
    try:
        folder().mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder()).free < ROOM * values.nbytes:
            return False
        np.save(part, values.numpy())
        part.replace(folder() / f"{key}.npy")
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        return False
    _bound()
    return True


def kept_array(key: str) -> Tensor | None:
    """The tensor that was kept under a name, read as it is used; None where there is none that can be read."""
    path = folder() / f"{key}.npy"
    try:
        values = np.load(path, mmap_mode="c")
        path.touch()
        return torch.from_numpy(values)
    except (OSError, ValueError, TypeError):
        return None


def _recalled(key: str, sources: Sequence[ImageSource]) -> Decoded | None:
    """What was kept; None where there is nothing, or nothing that can be read."""
    document: Any = _read(folder() / f"{key}.json")
    try:
        pages = tuple(
            Page(sources[row[0]], row[1], row[2], (row[3][0], row[3][1]), Span(*row[4]) if row[4] else None)
            for row in document["pages"]
        )
        channels, height, width = document["shape"]
        shape, spans = (channels, height, width), Spans.parsed(document["spans"] or "")
        storage: Tensor | Pages = Pages(pages, shape, spans, is_fast(pages))
        if document["held"]:
            pixels = kept_array(key)
            if pixels is None or pixels.shape != (len(pages), *shape):
                return None
            storage = pixels
        return Decoded(storage, pages, shape, spans, tuple(document["notes"]), document["skipped"])
    except (OSError, ValueError, TypeError, LookupError):
        return None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _remember(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except (OSError, EnvironmentProblem):
        return


def _files() -> list[tuple[Path, int, float]]:
    """Of the cache: path, size, when it was used last."""
    found = []
    for path in folder().glob("*"):
        try:
            found.append((path, path.stat().st_size, path.stat().st_mtime))
        except OSError:
            continue
    return found


def _bound() -> None:
    """Remove what was not used for the longest time, until the rest is within the bound."""
    files = sorted(_files(), key=lambda file: file[2])
    total = sum(size for _, size, _ in files)
    for path, size, _ in files:
        if total <= BOUND:
            return
        path.unlink(missing_ok=True)
        total -= size
