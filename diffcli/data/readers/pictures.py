"""Files that Pillow knows: read by it, and where it would keep 8 bits of more, by torchvision and tifffile."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from importlib import util
from typing import Any

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

from diffcli.data.readers import HEIF, Page, foreign_mode, is_foreign, kind_of
from diffcli.data.sources import ImageSource
from diffcli.data.spans import Array
from diffcli.data.vision import import_from_torchvision
from diffcli.errors import EnvironmentProblem

ORIENTATION = 0x0112  # the EXIF tag; from 5 on the image lies on its side
SEVERAL = ("TIFF", "GIF", "PNG", "WEBP", "AVIF", "HEIF")  # formats whose files hold several images
MOST_PIXELS, PIXELS = 300_000_000, "DIFFCLI_MAX_PIXELS"  # of an image, and the variable that allows more
TEXT = 1 << 26  # bytes of text chunks that a PNG may hold

Image.MAX_IMAGE_PIXELS = None  # ours is checked below, before anything is decoded, and says how to go on
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = TEXT


def pages(source: ImageSource, *, first: bool) -> list[Page]:
    """The images in a file, or only its first."""
    if source.suffix in (".tif", ".tiff") and (found := _deep_pages(source, first=first)):
        return found
    with opened(source) as image:
        count = 1 if first or image.format not in SEVERAL else getattr(image, "n_frames", 1)
        found = []
        for index in range(count):
            if index and image.format == "TIFF":  # others have one size
                image.seek(index)
            mode, size = header_of(image)
            check_size(size)
            found.append(Page(source, index, mode, size))
    return found


def images(source: ImageSource, pages: Sequence[Page]) -> Iterator[Image.Image | Array]:
    """The images of a file, upright; arrays [H, W] or [H, W, C] of those with more than 8 bits."""
    if any(is_foreign(page.mode) for page in pages):
        yield from map(upright, _deep_images(source, pages))
        return
    with opened(source) as image:
        for page in pages:
            if page.number:
                image.seek(page.number)
            yield np.asarray(turned(image)) if page.deep else image


@contextlib.contextmanager
def opened(source: ImageSource) -> Iterator[Image.Image]:
    """The image in a file, not decoded yet."""
    kind = kind_of(source.name)
    if kind is HEIF and HEIF.readable:
        from pillow_heif import register_heif_opener

        register_heif_opener()
    with source.stream() as file:
        image: Image.Image
        try:
            image = Image.open(file)
        except ValueError:  # a text chunk that is out of bounds in a file that is whole
            image = _by_torchvision(source)
        with image:
            yield image


def header_of(image: Image.Image) -> tuple[str, tuple[int, int]]:
    """Mode and upright size (width, height) of an image, without decoding it."""
    mode = "L" if image.mode == "P" and _is_grey(image) else image.mode
    if image.format == "PNG" and image.mode in ("RGB", "RGBA", "LA") and "16" in _raw_mode(image):
        mode = f"{image.mode};int"
    return mode, (image.height, image.width) if orientation(image) >= 5 else image.size


def check_size(size: tuple[int, int]) -> None:
    """Raise ValueError for an image of more pixels than are read."""
    most = int(os.environ.get(PIXELS) or MOST_PIXELS)
    if size[0] * size[1] > most:
        raise ValueError(f"it has {size[0]}x{size[1]} pixels, more than {most:,}; {PIXELS}=N allows N")


def orientation(image: Image.Image) -> int:
    """How a camera turned it, 1 is upright; 1 where that cannot be read."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # there is no end to what broken EXIF raises
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def turned(image: Image.Image) -> Image.Image:
    """The image upright."""
    return image if orientation(image) == 1 else ImageOps.exif_transpose(image)


def _is_grey(image: Image.Image) -> bool:
    """Whether a palette has greys only, as that of a grey GIF, and nothing is transparent."""
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    return "transparency" not in image.info and bool((palette == palette[:, :1]).all())


def _raw_mode(image: Image.Image) -> str:
    """How the file holds its pixels, as Pillow calls it."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _by_torchvision(source: ImageSource) -> Image.Image:
    """A PNG of 8 bits whose text Pillow refuses; raises ValueError."""
    pixels = _decoded(source)
    if pixels.dtype != np.uint8:
        raise ValueError("its text cannot be read")
    return Image.fromarray(pixels.squeeze())


def _decoded(source: ImageSource) -> Array:
    """The numbers of a PNG [H, W, C] by torchvision, which keeps 16 bits; raises ValueError."""
    import torch

    try:
        decode = import_from_torchvision("io").decode_image
        content = torch.frombuffer(bytearray(source.content()), dtype=torch.uint8)
        found: Array = decode(content).movedim(0, 2).numpy()
    except (EnvironmentProblem, RuntimeError) as error:
        raise ValueError(f"it is no readable PNG: {error}") from None
    return found


def decoded_jpeg(source: ImageSource, image: Image.Image) -> Image.Image | None:
    """A usual JPEG, decoded by torchvision in half of Pillow's time to the same bits; None for any other file."""
    if image.format != "JPEG" or image.mode not in ("L", "RGB") or orientation(image) != 1:
        return None
    try:
        return Image.fromarray(_decoded(source).squeeze(-1) if image.mode == "L" else _decoded(source))
    except ValueError:  # Pillow knows what to say of a damaged file
        return None


# TIFF and PNG with more than 8 bits


def _deep_pages(source: ImageSource, *, first: bool) -> list[Page]:
    """Those of a TIFF with more than 8 bits; nothing of others, and where tifffile does not understand it."""
    import tifffile

    found = []
    with source.stream() as file, contextlib.suppress(tifffile.TiffFileError), tifffile.TiffFile(file) as tiff:
        every: Any = tiff.pages
        for index, page in enumerate(every[:1] if first else every):
            kind = None if page.dtype is None else np.dtype(page.dtype)
            channels = page.samplesperpixel
            if kind is None or (kind.kind, kind.itemsize) in (("u", 1), ("b", 1)):
                return []
            if not _unpacks(page):
                if channels > 1:
                    raise ValueError("its compression needs another package: pip install imagecodecs reads it")
                return []
            if channels > 4 or kind.kind not in "iuf":
                raise ValueError(f"it has {channels} numbers a pixel, of the type {kind}: no image")
            size = (page.imagewidth, page.imagelength)
            check_size(size)
            found.append(Page(source, index, foreign_mode(channels, kind), size))
    return found


def _unpacks(page: Any) -> bool:
    """Whether tifffile can unpack a page by itself."""
    plain = int(page.compression) in (1, 8, 32946) and int(page.predictor) in (1, 2)
    return plain or util.find_spec("imagecodecs") is not None


def _deep_images(source: ImageSource, pages: Sequence[Page]) -> Iterator[Array]:
    if source.suffix in (".tif", ".tiff"):
        import tifffile

        with source.stream() as file, tifffile.TiffFile(file) as tiff:
            for page in pages:
                found: Any = tiff.pages[page.number]
                values: Array = found.asarray()
                values = np.moveaxis(values, 0, -1) if found.axes == "SYX" else values
                yield values if int(found.photometric) else _inverted(values)
    else:
        yield _decoded(source)


def _inverted(values: Array) -> Array:
    """Of a TIFF in which 0 is white."""
    return np.iinfo(values.dtype).max - values if values.dtype.kind == "u" else -values


def upright(values: Array) -> Array:
    """[H, W] or [H, W, C], with what is transparent laid over white; the type stays."""
    values = values.squeeze(-1) if values.ndim == 3 and values.shape[2] == 1 else values
    if values.ndim == 2 or values.shape[2] in (1, 3):
        return values
    white = 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)
    share = values[..., -1:].astype(np.float64) / white
    laid = values[..., :-1] * share + white * (1 - share)
    return laid.round().astype(values.dtype) if values.dtype.kind != "f" else laid.astype(values.dtype)
