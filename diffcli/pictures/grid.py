"""Images side by side, as PNG and GIF."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.nn.functional import interpolate

from diffcli.data.dataset import to_pixels
from diffcli.data.scan import PROGRAM
from diffcli.system.files import write_atomically
from diffcli.system.text import legible

GAP = 2  # pixels between images, before enlarging
PAPER = 96  # grey of the gaps


def single(image: Tensor) -> Image.Image:
    """One image [C, H, W] in [-1, 1]; other channel numbers than 1 and 3 show their first."""
    pixels = to_pixels(image).cpu().numpy()
    return Image.fromarray(pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels[0])


def grid(images: Tensor, columns: int = 0, width: int = 800, above: Tensor | None = None) -> Image.Image:
    """Images [N, C, H, W] in [-1, 1] row by row, enlarged by a whole factor to about `width` pixels at most.

    above:  images for a row of their own on top
    """
    return single(sheet(images, columns, width, above))


def sheet(images: Tensor, columns: int = 0, width: int = 800, above: Tensor | None = None) -> Tensor:
    """The grid as one image, [C, H, W] in [-1, 1]; see `grid`."""
    images, columns, paper = images.cpu(), columns or best_columns(len(images)), PAPER / 127.5 - 1
    if above is not None:
        columns = max(columns, len(above))
        blank = torch.full_like(images[:1], paper).expand(columns - len(above), -1, -1, -1)
        images = torch.cat([above.to(images), blank, images])
    count, channels, h, w = images.shape
    rows = math.ceil(count / columns)
    found = images.new_full((channels, rows * (h + GAP) + GAP, columns * (w + GAP) + GAP), paper)
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        top, left = GAP + row * (h + GAP), GAP + column * (w + GAP)
        found[:, top : top + h, left : left + w] = image
    factor = max(1, min(6, width // found.shape[-1]))
    return found.repeat_interleave(factor, dim=1).repeat_interleave(factor, dim=2)


def layered(rows: Sequence[Tensor], columns: int = 0, width: int = 800, above: Tensor | None = None) -> Tensor:
    """Images [N, C, H, W] of several kinds, of which those of one number lie below each other: [C, H, W]."""
    if len(rows) == 1:
        return sheet(rows[0], columns, width, above)
    rows, count = [row.cpu() for row in rows], len(rows[0])
    columns = max(columns or best_columns(count), 0 if above is None else len(above))
    paper = torch.full_like(rows[0][:1], PAPER / 127.5 - 1)
    parts = []
    for first in range(0, count, columns):
        for row in rows:
            part = row[first : first + columns]
            parts += [part, paper.expand(columns - len(part), -1, -1, -1)]
    return sheet(torch.cat(parts), columns, width, above)


def shown_hints(hints: Tensor, like: Tensor) -> Tensor:
    """Hints [N, k, H, W] as images that lie above others [N, C, H, W]; of many planes the largest of each pixel."""
    found = hints if hints.shape[1] in (1, 3) else hints.amax(1, keepdim=True)
    channels = like.shape[1]
    if found.shape[1] < channels:
        found = found.expand(-1, channels, -1, -1)
    elif found.shape[1] > channels:
        found = found.mean(1, keepdim=True)
    return interpolate(found, like.shape[-2:]) if found.shape[-2:] != like.shape[-2:] else found


def best_columns(count: int) -> int:
    """Columns of a nearly square grid, a full one if there is one; ten for multiples of ten, so classes line up."""
    if count % 10 == 0 and count <= 200:
        return 10
    side = math.ceil(math.sqrt(count))
    return next((columns for columns in range(side, 2 * side) if count % columns == 0), side)


def save_png(path: Path, image: Image.Image, facts: Mapping[str, Any] | None = None) -> None:
    """Write a PNG, the facts in its text chunks."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=_text(facts or {}), optimize=True)
    write_atomically(path, buffer.getvalue())


def told_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """The facts as a picture holds them, and by whom it was written."""
    signed = {"Software": PROGRAM}  # by it, results are told apart from data among which they lie
    return signed | {key: legible(str(value)) for key, value in facts.items()}


def text_chunks(facts: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """The same as chunks of a PNG, name and content."""
    return [(name, content) for name, content, *_ in _text(facts).chunks]


def _text(facts: Mapping[str, Any]) -> PngInfo:
    info = PngInfo()
    for key, text in told_of(facts).items():
        info.add_text(key, text)
    return info


def save_gif(path: Path, frames: Sequence[Image.Image], *, seconds: float = 3.0, hold: float = 1.5) -> None:
    """Write a GIF that runs for `seconds`, rests on the last frame for `hold`, and begins again."""
    each = max(20, round(1000 * seconds / len(frames)))
    times = [each] * (len(frames) - 1) + [each + round(1000 * hold)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0, comment=PROGRAM)
    write_atomically(path, buffer.getvalue())


def save_array(path: Path, images: Tensor) -> None:
    """Write float32 [N, C, H, W] as .npy."""
    buffer = io.BytesIO()
    np.save(buffer, images.float().cpu().numpy())
    write_atomically(path, buffer.getvalue())
