"""Images as files of 8 or 16 bits per channel: PNG, and TIFF where the name says so."""

import io
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from diffcli.data.dataset import to_pixels
from diffcli.pictures.grid import save_png, text_chunks, told_of
from diffcli.system.files import write_atomically

TIFF = (".tif", ".tiff")
SUFFIXES = (".png", *TIFF)
"""Of the files that images are written to."""

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""[H, W], or [H, W, 3]."""

TOP = 65535  # of 16 bits
SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, COLOUR = 0, 2  # types of a PNG (ISO/IEC 15948, table 11.1)
UP = 2  # the filter that leaves the difference to the byte above, modulo 256 (the same, section 9.2)


def quantised(image: Tensor, depth: int = 8) -> Pixels:
    """An image [C, H, W] in [-1, 1] (others are clipped) as whole numbers: -1 is 0, and 1 is 255, or 65535.

    Other channel numbers than 1 and 3 show their first.

    depth:  bits per channel, 8 or 16
    """
    shown = (image.permute(1, 2, 0) if len(image) == 3 else image[0]).cpu().contiguous()
    if depth == 8:
        return to_pixels(shown).numpy()
    return ((shown.double().clamp(-1, 1) + 1) * (TOP / 2)).round().numpy().astype(np.uint16)


def blank(height: int, width: int, channels: int, depth: int) -> Pixels:
    """Pixels to be filled."""
    shape = (height, width, 3) if channels == 3 else (height, width)
    return np.zeros(shape, np.uint8) if depth == 8 else np.zeros(shape, np.uint16)


def unquantised(pixels: Pixels) -> Tensor:
    """The inverse: [C, H, W] in [-1, 1], float32."""
    values = torch.from_numpy(pixels.astype(np.float32)) / (np.iinfo(pixels.dtype).max / 2) - 1
    return values.permute(2, 0, 1) if pixels.ndim == 3 else values.unsqueeze(0)


def save_pixels(path: Path, pixels: Pixels, facts: Mapping[str, Any] | None = None) -> None:
    """Write an image of as many bits as its numbers have, with the facts: in text chunks, in TIFF as a description.

    Raises EnvironmentProblem.
    """
    if path.suffix.lower() in TIFF:
        write_atomically(path, _tiff(pixels, facts or {}))
    elif pixels.dtype == np.uint8:
        save_png(path, Image.fromarray(pixels), facts)
    else:
        write_atomically(path, _deep_png(pixels, facts or {}))


def _tiff(pixels: Pixels, facts: Mapping[str, Any]) -> bytes:
    """The facts are one JSON object, in the tag ImageDescription."""
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack", compression="zlib",
        description=json.dumps(told_of(facts)), metadata=None,
    )  # fmt: skip
    return buffer.getvalue()


def _deep_png(pixels: Pixels, facts: Mapping[str, Any]) -> bytes:
    """A PNG of 16 bits per channel (ISO/IEC 15948), which Pillow writes of grey images only."""
    height, width = pixels.shape[:2]
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    lines = np.full((height, 1 + rows.shape[1]), UP, np.uint8)
    lines[:, 1:] = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR if pixels.ndim == 3 else GREY, 0, 0, 0)
    chunks = [(b"IHDR", header), *text_chunks(facts), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
