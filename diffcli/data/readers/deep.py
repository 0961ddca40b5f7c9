"""Files of more than 8 bits where Pillow keeps 8: TIFF by tifffile, and PNG in colour by torchvision."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from importlib import util
from typing import Any

import numpy as np
from PIL import Image

from diffcli.data.readers import Page, check_size, foreign_mode
from diffcli.data.sources import ImageSource
from diffcli.data.spans import Array
from diffcli.data.vision import import_from_torchvision
from diffcli.errors import EnvironmentProblem

TIFF = (".tif", ".tiff")
TURN, WHITE_IS_ZERO = 0x0112, 0  # the tag of how a camera turned it, and a value of the tag of what numbers mean
MEANINGS = {3: "a palette", 4: "a mask", 5: "CMYK", 6: "YCbCr", 8: "CIELAB", 9: "CIELAB", 10: "CIELAB"}
PREMULTIPLIED = 1  # as the tag of extra channels has it; 0 is something else than transparency


def tiff_pages(source: ImageSource, *, first: bool) -> dict[int, Page | None]:
    """The pages of a TIFF by number, those of more than 8 bits; None for each that Pillow reads.

    Smaller copies of other pages, as viewers and maps have them, are left out. Nothing where tifffile does not
    understand the file. Raises ValueError for what are no images.
    """
    import tifffile

    found: dict[int, Page | None] = {}
    with source.stream() as file, contextlib.suppress(tifffile.TiffFileError), tifffile.TiffFile(file) as tiff:
        every = list(enumerate(tiff.pages))
        whole = [(number, page) for number, page in every if not getattr(page, "is_reduced", False)]
        if whole and len(whole) < len(every) and not first:
            warnings.warn(f"{len(every) - len(whole)} smaller copies of pages are left out", stacklevel=2)
        for number, page in (whole or every)[: 1 if first else None]:
            found[number] = _page(source, number, page)
    return found


def _page(source: ImageSource, number: int, page: Any) -> Page | None:
    kind = None if page.dtype is None else np.dtype(page.dtype)
    channels = page.samplesperpixel
    if kind is None or (kind.kind, kind.itemsize) in (("u", 1), ("b", 1)):
        if channels > 4:
            raise ValueError(f"it has {channels} numbers a pixel: no image of 1, 3 or 4 channels")
        return None
    if not _unpacks(page):
        if channels > 1:
            raise ValueError("its compression needs another package: pip install imagecodecs reads it")
        return None
    if channels > 4 or kind.kind not in "iuf":
        raise ValueError(f"it has {channels} numbers a pixel, of the type {kind}: no image")
    if (meaning := int(page.photometric)) in MEANINGS:
        raise ValueError(f"its numbers of {8 * kind.itemsize} bits are {MEANINGS[meaning]}: save it as RGB")
    size = (page.imagewidth, page.imagelength)
    check_size(size)
    kept = channels if _extra(page) != 0 else channels - 1
    return Page(source, number, foreign_mode(kept, kind), size[::-1] if _turn(page) >= 5 else size)


def _unpacks(page: Any) -> bool:
    """Whether tifffile can unpack a page by itself."""
    plain = int(page.compression) in (1, 8, 32946) and int(page.predictor) in (1, 2)
    return plain or util.find_spec("imagecodecs") is not None


def _turn(page: Any) -> int:
    """How a camera turned a page; 1 is upright."""
    tag = page.tags.get(TURN)
    return int(tag.value) if tag is not None and tag.value in range(1, 9) else 1


def _extra(page: Any) -> int | None:
    """What the last of two or four channels is; None where there is no such channel, or nothing is said of it."""
    extra = tuple(page.extrasamples or ())
    return int(extra[0]) if page.samplesperpixel in (2, 4) and len(extra) == 1 else None


@contextlib.contextmanager
def tiff_images(source: ImageSource) -> Iterator[Callable[[int], Array]]:
    """The images of a TIFF by number, upright, [H, W] or [H, W, C], while it is open."""
    import tifffile

    with source.stream() as file, tifffile.TiffFile(file) as tiff:
        yield lambda number: _numbers(tiff.pages[number])


def _numbers(page: Any) -> Array:
    values: Array = page.asarray()
    values = np.moveaxis(values, 0, -1) if page.axes == "SYX" else values
    if int(page.photometric) == WHITE_IS_ZERO:
        values = inverted(values)
    if (extra := _extra(page)) == 0:
        warnings.warn("its last channel is no colour and no transparency: it is not read", stacklevel=2)
        values = values[..., :-1]
    elif extra == PREMULTIPLIED:
        values = _divided(values)
    return turned_numbers(values, _turn(page))


def inverted(values: Array) -> Array:
    """Of a file in which 0 is white."""
    return np.iinfo(values.dtype).max - values if values.dtype.kind == "u" else -values


def _divided(values: Array) -> Array:
    """Colours [H, W, C] that were multiplied by the last channel, as they were before."""
    share = values[..., -1:].astype(np.float64) / _white(values)
    colours = values[..., :-1] / np.where(share > 0, share, 1)
    most = _white(values)
    return np.concatenate([colours.clip(None, most).astype(values.dtype), values[..., -1:]], axis=-1)


def turned_numbers(values: Array, turn: int) -> Array:
    """[H, W] or [H, W, C] upright; turn: as EXIF numbers how a camera held it, 1 to 8."""
    if turn >= 5:
        values = values.swapaxes(0, 1)
    down, across = turn in (3, 4, 7, 8), turn in (2, 3, 6, 7)
    return values[:: -1 if down else 1, :: -1 if across else 1]


def is_transparent(values: Array) -> bool:
    """Whether numbers [H, W, C] are transparent somewhere."""
    return values.ndim == 3 and values.shape[2] in (2, 4) and bool((values[..., -1] < _white(values)).any())


def over_white(values: Array) -> Array:
    """[H, W] or [H, W, C], with what is transparent laid over white; the type stays."""
    values = values.squeeze(-1) if values.ndim == 3 and values.shape[2] == 1 else values
    if values.ndim == 2 or values.shape[2] not in (2, 4):
        return values
    white = _white(values)
    share = values[..., -1:].astype(np.float64) / white
    laid = values[..., :-1] * share + white * (1 - share)
    return laid.round().astype(values.dtype) if values.dtype.kind != "f" else laid.astype(values.dtype)


def _white(values: Array) -> float:
    """The number that is white and opaque: of the type, or of the usual ranges the first that holds all numbers."""
    if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
        return float(np.iinfo(values.dtype).max)
    most = float(values[..., -1].max())
    return next((white for white in (1.0, 255.0, 4095.0, 65535.0) if most <= white), most)


def png_numbers(source: ImageSource, image: Image.Image, turn: int) -> Array:
    """A PNG of 16 bits in colour [H, W, C], upright, what its file calls transparent white."""
    return turned_numbers(without(decoded(source), image), turn)


def without(values: Array, image: Image.Image) -> Array:
    """Numbers of 16 bits with white where they are the one colour that a PNG calls transparent."""
    colour = image.info.get("transparency") if image.format == "PNG" else None
    if colour is None or isinstance(colour, bytes) or values.dtype.itemsize < 2:
        return values
    same = values == np.asarray(colour)
    clear = same.all(-1, keepdims=True) if values.ndim == 3 else same
    return np.where(clear, 65535, values).astype(values.dtype)


def decoded(source: ImageSource) -> Array:
    """The numbers of a PNG or JPEG [H, W, C] by torchvision, which keeps 16 bits; raises ValueError."""
    import torch

    try:
        decode = import_from_torchvision("io").decode_image
        content = torch.frombuffer(bytearray(source.content()), dtype=torch.uint8)
        found: Array = decode(content).movedim(0, 2).numpy()
    except (EnvironmentProblem, RuntimeError) as error:
        raise ValueError(f"it is no readable PNG: {error}") from None
    return found
