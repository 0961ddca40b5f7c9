"""From files to images: each kind of file has a reader, found by the end of its name."""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module, util
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image

from diffcli.data.sources import ImageSource
from diffcli.data.spans import Array, Span

GREY = ("1", "L", "LA", "La", "I", "F", "grey")  # what modes begin with that one channel holds
UNREADABLE = (  # what libraries raise for files that are broken
    OSError, ValueError, SyntaxError, ArithmeticError, LookupError, EOFError, TypeError, AttributeError, RuntimeError,
    AssertionError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
MOST_PIXELS, PIXELS = 300_000_000, "DIFFCLI_MAX_PIXELS"  # of an image, and the variable that allows more
CHANNELS = {1: "grey", 2: "LA", 3: "RGB", 4: "RGBA"}


class Page(NamedTuple):
    """One image of a file, not decoded.

    number: in the file, from 0
    mode:   of Pillow, or one of `foreign_mode`
    size:   upright, (width, height)
    window: the numbers that the file itself calls black and white, where it does
    """

    source: ImageSource
    number: int
    mode: str
    size: tuple[int, int]
    window: Span | None = None

    @property
    def deep(self) -> bool:
        """Whether it holds more than 8 bits."""
        return is_deep(self.mode)

    @property
    def floats(self) -> bool:
        """Whether it holds floats."""
        return is_float(self.mode)

    def __str__(self) -> str:
        return f"{self.source} (image {self.number + 1})" if self.number else str(self.source)


class Reader(Protocol):
    """How files of a kind are read. Both raise OSError and ValueError, and what `UNREADABLE` has, for broken ones."""

    def pages(self, source: ImageSource, *, first: bool) -> list[Page]:
        """The images in a file, or only its first."""
        ...

    def images(self, source: ImageSource, pages: Sequence[Page]) -> Iterator[Image.Image | Array]:
        """Images of 8 bits, or arrays [H, W] or [H, W, C] of deeper numbers, in the order asked for, which rises."""
        ...


@dataclass(frozen=True)
class FileKind:
    """Files that end alike.

    module:   in this package
    package:  that is needed beside diffcli's own; "" is none
    extra:    of diffcli that installs it
    """

    module: str
    package: str = ""
    extra: str = ""

    @property
    def readable(self) -> bool:
        """Whether what is needed is installed."""
        return not self.package or util.find_spec(self.package) is not None

    @property
    def missing(self) -> str:
        """What to install."""
        return f"pip install 'diffcli[{self.extra}]' reads them"

    @property
    def reader(self) -> Reader:
        """The reader, imported now."""
        found: Reader = import_module(f"{__name__}.{self.module}")
        return found


PICTURES, ARRAYS = FileKind("pictures"), FileKind("arrays")
MEDICAL, SLICES, HEIF = (
    FileKind("dicom", "pydicom", "medical"),
    FileKind("nifti", "nibabel", "medical"),
    FileKind("pictures", "pillow_heif", "heif"),
)
KINDS: dict[str, FileKind] = {
    **dict.fromkeys((".png", ".apng", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"), PICTURES),
    **dict.fromkeys((".pgm", ".ppm", ".pnm", ".pbm", ".tga", ".jp2", ".avif"), PICTURES),
    **dict.fromkeys((".npy", ".npz"), ARRAYS),
    **dict.fromkeys((".dcm", ".dicom"), MEDICAL),
    **dict.fromkeys((".nii", ".nii.gz"), SLICES),
    **dict.fromkeys((".heic", ".heif"), HEIF),
}
SUFFIXES = tuple(end for end, kind in KINDS.items() if kind is PICTURES)
"""Of images that need no other package."""


def kind_of(name: str) -> FileKind | None:
    """The kind of a file by the end of its name; None where nothing reads it."""
    lower = name.lower()
    return next((kind for end, kind in KINDS.items() if lower.endswith(end)), None)


def foreign_mode(channels: int, dtype: np.dtype[Any]) -> str:
    """What an image is called that Pillow has no mode for: "RGB;int" or "grey;float"; raises ValueError for none."""
    if channels not in CHANNELS or dtype.kind not in "iufb":
        raise ValueError(f"it has {channels} numbers a pixel, of the type {dtype}: this is no image")
    return f"{CHANNELS[channels]};{'float' if dtype.kind == 'f' else 'int'}"


def is_foreign(mode: str) -> bool:
    """Whether Pillow has no such mode."""
    return ";" in mode and mode[0] != "I"


def is_deep(mode: str) -> bool:
    """Whether images of a mode hold more than 8 bits."""
    return mode[0] in ("I", "F") or is_foreign(mode)


def is_float(mode: str) -> bool:
    """Whether images of a mode hold floats."""
    return mode[0] == "F" or mode.endswith(";float")


def is_grey(mode: str) -> bool:
    """Whether one channel holds images of a mode."""
    return mode.partition(";")[0] in GREY


def is_clear(mode: str) -> bool:
    """Whether images of a mode may be transparent in places."""
    return "A" in mode or mode in ("La", "RGBa", "P")


def check_size(size: tuple[int, int]) -> None:
    """Raise ValueError for an image of more pixels than are read."""
    most = int(os.environ.get(PIXELS) or MOST_PIXELS)
    if size[0] * size[1] > most:
        raise ValueError(f"it has {size[0]}x{size[1]} pixels, more than {most:,}; {PIXELS}=N allows N")
