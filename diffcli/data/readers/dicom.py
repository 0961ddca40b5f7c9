"""DICOM files, by pydicom: of all that they hold only the pixels and what these mean are looked at."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from diffcli.data.readers import Page, check_size, foreign_mode
from diffcli.data.sources import ImageSource
from diffcli.data.spans import Array, Span

PALETTE = [
    f"{colour}PaletteColorLookupTable{part}" for colour in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")
]
NEEDED = [  # what pixels mean, and nothing of whom they show
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsStored", "BitsAllocated",
    "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "ModalityLUTSequence", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", *PALETTE,
]  # fmt: skip
WHITE_IS_SMALL, COLOURS = "MONOCHROME1", "PALETTE COLOR"


def pages(source: ImageSource, *, first: bool) -> list[Page]:
    """The frames of a file, or only its first; none of a report, a plan or an index, which have no pixels."""
    facts = _facts(source)
    if facts.get("Rows") is None and "MediaStorageSOPClassUID" in facts.file_meta:
        return []
    if missing := [name for name in ("Rows", "Columns", "BitsAllocated") if facts.get(name) is None]:
        raise ValueError(f"it has no pixels ({', '.join(missing)} is missing)")
    colour = int(facts.get("SamplesPerPixel") or 1) > 1
    size = int(facts.Columns), int(facts.Rows)
    check_size(size)
    count = 1 if first else max(1, int(facts.get("NumberOfFrames") or 1))
    found = []
    for number in range(count):
        kind = np.dtype("float64" if _slope(facts, number) != (1.0, 0.0) and not colour else "int32")
        eight = int(facts.BitsAllocated) <= 8 and kind.kind == "i" and not facts.get("ModalityLUTSequence")
        mode = ("RGB" if colour else "L") if eight else foreign_mode(3 if colour else 1, kind)
        mode = "RGB" if facts.get("PhotometricInterpretation") == COLOURS else mode
        found.append(Page(source, number, mode, size, None if eight else _window(facts, number)))
    return found


def images(source: ImageSource, pages: Sequence[Page]) -> Iterator[Array]:
    """The frames of a file, [H, W] or [H, W, 3], in the unit that its slope and intercept lead to."""
    from pydicom.pixels.utils import iter_pixels

    facts = _facts(source)
    with source.stream() as opened:
        file: Any = opened
        try:
            stored: Any = iter_pixels(file, indices=[page.number for page in pages])
            with closing(stored):
                for page, values in zip(pages, stored, strict=True):
                    yield _meant(values, facts, page.number)
        except (AttributeError, RuntimeError, NotImplementedError, KeyError, TypeError) as error:
            raise ValueError(f"its pixels cannot be read: {_why(error)}") from None


def _meant(values: Array, facts: Any, number: int) -> Array:
    """Stored numbers of a frame in their unit, large ones white, and what is no image as black as the image is."""
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

    if facts.get("PhotometricInterpretation") == COLOURS:
        colours: Array = apply_color_lut(values, facts)
        return (colours >> 8 if colours.dtype == np.uint16 else colours).astype(np.uint8)
    if values.ndim == 3:
        return values
    outside = _padding(values, facts)
    if facts.get("PhotometricInterpretation") == WHITE_IS_SMALL:
        values = (_top(facts) - values.astype(np.int64)).astype(np.uint8 if values.dtype == np.uint8 else np.int64)
    if outside is not None and not outside.all():
        values = np.where(outside & (values != 0), values[~outside].min(), values)
    if facts.get("ModalityLUTSequence"):
        return np.asarray(apply_modality_lut(values, facts)).astype(np.int64)
    if int(facts.BitsAllocated) == 1:
        return values * np.uint8(255)
    slope, intercept = _slope(facts, number)
    return values if (slope, intercept) == (1.0, 0.0) else values * slope + intercept


def _padding(values: Array, facts: Any) -> Array | None:
    """What is outside of the image, as around the circle that a scanner sees (DICOM PS3.3 C.7.5.1.1.2), if anything.

    What is stored as 0 there is black as it stands.
    """
    ends = [_whole(facts, name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if ends[0] is None:
        return None
    low, high = sorted((ends[0], ends[0] if ends[1] is None else ends[1]))
    outside: Array = (values >= low) & (values <= high)
    return outside if outside.any() else None


def _whole(facts: Any, name: str) -> int | None:
    """A number that is signed as the pixels are; its bytes where the file does not say which it is."""
    value = facts.get(name)
    if isinstance(value, bytes):
        value = struct.unpack("<h" if facts.get("PixelRepresentation") else "<H", value[:2])[0]
    return None if value is None else int(value)


def _facts(source: ImageSource) -> Any:
    """What the pixels mean; raises ValueError for what is no DICOM file."""
    import pydicom
    from pydicom.errors import BytesLengthException, InvalidDicomError

    with source.stream() as file:
        try:
            found = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(NEEDED))
            for name in NEEDED:  # each is understood when it is first asked for
                found.get(name)
            return found
        except InvalidDicomError:
            raise ValueError("it does not begin as DICOM files do") from None
        except (EOFError, AttributeError, KeyError, NotImplementedError, BytesLengthException) as error:
            raise ValueError(f"this is no readable DICOM file: {_why(error)}") from None


def _of_frame(facts: Any, number: int, sequence: str, name: str) -> Any:
    """What is said of a frame, or of all that it shares a group with (DICOM PS3.3 C.7.6.16), or of the file."""
    for groups, place in (("PerFrameFunctionalGroupsSequence", number), ("SharedFunctionalGroupsSequence", 0)):
        group = list(facts.get(groups) or ())[place : place + 1]
        inside = group[0].get(sequence) if group else None
        if inside and inside[0].get(name) is not None:
            return inside[0].get(name)
    return facts.get(name)


def _slope(facts: Any, number: int) -> tuple[float, float]:
    """What leads from stored numbers to those of the unit, Hounsfield's of a CT (DICOM PS3.3 C.7.6.16.2.9)."""
    slope, intercept = (
        _of_frame(facts, number, "PixelValueTransformationSequence", name)
        for name in ("RescaleSlope", "RescaleIntercept")
    )
    return float(1 if slope is None else slope), float(intercept or 0)


def _top(facts: Any) -> int:
    """The sum of a stored number and the one as far from the other end."""
    return -1 if int(facts.get("PixelRepresentation") or 0) else (1 << int(facts.BitsStored)) - 1


def _window(facts: Any, number: int) -> Span | None:
    """The numbers that the file would have shown as black and white (DICOM PS3.3 C.11.2.1.2), if it says so."""
    center, width = (
        _first(_of_frame(facts, number, "FrameVOILUTSequence", name)) for name in ("WindowCenter", "WindowWidth")
    )
    if center is None or width is None or width <= 1:
        return None
    ends = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    if facts.get("PhotometricInterpretation") == WHITE_IS_SMALL:
        slope, intercept = _slope(facts, number)
        whole = _top(facts) * slope + 2 * intercept
        ends = whole - ends[1], whole - ends[0]
    return Span(*ends)


def _first(value: Any) -> float | None:
    """Of a number, or of several, as a file with more than one window has them."""
    if value is None:
        return None
    return float(value if isinstance(value, int | float | str) or not hasattr(value, "__getitem__") else value[0])


def _why(error: BaseException) -> str:
    """In one line; of a compression that needs another package, which."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if "missing dependencies" in line:
        kind = line.partition("'")[2].partition("'")[0] or "its compression"
        return f"{kind.partition(',')[0]} needs another package: pip install 'pylibjpeg[all]' reads it"
    return line
