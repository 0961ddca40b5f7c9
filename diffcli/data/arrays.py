"""Images in a numpy file, .npy or .npz, as a data set: looked at value by value, and never by way of a pickle."""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffcli.data.dataset import Dataset, to_pixels
from diffcli.data.fitting import MEMORY_LIMIT, digest
from diffcli.data.kinds import IMAGES, Items
from diffcli.data.spans import OVERSHOOT, SIGNED, UNSIGNED, Array, Span
from diffcli.data.tables import reading

SUFFIXES = (".npy", ".npz")
IMAGE_NAMES = ("images", "samples", "x", "arr_0")  # arr_0 and arr_1 as in the sample files of ADM
LABEL_NAMES = ("labels", "y", "arr_1")
CHANNELS = (1, 3)
BLOCK = 1024  # images looked at together
MOST_CLASSES = 10_000
HINT = "images are uint8, or floats in [-1, 1] or [0, 1], as [N, C, H, W], [N, H, W, C] or [N, H, W]"

DARK = -0.5  # values in [-1, 1] go below it somewhere


@dataclass(frozen=True)
class FloatImages:
    """Images of floats in a file, made 8-bit when asked for.

    values:  [N, C, H, W]
    """

    values: Array
    span: Span

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Tensor:
        return _pixels(self.values[index], self.span)


def load_array(path: Path) -> Dataset:
    """The images in a .npy or .npz file, and the classes beside them, where it has any, named by their numbers.

    A .npy file stays on the disk until its images are asked for. Floats are taken to lie in [-1, 1] if one is below
    -0.5, in [0, 1] if none is negative, and become 8-bit values. Raises DataProblem for whatever else the file holds.
    """
    with reading(path, HINT):
        found, given = _opened(path)
        images = _channels_first(found)
        labels = None if given is None else _labels(given, len(images))
        storage, notes = _storage(images)
    classes = () if labels is None else tuple(map(str, range(int(labels.max()) + 1)))
    shape = tuple(map(int, images.shape[1:]))
    of_images = (digest(block.contiguous().numpy().tobytes()).encode() for block in _blocks(storage))
    mark = digest(repr(shape).encode(), b"" if labels is None else labels.numpy().tobytes(), *of_images)
    return Dataset(path.name, Items(IMAGES, shape, classes), storage, labels, mark, notes)


def _opened(path: Path) -> tuple[Array, Array | None]:
    """Images and labels as the file has them; raises OSError and ValueError."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError("the name of an array of images ends in .npy or .npz")
    try:
        if suffix == ".npy":
            return _mapped(path), None
        with np.load(path, allow_pickle=False) as archive:
            name = _one_of(archive.files, IMAGE_NAMES)
            labels = next((name for name in LABEL_NAMES if name in archive.files), None)
            return archive[name], archive[labels] if labels else None
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        KeyError,
        NotImplementedError,
        TypeError,
        AttributeError,
    ) as error:
        raise ValueError(f"this is no readable {suffix} file: {error}") from None


def _mapped(path: Path) -> Array:
    """The array in a .npy file, read when it is looked at; pages would be copied if they were written to."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
    if 0 in shape:  # nothing to map
        return np.empty(shape, dtype)
    return np.lib.format.open_memmap(path, mode="c")  # torch warns of memory that is read-only


def _one_of(files: list[str], names: tuple[str, ...]) -> str:
    """The array of images among those of an archive: the first that is named so, or the only one."""
    named = next((name for name in names if name in files), files[0] if len(files) == 1 else None)
    if named is None:
        raise ValueError(f"no array is named {', '.join(names)}; there are {', '.join(files[:8]) or 'none'}")
    return named


def _channels_first(array: Array) -> Array:
    """As [N, C, H, W], nothing copied; raises ValueError for what are no images."""
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise ValueError(f"values of type {array.dtype} are no images")
    shape = list(array.shape)
    if 0 in shape:
        raise ValueError(f"there are no images in an array of {shape}")
    if array.ndim == 3 and (shape[2] not in CHANNELS or shape[1] in CHANNELS):
        return array[:, None]
    if array.ndim == 4:
        first, last = shape[1] in CHANNELS, shape[3] in CHANNELS
        if first and not (last and shape[2] == shape[1] != shape[3]):
            return array
        if last:
            return np.moveaxis(array, 3, 1)
    raise ValueError(f"an array of {shape} holds no images of 1 or 3 channels")


def _labels(labels: Array, count: int) -> Tensor:
    """int64 [N]; raises ValueError for what are no classes of so many images."""
    if labels.dtype.kind not in "iu" or labels.ndim == 0 or labels.size != len(labels):
        raise ValueError(f"labels of type {labels.dtype} and shape {list(labels.shape)} are no numbers of classes")
    if len(labels) != count:
        raise ValueError(f"{count} images and {len(labels)} labels")
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= MOST_CLASSES:
        raise ValueError(f"labels from {least} to {most}: classes are numbered from 0 to {MOST_CLASSES - 1} at most")
    return torch.from_numpy(labels.reshape(-1).astype(np.int64))


def _storage(images: Array) -> tuple[Tensor | FloatImages, tuple[str, ...]]:
    """Images [N, C, H, W] as a storage of 8-bit ones, and what was done to them; raises ValueError."""
    if images.dtype == np.uint8:
        return torch.from_numpy(images), ()
    span, least, most = _span(images)
    notes = [f"floats in [{span.black:g}, {span.white:g}] are rounded to 8 bits"]
    if least < span.black or most > span.white:
        notes.append(f"values from {least:.3g} to {most:.3g} are held to [{span.black:g}, {span.white:g}]")
    reader = FloatImages(images, span)
    if images.size > MEMORY_LIMIT:
        return reader, tuple(notes)
    return torch.cat([_pixels(images[i : i + BLOCK], span) for i in range(0, len(images), BLOCK)]), tuple(notes)


def _span(images: Array) -> tuple[Span, float, float]:
    """What span floats lie in, and the least and the greatest; raises ValueError where they lie in none."""
    least, most, broken, hurt = np.inf, -np.inf, 0, 0
    for i in range(0, len(images), BLOCK):
        block = images[i : i + BLOCK]
        sound = np.isfinite(block)
        broken += int((~sound).sum())
        hurt += int((~sound).reshape(len(block), -1).any(1).sum())
        least, most = min(least, float(block.min())), max(most, float(block.max()))
    if broken:
        raise ValueError(f"{broken:,} values in {hurt:,} of {len(images):,} images are nan or infinite")
    span = SIGNED if least < DARK else UNSIGNED
    most_over = OVERSHOOT * (span.white - span.black)
    if least < span.black - most_over or most > span.white + most_over or (span is UNSIGNED and least < -0.01):
        raise ValueError(f"values from {least:.4g} to {most:.4g} lie neither in [-1, 1] nor in [0, 1]")
    return span, least, most


def _blocks(storage: Tensor | FloatImages) -> Iterator[Tensor]:
    """uint8 [B, C, H, W], one block of images after the other."""
    for i in range(0, len(storage), BLOCK):
        places = slice(i, i + BLOCK)
        yield storage[places] if isinstance(storage, Tensor) else _pixels(storage.values[places], storage.span)


def _pixels(values: Array, span: Span) -> Tensor:
    """uint8, of values in the span and of such as lie just outside."""
    unit = (torch.from_numpy(np.array(values, dtype=np.float32)) - span.black) / (span.white - span.black)
    return to_pixels(2 * unit - 1)
