"""Single image files, as they are given to a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from diffcli.data import pages
from diffcli.data.dataset import to_pixels
from diffcli.data.fitting import Header, Shape, fitted
from diffcli.data.readers import UNREADABLE, Page
from diffcli.data.readers.deep import over_white
from diffcli.data.scan import reader_kind
from diffcli.data.sources import ImageSource
from diffcli.data.spans import Spans, Tallies
from diffcli.errors import DataProblem


def header(path: Path) -> Header:
    """Mode and upright size (width, height) of an image file, without decoding it; raises DataProblem."""
    found = _page(path)
    return found.mode, found.size


def read_image(path: Path, shape: Shape, spans: Spans | None = None) -> Tensor:
    """An image file in a shape: uint8 [C, H, W], or float32 in [-1, 1] where there are spans.

    spans:  of the data that a model was trained on. Without them a file of more than 8 bits is brought to 8 by its own

    Raises DataProblem if it cannot be read.
    """
    page = _page(path)
    with _readable(page), pages.only(page) as image:
        found = pages.brought(image, shape)
        if page.deep:
            tallies = Tallies.empty()
            tallies.add(over_white(np.asarray(image)))  # raises for nan
            own = tallies.spans()
            if spans is None and own is not None:
                return to_pixels(pages.in_span(found, page, own[0]))
        return pages.in_span(found, page, spans)


def read_mask(path: Path, shape: tuple[int, int]) -> tuple[Tensor, str]:
    """A mask as bool [H, W], true where it is white, and what to say of how it was read; "" is nothing.

    Drawn as a layer, white on a transparent ground, it is what is opaque. Raises DataProblem where it cannot
    be read, and where it is all one value.
    """
    page = _page(path)
    with _readable(page), pages.only(page) as image:
        layer = _as_layer(image) if isinstance(image, Image.Image) else None
        found = read_image(path, (1, *shape)) if layer is None else fitted(layer, (1, *shape))
    mask = found[0] > 127
    note = f"{path} is read as a layer: what is opaque is painted" if layer is not None else ""
    if bool(mask.all()) or not bool(mask.any()):
        what = ("opaque" if mask.any() else "transparent") if layer is not None else "white" if mask.any() else "black"
        raise DataProblem(
            f"{path} is {what} everywhere: there is nothing to {'keep' if mask.any() else 'paint'}",
            "white is painted, black is kept",
        )
    return mask, note


@contextmanager
def _readable(page: Page) -> Iterator[None]:
    """What a broken file raises inside becomes a DataProblem; what libraries warn of is kept from the terminal."""
    with pages.silenced({}):
        try:
            yield
        except UNREADABLE as error:
            why = pages.reason(error)
            raise DataProblem(f"{page.source} is not a readable image: {why}", "repair it, or name another") from error


def _as_layer(image: Image.Image) -> Image.Image | None:
    """The opacity of a picture that is white on a transparent ground, or transparent everywhere; None of any other."""
    if not pages.is_transparent(image):
        return None
    whole = image.convert("RGBA")
    alpha = whole.getchannel("A")
    seen = alpha.point(lambda value: 255 * (value > 127))
    grey = Image.alpha_composite(Image.new("RGBA", whole.size, "black"), whole).convert("L")
    inside = [n for n, count in enumerate(grey.histogram(seen)) if count]
    return alpha if not inside or min(inside) > 127 else None


def _page(path: Path) -> Page:
    """The first image of a file."""
    source = ImageSource(path, path.name)
    kind = reader_kind(source)
    if not kind.readable:
        raise DataProblem(f"{path} needs another package", kind.missing)
    with pages.silenced({}):
        try:
            found = kind.reader.pages(source, first=True)
        except FileNotFoundError:
            raise DataProblem(f"no such image: {path}") from None
        except UNREADABLE as error:
            why = pages.reason(error)
            raise DataProblem(f"{path} is not a readable image: {why}", "repair it, or name another") from error
    if not found:
        raise DataProblem(f"{path} holds no image", "name a file that does")
    return found[0]
