"""DICOM files, by pydicom: of all that they hold only the pixels and what these mean are looked at."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from diffcli.data.readers import Page, check_size, foreign_mode
from diffcli.data.sources import ImageSource
from diffcli.data.spans import Array, Span

NEEDED = [  # what pixels mean, and nothing of whom they show
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsStored", "BitsAllocated",
    "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth",
]  # fmt: skip


def pages(source: ImageSource, *, first: bool) -> list[Page]:
    """The frames of a file, or only its first."""
    facts = _facts(source)
    colour = int(facts.get("SamplesPerPixel", 1)) > 1
    size = int(facts["Columns"]), int(facts["Rows"])
    check_size(size)
    count = 1 if first else max(1, int(facts.get("NumberOfFrames") or 1))
    kind = np.dtype("float64" if _slope(facts) != (1.0, 0.0) and not colour else "int32")
    eight = int(facts["BitsAllocated"]) == 8 and kind.kind == "i"
    mode = ("RGB" if colour else "L") if eight else foreign_mode(3 if colour else 1, kind)
    return [Page(source, i, mode, size, None if eight else _window(facts)) for i in range(count)]


def images(source: ImageSource, pages: Sequence[Page]) -> Iterator[Array]:
    """The frames of a file, [H, W] or [H, W, 3], in the unit that its slope and intercept lead to."""
    from pydicom.pixels.utils import pixel_array

    facts = _facts(source)
    slope, intercept = _slope(facts)
    for page in pages:
        with source.stream() as opened:
            file: Any = opened
            try:
                values = pixel_array(file, index=page.number if page.number or _several(facts) else None)
            except (AttributeError, RuntimeError, NotImplementedError, KeyError, TypeError) as error:
                raise ValueError(f"its pixels cannot be read: {_first_line(error)}") from None
        if facts.get("PhotometricInterpretation") == "MONOCHROME1":  # small numbers are white
            values = (_top(facts) - values.astype(np.int64)).astype(np.uint8 if values.dtype == np.uint8 else np.int64)
        yield values if (slope, intercept) == (1.0, 0.0) or values.ndim == 3 else values * slope + intercept


def _facts(source: ImageSource) -> dict[str, Any]:
    """What the pixels mean; raises ValueError for what is no DICOM file with pixels."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    with source.stream() as file:
        try:
            found = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(NEEDED))
        except (InvalidDicomError, EOFError, AttributeError, KeyError, NotImplementedError) as error:
            raise ValueError(f"this is no readable DICOM file: {_first_line(error)}") from None
    facts = {name: found.get(name) for name in NEEDED if found.get(name) is not None}
    if missing := [name for name in ("Rows", "Columns", "BitsAllocated") if name not in facts]:
        raise ValueError(f"it has no pixels ({', '.join(missing)} is missing)")
    return facts


def _several(facts: dict[str, Any]) -> bool:
    return int(facts.get("NumberOfFrames") or 1) > 1


def _slope(facts: dict[str, Any]) -> tuple[float, float]:
    """What leads from stored numbers to those of the unit, Hounsfield's of a CT (DICOM PS3.3 C.7.6.16.2.9)."""
    return float(facts.get("RescaleSlope", 1)), float(facts.get("RescaleIntercept", 0))


def _top(facts: dict[str, Any]) -> int:
    """The sum of a stored number and the one as far from the other end."""
    return -1 if int(facts.get("PixelRepresentation", 0)) else (1 << int(facts["BitsStored"])) - 1


def _window(facts: dict[str, Any]) -> Span | None:
    """The numbers that the file would have shown as black and white (DICOM PS3.3 C.11.2.1.2), if it says so."""
    center, width = (_first(facts.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None or width <= 1:
        return None
    ends = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    if facts.get("PhotometricInterpretation") == "MONOCHROME1":
        slope, intercept = _slope(facts)
        whole = _top(facts) * slope + 2 * intercept
        ends = whole - ends[1], whole - ends[0]
    return Span(*ends)


def _first(value: Any) -> float | None:
    """Of a number, or of several, as a file with more than one window has them."""
    if value is None:
        return None
    return float(value if isinstance(value, int | float | str) or not hasattr(value, "__getitem__") else value[0])


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
