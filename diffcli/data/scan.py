"""What lies below a folder or in an archive: the files that are read, and everything that is left out, and why."""

import os
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from diffcli.data.readers import KINDS, MEDICAL, PICTURES, FileKind, kind_of
from diffcli.data.readers.arrays import are_classes, divided
from diffcli.data.sources import ImageSource, is_archive, members, normal
from diffcli.errors import DataProblem
from diffcli.system.text import legible

JUNK = (
    "@eadir", "#recycle", "#snapshot", "@recycle", "$recycle.bin", "system volume information", "__macosx",
    "lost+found",
)  # fmt: skip
JUNK_FILES = ("thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r")
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")  # may say of what class images are
ABOUT = (".txt", ".md", ".json", ".xml", ".yaml", ".yml", ".toml", ".pdf", ".html", ".log", ".rst", ".license")
PROGRAM = "diffcli"  # as pictures say by whom they were written
WRITTEN = (".png", ".tif", ".tiff")  # how those end that do
LOOKED_AT, HEAD = 3, 4096  # pictures of a folder, and bytes of each, that tell whether it holds results
MAGIC, AT = b"DICM", 128  # of DICOM files, whose names often end in nothing
HIDDEN, JUNKED = "hidden", "junk of a NAS or of macOS"
LINKED, TWICE = "links that lead nowhere", "links to folders that are read already"
OURS, CLOSED, FOLDERS = "runs and results of diffcli", "folders that cannot be entered", "folders named like images"
EMPTY = "empty folders"
CLASSES = "arrays of classes"
OTHER, ARCHIVED = "files of other types", "archives (name one by itself to read it)"


class LeftOut(NamedTuple):
    """A file or folder that is no data. name: as it can be shown; why: the same words for all of a kind"""

    name: str
    why: str


@dataclass(frozen=True)
class Scan:
    """What was found, in the order of names.

    images:  files that are read
    tables:  files that may say of what class images are
    left:    all else
    """

    images: tuple[ImageSource, ...]
    tables: tuple[ImageSource, ...]
    left: tuple[LeftOut, ...]


def told(left: tuple[LeftOut, ...]) -> str:
    """How many things were left out for each reason, in one line; "" where there are none."""
    counts = Counter(one.why for one in left)
    parts = ", ".join(f"{count:,} {why}" for why, count in counts.most_common())
    return f"left out: {parts} (diffcli data FOLDER --all lists them)" if parts else ""


def scan(place: Path) -> Scan:
    """What lies below a folder, or in an archive; links are followed. Raises DataProblem where it cannot be entered."""
    images: list[ImageSource] = []
    tables: list[ImageSource] = []
    left: list[LeftOut] = []
    if place.is_dir():
        found: Iterator[ImageSource | LeftOut] = _below(place)
    elif not is_archive(place):
        found = iter([_sorted_out(ImageSource(place, place.name))])
    else:
        inside, odd = members(place)
        left += [LeftOut(name, why) for name, why in odd]
        found = (_sorted_out(source) for source in inside)
    for one in found:
        if isinstance(one, LeftOut):
            left.append(one)
        elif one.suffix in TABLES:
            tables.append(one)
        else:
            images.append(one)
    if len(images) == 1:
        images = divided(images[0])
    order = sorted(images, key=lambda source: source.parts)
    return Scan(tuple(order), tuple(sorted(tables, key=lambda source: source.parts)), tuple(sorted(left)))


def _below(top: Path) -> Iterator[ImageSource | LeftOut]:
    """Everything below a folder. Each folder is entered once, and by its own name before any link to it."""
    stack, linked = [(os.fspath(top), "")], deque[tuple[str, str]]()
    entered: set[tuple[int, int]] = set()
    while stack or linked:
        folder, name = stack.pop() if stack else linked.popleft()
        try:
            here = Path(folder).stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            if not name:
                raise DataProblem(f"cannot enter {top}: {error.strerror}", "see its permissions") from None
            yield LeftOut(legible(name) + "/", CLOSED)
            continue
        if (here.st_dev, here.st_ino) in entered:
            yield LeftOut(legible(name) + "/", TWICE)
            continue
        entered.add((here.st_dev, here.st_ino))
        if name and _is_ours(folder, {entry.name for entry in entries}):
            yield LeftOut(legible(name) + "/", OURS)
            continue
        if name and not entries:
            yield LeftOut(legible(name) + "/", EMPTY)
        loose = any(map(_is_dir, entries))  # a result beside folders of images
        for entry in entries:
            below = f"{name}/{entry.name}" if name else entry.name
            why = _why_not(entry)
            if why:
                yield LeftOut(legible(below) + "/" * _is_dir(entry), why)
            elif _is_dir(entry):
                if kind_of(entry.name) is not None and not _holds_images(entry.path):
                    yield LeftOut(legible(below) + "/", FOLDERS)
                    continue
                (linked if entry.is_symlink() else stack).append((entry.path, below))
            elif loose and entry.name.lower().endswith(WRITTEN) and _says_ours(Path(entry.path)):
                yield LeftOut(legible(below), OURS)
            else:
                yield _sorted_out(ImageSource(Path(entry.path), normal(below)))


def _why_not(entry: "os.DirEntry[str]") -> str:
    """Why something is left out before it is looked at; "" where it is not."""
    lower = entry.name.lower()
    if lower in JUNK or lower in JUNK_FILES or lower.startswith("._"):
        return JUNKED
    if lower.startswith("."):
        return HIDDEN
    try:
        is_file = entry.is_file()
    except OSError:
        return LINKED
    if not is_file and not _is_dir(entry):
        return LINKED if entry.is_symlink() else OTHER
    return ""


def _sorted_out(source: ImageSource) -> ImageSource | LeftOut:
    """A file that is read, or why it is not."""
    name = PurePosixPath(source.name)
    if any(part.lower() in JUNK or part.startswith("._") for part in name.parts) or name.name.lower() in JUNK_FILES:
        return LeftOut(legible(source.name), JUNKED)
    if any(part.startswith(".") for part in name.parts):
        return LeftOut(legible(source.name), HIDDEN)
    if source.suffix in TABLES:
        return source
    if are_classes(source.name):
        return LeftOut(legible(source.name), CLASSES)
    if is_archive(Path(source.name)):
        return LeftOut(legible(source.name), ARCHIVED)
    kind = kind_of(source.name)
    if kind is None and (not source.suffix or source.suffix[1:].isdigit()) and _is_dicom(source):
        kind = MEDICAL
    if kind is None:
        return LeftOut(legible(source.name), f"{source.suffix} files" if source.suffix in ABOUT else OTHER)
    if not kind.readable:
        return LeftOut(legible(source.name), f"{_end(source)} files ({kind.missing})")
    return source


def reader_kind(source: ImageSource) -> FileKind:
    """How a file is read: by the end of its name, or else by how it begins."""
    return kind_of(source.name) or (MEDICAL if _is_dicom(source) else PICTURES)


def _end(source: ImageSource) -> str:
    return next(end for end in KINDS if source.name.lower().endswith(end))


def _is_dicom(source: ImageSource) -> bool:
    try:
        with source.stream() as file:
            return file.read(AT + len(MAGIC))[AT:] == MAGIC
    except (OSError, ValueError):
        return False


def _is_ours(folder: str, names: set[str]) -> bool:
    """Whether a folder below the data is a run, or has pictures that a command of ours has written."""
    if "run.json" in names and ("recipe.toml" in names or any(name.startswith("step-") for name in names)):
        return True
    pictures = sorted(name for name in names if name.lower().endswith(WRITTEN))[:LOOKED_AT]
    return bool(pictures) and all(_says_ours(Path(folder) / name) for name in pictures)


def _says_ours(path: Path) -> bool:
    """Whether a PNG or a TIFF says by whom it was written, and that was diffcli."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    return any(mark.encode() in head for mark in (f"Software\0{PROGRAM}", f'"Software": "{PROGRAM}"'))


def _is_dir(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _holds_images(folder: str) -> bool:
    """Whether a folder that is named like an image holds some, and so is a folder of images all the same."""
    try:
        return any(kind_of(entry.name) is not None or _is_dir(entry) for entry in os.scandir(folder))
    except OSError:
        return True
