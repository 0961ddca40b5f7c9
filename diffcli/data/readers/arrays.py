"""numpy files among the images of a folder: one image in a file, or many, and never by way of a pickle."""

import contextlib
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from tokenize import TokenError
from typing import Any

import numpy as np

from diffcli.data.readers import Page, foreign_mode
from diffcli.data.sources import ImageSource
from diffcli.data.spans import Array

COLOURS = (1, 3, 4)
DAMAGED = (
    zipfile.BadZipFile, zlib.error, TokenError, SyntaxError, EOFError, KeyError, TypeError, AttributeError,
    RuntimeError,
)  # fmt: skip
NAMES = ("images", "image", "samples", "x", "X", "data", "arr_0", "train_images", "x_train", "X_train")
LABELS = ("labels", "label", "y", "Y", "targets", "target", "classes", "arr_1", "train_labels", "y_train", "Y_train")
SPLITS = ("train", "val", "valid", "test")
PARTS = tuple(name for split in SPLITS for name in (f"{split}_images", f"x_{split}", f"X_{split}"))
"""What arrays of images are called that are one split of several in a file."""
TWINS = (str.maketrans("xX", "yy"), str.maketrans("xX", "YY"))  # of x_train is y_train


def pages(source: ImageSource, *, first: bool) -> list[Page]:
    """The images in a file, or only its first."""
    found = stacked(_array(source))
    channels = found.shape[3]
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels] if found.dtype in (np.uint8, np.bool_) else ""
    mode = mode or foreign_mode(channels, found.dtype)
    return [Page(source, i, mode, (found.shape[2], found.shape[1])) for i in range(1 if first else len(found))]


def images(source: ImageSource, pages: Sequence[Page]) -> Iterator[Array]:
    """The images of a file, [H, W, C]."""
    found = stacked(_array(source))
    for page in pages:
        image = found[page.number]
        yield image.astype(np.uint8) * 255 if image.dtype == np.bool_ else image


def stacked(array: Array) -> Array:
    """[N, H, W, C] of one image or of several, channels first or last; raises ValueError for what are no images.

    Three dimensions are one image where the first or the last has 1, 3 or 4 entries, else several grey ones.
    """
    shape = array.shape
    if array.dtype.kind not in "iufb" or 0 in shape or not 2 <= array.ndim <= 4:
        raise ValueError(f"an array of {list(shape)} numbers of the type {array.dtype} holds no images")
    if array.ndim == 2:
        return array[None, :, :, None]
    if array.ndim == 4:
        if shape[3] in COLOURS and not (shape[1] in COLOURS and shape[1] < shape[3]):
            return array
        if shape[1] in COLOURS:
            return np.moveaxis(array, 1, 3)
        raise ValueError(f"an array of {list(shape)} numbers holds no images of 1, 3 or 4 channels")
    if shape[2] in COLOURS and shape[1] not in COLOURS:
        return array[None]
    return np.moveaxis(array, 0, 2)[None] if shape[0] in COLOURS else array[..., None]


def _array(source: ImageSource) -> Array:
    """The array in a file; of an archive the one that is named as images are, or the only one."""
    try:
        if source.suffix == ".npy" and not source.member:
            whole: Array = np.load(source.path, mmap_mode="r", allow_pickle=False)
            return whole.view(np.ndarray)
        with _npz(source) as archive:
            if isinstance(archive, np.ndarray):
                return archive
            if source.member in archive.files:
                return archive[source.member]
            name = next((n for n in NAMES if n in archive.files), archive.files[0] if archive.files else "")
            others = [n for n in archive.files if n not in (name, *LABELS, *PARTS)]
            if not name or (name not in NAMES and others) or (name == "arr_0" and _classes(archive, "arr_1") is None):
                raise ValueError(f"no array is named {', '.join(NAMES)}; there are {', '.join(archive.files[:8])}")
            if others:
                warnings.warn(f"only its {name} are read, not {', '.join(others[:8])}", stacklevel=2)
            return archive[name]
    except DAMAGED as error:
        raise ValueError(f"this is no readable numpy file: {error}") from None
    except ValueError as error:
        if any(word in str(error) for word in ("pickle", "Python objects")):
            raise ValueError("it holds no array of numbers, but objects of Python or something else") from None
        raise


@contextlib.contextmanager
def _npz(source: ImageSource) -> Iterator[Any]:
    """What numpy makes of a file: an array, or several by name; source: may be one of several in a file."""
    if source.path.suffix.lower() == ".npz":
        with np.load(source.path, allow_pickle=False) as archive:
            yield archive
        return
    with source.stream() as file:
        found = np.load(file, allow_pickle=False)
        yield found


def divided(source: ImageSource) -> list[ImageSource]:
    """A file that holds the images of several splits as a source for each array; itself where it does not."""
    if source.path.suffix.lower() != ".npz":
        return [source]
    try:
        with zipfile.ZipFile(source.path) as archive:
            inside = {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, ValueError, zipfile.BadZipFile):
        return [source]
    found = [ImageSource(source.path, f"{name}.npz", name) for name in PARTS if name in inside]
    return found if len(found) > 1 else [source]


def labels_of(source: ImageSource) -> list[str] | None:
    """The class of each image in a file, by an array or a file of arrays beside it that is named as classes are.

    None where there is no such array. Raises OSError, ValueError.
    """
    stem = source.member if source.path.suffix.lower() == ".npz" else PurePosixPath(source.name).stem
    names = [stem.translate(letters).replace("images", "labels") for letters in TWINS] if stem in PARTS else LABELS
    if source.suffix == ".npz":
        with _npz(source) as archive:
            found = next((n for n in names if n in archive.files), None)
            return None if found is None else _classes(archive, found)
    if source.suffix == ".npy" and not source.member:
        beside = next((p for n in names if (p := source.path.with_name(f"{n}.npy")).exists()), None)
        return None if beside is None else _classes({beside.stem: np.load(beside, allow_pickle=False)}, beside.stem)
    return None


def are_classes(name: str) -> bool:
    """Whether a .npy file is called as those of classes are, and so is none of images."""
    stem = PurePosixPath(name).stem
    twin = stem.replace("labels", "images").translate(str.maketrans("yY", "xX"))
    return name.endswith(".npy") and (stem in LABELS or (twin != stem and twin in PARTS))


def _classes(archive: Any, name: str) -> list[str] | None:
    """The classes in an array; none where there is no arr_1, None where that is an image. Raises ValueError."""
    if name not in archive:
        return []
    try:
        values = archive[name]
    except ValueError:
        raise ValueError(f"{name} holds objects of Python") from None
    if values.ndim > 1 and values.size != len(values) and name == "arr_1":
        return None
    whole = values.dtype.kind == "f" and values.ndim > 0 and bool((values == np.round(values)).all())
    values = values.astype(np.int64) if whole else values
    if values.dtype.kind not in "iuUSb" or values.ndim == 0 or values.size != len(values):
        raise ValueError(f"{name} of type {values.dtype} and shape {list(values.shape)} are no classes")
    flat = values.reshape(-1).tolist()
    return [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in flat]
