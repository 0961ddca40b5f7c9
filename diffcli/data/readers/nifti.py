"""NIfTI files, by nibabel: a volume is as many images as it has slices across its third axis."""

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from diffcli.data.readers import Page, check_size, foreign_mode
from diffcli.data.sources import LARGEST_MEMBER, ImageSource
from diffcli.data.spans import Array

COLOURS = ("R", "G", "B")

UP = {"I": 2, "S": 2, "P": 1, "A": 1, "L": 0, "R": 0, None: -1}  # what is rather above than beside, by the axis
BACKWARDS = ("L", "P", "I")  # against the directions that NIfTI counts in


class Plane(NamedTuple):
    """How a slice is looked at: which of its two axes is upright, and which axes run against their direction."""

    upright: int
    flipped: tuple[bool, bool]


def pages(source: ImageSource, *, first: bool) -> list[Page]:
    """The slices of a file, or only its first; those of a series one volume after the other."""
    volume = _volume(source)
    shape, plane = _shape(volume), _plane(volume)
    size = shape[1 - plane.upright], shape[plane.upright]
    check_size(size)
    scaled = volume.dataobj.slope != 1 or volume.dataobj.inter != 0
    kind = volume.get_data_dtype()
    deep = np.dtype("float64") if scaled else kind
    mode = "RGB" if kind.names == COLOURS else "L" if deep == np.uint8 else foreign_mode(1, deep)
    return [Page(source, i, mode, size) for i in range(1 if first else int(np.prod(shape[2:])))]


def images(source: ImageSource, pages: Sequence[Page]) -> Iterator[Array]:
    """The slices of a file [H, W] or [H, W, 3], turned so that a head looks up, or stands."""
    volume = _volume(source)
    rest, plane, data = _shape(volume)[2:], _plane(volume), volume.dataobj
    packed = len(pages) > 1 and source.suffix == ".gz"  # that cannot be entered in its middle
    whole = data.get_unscaled() if packed else None
    for page in pages:
        place = map(int, np.unravel_index(page.number, rest, order="F"))
        part = (slice(None), slice(None), *place)[: len(volume.shape)]
        values: Array = np.asanyarray(data[part] if whole is None else whole[part])
        if whole is not None and (data.slope != 1 or data.inter != 0):
            values = values * float(data.slope) + float(data.inter)
        if values.dtype.names == COLOURS:
            values = np.stack([values[name] for name in COLOURS], axis=-1)
        yield _seen(values, plane)


def _plane(volume: Any) -> Plane:
    """By what the file says of its directions; where it says nothing, the second axis points upwards."""
    from nibabel.orientations import aff2axcodes

    if not (int(volume.header.get("sform_code", 0)) or int(volume.header.get("qform_code", 0))):
        return Plane(1, (False, False))
    codes = aff2axcodes(volume.affine)[:2]
    return Plane(0 if UP[codes[0]] > UP[codes[1]] else 1, (codes[0] in BACKWARDS, codes[1] in BACKWARDS))


def _seen(values: Array, plane: Plane) -> Array:
    """A slice [X, Y, ...] as an image [H, W, ...]."""
    forward = values[:: -1 if plane.flipped[0] else 1, :: -1 if plane.flipped[1] else 1]
    return (forward.swapaxes(0, 1) if plane.upright == 1 else forward)[::-1]


def _shape(volume: Any) -> tuple[int, ...]:
    """(X, Y, slices, ...); raises ValueError for what has no images."""
    shape, kind = tuple(int(n) for n in volume.shape), volume.get_data_dtype()
    if len(shape) < 2 or 0 in shape or (kind.kind not in "iuf" and kind.names != COLOURS):
        raise ValueError(f"a volume of {list(shape)} numbers of the type {kind} holds no images")
    return shape if len(shape) > 2 else (*shape, 1)


def _volume(source: ImageSource) -> Any:
    """The volume in a file; raises ValueError."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError, HeaderTypeError

    try:
        if not source.member:
            return nibabel.load(source.path)
        content = source.content()
        if source.suffix == ".gz":
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                content = file.read(LARGEST_MEMBER)
        return nibabel.Nifti1Image.from_bytes(content)
    except (ImageFileError, HeaderDataError, HeaderTypeError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"this is no readable NIfTI file: {error}") from None
