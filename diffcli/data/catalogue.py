"""The data sets that --dataset knows by name, as they are listed: facts, and whether they are here. Opens no file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from diffcli.data import canvas_names
from diffcli.data.points import COUNTS, TITLES
from diffcli.data.published import DATASETS, Source
from diffcli.system.text import size


@dataclass(frozen=True)
class Entry:
    """One data set of the list.

    images:    how many there are, per split; a set that is drawn afresh has none to count
    shape:     of one image (C, H, W), or of one point
    present:   whether training could begin without a download
    where:     where it is, or what its download would be
    download:  bytes that are not here yet
    checksum:  the kind that its files are held against, "none" where they have none
    """

    name: str
    title: str
    images: Mapping[str, int]
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    licence: str
    present: bool
    where: str
    download: int = 0
    checksum: str = "none"

    @property
    def document(self) -> dict[str, Any]:
        """For --json."""
        return {
            "name": self.name,
            "title": self.title,
            **{split: self.images.get(split) for split in ("train", "val", "test")},
            "shape": list(self.shape),
            "classes": list(self.classes),
            "licence": self.licence,
            "present": self.present,
            "where": self.where,
            "download_bytes": self.download,
            "checksum": self.checksum,
        }


def entries(data: Path | None) -> dict[str, Entry]:
    """All of them, by name; another kind of data set joins here."""
    published = {name: _published(name, source, data) for name, source in DATASETS.items()}
    return (
        published
        | {name: _canvas(name, side) for name, side in canvas_names.SIDES.items()}
        | {name: Entry(name, title, COUNTS, (2,), (), "", present=True, where=title) for name, title in TITLES.items()}
    )


def _published(name: str, source: Source, data: Path | None) -> Entry:
    """The entry of a set in files. data: the folder of --data"""
    found = source.find(source.format.names("train")[0], data)
    published = source.files.get(found.name) if found else next(iter(source.files.values()))
    missing = source.missing(data)
    return Entry(
        name, source.title, source.images, source.shape, source.classes, source.licence,
        present=not source.missing(data, "train"),
        where=_where(source, data),
        download=sum(file.bytes for file in missing.values()) if source.url else 0,
        checksum=published.checksum.partition(":")[0] if published else "none",
    )  # fmt: skip


def _canvas(name: str, side: int) -> Entry:
    """The entry of canvases of a size, which are painted from the files of MNIST."""
    source = DATASETS["mnist"]
    present = not source.missing(None)
    return Entry(
        name, canvas_names.TITLE, canvas_names.COUNTS, (3, side, side), source.classes, source.licence, present=present,
        where="painted from the bundled MNIST" if present else "not here: MNIST is missing", checksum="sha256",
    )  # fmt: skip


def _where(source: Source, data: Path | None) -> str:
    missing = source.missing(data)
    total = size(sum(file.bytes for file in missing.values()))
    fetched = f"downloads {total} from {urlsplit(source.url).hostname}" if source.url else "unavailable"
    found = None if source.missing(data, "train") else source.find(source.format.names("train")[0], data)
    if found is None:
        return f"not here: {fetched}"
    here = {source.bundled: "bundled", source.cache: "in the cache"}.get(found.parent, f"found at {found.parent}")
    return f"{here}, but test images: {fetched}" if missing else here
