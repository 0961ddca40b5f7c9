"""Files that Pillow knows: read by it, and where it would keep 8 bits of more, by torchvision and tifffile."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

from diffcli.data.readers import HEIF, Page, check_size, deep, is_foreign, kind_of
from diffcli.data.sources import ImageSource
from diffcli.data.spans import Array

IN_PNG = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")  # where a PNG may say how it was turned
ORIENTATION = 0x0112  # the EXIF tag; from 5 on the image lies on its side
SEVERAL = ("TIFF", "GIF", "PNG", "WEBP", "AVIF", "HEIF")  # formats whose files hold several images
MEANING = 0x0106  # the TIFF tag of what numbers mean
TEXT = 1 << 26  # bytes of text chunks that a PNG may hold

Image.MAX_IMAGE_PIXELS = None  # ours is checked below, before anything is decoded, and says how to go on
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = TEXT


def pages(source: ImageSource, *, first: bool) -> list[Page]:
    """The images in a file, or only its first."""
    known = deep.tiff_pages(source, first=first) if source.suffix in deep.TIFF else {}
    if known and None not in known.values():
        return [page for page in known.values() if page is not None]
    with opened(source) as image:
        count = 1 if first or image.format not in SEVERAL else getattr(image, "n_frames", 1)
        found = []
        for index in known or range(count):
            if index and image.format == "TIFF":  # others have one size
                image.seek(index)
            mode, size = header_of(image)
            check_size(size)
            if (bits := image.info.get("bit_depth", 8)) > 8:  # of HEIC, which its library brings to 8
                warnings.warn(f"its {bits} bits are reduced to 8", stacklevel=2)
            found.append(known.get(index) or Page(source, index, mode, size))
    return found


def images(source: ImageSource, pages: Sequence[Page]) -> Iterator[Image.Image | Array]:
    """The images of a file, upright; arrays [H, W] or [H, W, C] of those with more than 8 bits."""
    with contextlib.ExitStack() as stack:
        by_tifffile = source.suffix in deep.TIFF and any(is_foreign(page.mode) for page in pages)
        numbers = stack.enter_context(deep.tiff_images(source)) if by_tifffile else None
        if numbers is None or not all(is_foreign(page.mode) for page in pages):
            image = stack.enter_context(opened(source))
        for page in pages:
            if numbers is not None and is_foreign(page.mode):
                yield numbers(page.number)
                continue
            if page.number:
                image.seek(page.number)
            if is_foreign(page.mode):
                yield deep.png_numbers(source, image, orientation(image))
            else:
                yield _numbers(image) if page.deep else image


def _numbers(image: Image.Image) -> Array:
    """Those of an image of one channel, upright; Pillow does not turn them where 0 is white."""
    values = deep.without(np.asarray(turned(image)), image)
    tags = getattr(image, "tag_v2", {})
    return deep.inverted(values) if tags.get(MEANING) == deep.WHITE_IS_ZERO else values


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
    lies = orientation(image) >= 5 and image.format != "TIFF"  # Pillow itself turns those, and their sizes
    return mode, (image.height, image.width) if lies else image.size


def orientation(image: Image.Image) -> int:
    """How a camera turned it, 1 is upright; 1 where that cannot be read. A PNG that does not say so is not decoded."""
    if image.format == "PNG" and not any(key in image.info for key in IN_PNG):
        return 1
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # there is no end to what broken EXIF raises
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def turned(image: Image.Image) -> Image.Image:
    """The image upright; raises OSError where it is damaged, which a question for its orientation would hide."""
    image.load()
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
    pixels = deep.decoded(source)
    if pixels.dtype != np.uint8:
        raise ValueError("its text cannot be read")
    return Image.fromarray(pixels.squeeze())


def decoded_jpeg(source: ImageSource, image: Image.Image) -> Image.Image | None:
    """A usual JPEG, decoded by torchvision in half of Pillow's time to the same bits; None for any other file."""
    if image.format != "JPEG" or image.mode not in ("L", "RGB") or orientation(image) != 1:
        return None
    try:
        return Image.fromarray(deep.decoded(source).squeeze(-1) if image.mode == "L" else deep.decoded(source))
    except ValueError:  # Pillow knows what to say of a damaged file
        return None
