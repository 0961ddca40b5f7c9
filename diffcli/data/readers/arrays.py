"""numpy files among the images of a folder: one image in a file, or many, and never by way of a pickle."""

import zipfile
from collections.abc import Iterator, Sequence

import numpy as np

from diffcli.data.readers import Page, foreign_mode
from diffcli.data.sources import ImageSource
from diffcli.data.spans import Array

COLOURS = (1, 3, 4)
NAMES = ("images", "image", "samples", "x", "X", "data", "arr_0", "train_images", "x_train", "X_train")
LABELS = ("labels", "label", "y", "Y", "targets", "target", "classes", "arr_1", "train_labels", "y_train", "Y_train")


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
        with source.stream() as file:
            if source.suffix == ".npy":
                found: Array = np.lib.format.read_array(file, allow_pickle=False)
                return found
            with np.load(file, allow_pickle=False) as archive:
                name = next((n for n in NAMES if n in archive.files), archive.files[0] if archive.files else "")
                if not name or (name not in NAMES and len(archive.files) > 1):
                    raise ValueError(f"no array is named {', '.join(NAMES)}; there are {', '.join(archive.files[:8])}")
                return archive[name]
    except (zipfile.BadZipFile, EOFError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise ValueError(f"this is no readable numpy file: {error}") from None


def labels_of(source: ImageSource) -> list[str] | None:
    """The class of each image in a .npz file, where an array is named as classes are; raises OSError, ValueError."""
    if source.suffix != ".npz":
        return None
    with source.stream() as file, np.load(file, allow_pickle=False) as archive:
        name = next((n for n in LABELS if n in archive.files), None)
        if name is None:
            return None
        values = archive[name]
    if values.dtype.kind not in "iuUSb" or values.ndim == 0 or values.size != len(values):
        raise ValueError(f"{name} of type {values.dtype} and shape {list(values.shape)} are no classes")
    flat = values.reshape(-1)
    return [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in flat.tolist()]
