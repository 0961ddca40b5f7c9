"""NIfTI files, by nibabel: a volume is as many images as it has slices across its third axis."""

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from diffcli.data.readers import Page, check_size, foreign_mode
from diffcli.data.sources import LARGEST_MEMBER, ImageSource
from diffcli.data.spans import Array


def pages(source: ImageSource, *, first: bool) -> list[Page]:
    """The slices of a file, or only its first; those of a series one volume after the other."""
    volume = _volume(source)
    width, height, *rest = _shape(volume)
    check_size((width, height))
    scaled = volume.dataobj.slope != 1 or volume.dataobj.inter != 0
    kind = np.dtype("float64") if scaled else volume.get_data_dtype()
    mode = "L" if kind == np.uint8 else foreign_mode(1, kind)
    return [Page(source, i, mode, (width, height)) for i in range(1 if first else int(np.prod(rest)))]


def images(source: ImageSource, pages: Sequence[Page]) -> Iterator[Array]:
    """The slices of a file [H, W], turned so that a head looks up: the second axis of the volume points upwards."""
    volume = _volume(source)
    rest = _shape(volume)[2:]
    for page in pages:
        place = np.unravel_index(page.number, rest, order="F")
        values: Array = np.asanyarray(volume.dataobj[(slice(None), slice(None), *map(int, place))])
        yield np.rot90(values.reshape(values.shape[:2]))


def _shape(volume: Any) -> tuple[int, ...]:
    """(width, height, slices, ...); raises ValueError for what has no images."""
    shape = tuple(int(n) for n in volume.shape)
    if len(shape) < 2 or 0 in shape or volume.get_data_dtype().kind not in "iuf":
        raise ValueError(f"a volume of {list(shape)} numbers of the type {volume.get_data_dtype()} holds no images")
    return shape if len(shape) > 2 else (*shape, 1)


def _volume(source: ImageSource) -> Any:
    """The volume in a file; raises ValueError."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        if not source.member:
            return nibabel.load(source.path)
        content = source.content()
        if source.suffix == ".gz":
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                content = file.read(LARGEST_MEMBER)
        return nibabel.Nifti1Image.from_bytes(content)
    except (ImageFileError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"this is no readable NIfTI file: {error}") from None
