"""Image files, read into tensors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from diffcli.data.vision import import_from_torchvision
from diffcli.errors import DataProblem, EnvironmentProblem

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "F")  # modes that one channel holds
ORIENTATION = 0x0112  # the EXIF tag; from 5 on the image lies on its side
MANY_PIXELS = 300_000_000  # of JPEG files: torchvision saves 7 ms for a million, and takes 2 s to be imported

Header = tuple[str, tuple[int, int]]
"""Mode and upright size (width, height) of an image."""


@dataclass(frozen=True)
class Files:
    """Image files, read when asked for.

    many:  whether the JPEG files are so many that another decoder pays
    """

    paths: tuple[Path, ...]
    shape: tuple[int, int, int]
    many: bool = False

    @classmethod
    def of(cls, paths: Sequence[Path], headers: Sequence[Header], shape: tuple[int, int, int]) -> "Files":
        """The files, whose headers have been read."""
        sizes = (w * h for path, (_, (w, h)) in zip(paths, headers, strict=True) if _is_jpeg(path))
        return cls(tuple(paths), shape, sum(sizes) > MANY_PIXELS)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return read_image(self.paths[index], self.shape, many=self.many)


def read_image(path: Path, shape: tuple[int, int, int], *, many: bool = False) -> Tensor:
    """An image file as uint8 [C, H, W]: upright, over white, grey or colour as C says, cropped and resized to fit.

    many:  whether so many are read that torchvision is worth its import; the pixels are the same

    Raises DataProblem if it cannot be read.
    """
    with opened(path) as image:
        return fitted((_decoded(path, image) if many and _is_jpeg(path) else None) or image, shape)


def fitted(image: Image.Image, shape: tuple[int, int, int]) -> Tensor:
    """An image as uint8 [C, H, W]: upright, over white, grey or colour as C says, cropped and resized to fit.

    Pillow resizes by Lanczos' filter. torchvision's transforms have none for tensors: their bicubic one takes 2 ms
    for 3 million pixels instead of 29, but is further from what a band of 64 by 64 frequencies holds of a photograph
    (root mean square 5.1 of 255 instead of 4.1), and rounds by the kind of processor.
    """
    channels, height, width = shape
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    flat = _flattened(image).convert("L" if channels == 1 else "RGB")
    if flat.size != (width, height):
        flat = ImageOps.fit(flat, (width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(flat).reshape(height, width, channels)).permute(2, 0, 1).contiguous()


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The image in a file, not decoded yet; whatever is wrong with it inside becomes a DataProblem."""
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise DataProblem(f"no such image: {path}") from None
    except UNREADABLE as error:
        raise DataProblem(f"{path} is not a readable image: {error}", "repair or remove it") from error


def _decoded(path: Path, image: Image.Image) -> Image.Image | None:
    """A usual JPEG, decoded by torchvision in half of Pillow's time to the same bits; None for any other file."""
    if image.format != "JPEG" or image.mode not in ("L", "RGB") or image.getexif().get(ORIENTATION, 1) != 1:
        return None
    try:
        pixels = import_from_torchvision("io").decode_image(str(path))
    except (EnvironmentProblem, RuntimeError):  # Pillow knows what to say of a damaged file
        return None
    return Image.fromarray(pixels.permute(1, 2, 0).squeeze(2).numpy())


def _is_jpeg(path: Path) -> bool:
    return path.suffix.lower() in (".jpg", ".jpeg")


def _flattened(image: Image.Image) -> Image.Image:
    """8 bits per channel and no transparency."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        sixteen = image.mode.startswith("I;16") or values.max() > 255
        return Image.fromarray((values / (257 if sixteen else 1)).round().clip(0, 255).astype(np.uint8))
    if "A" in image.mode or "transparency" in image.info:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image


def _is_grey(image: Image.Image) -> bool:
    """Whether a palette has greys only, as that of a grey GIF."""
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    return "transparency" not in image.info and bool((palette == palette[:, :1]).all())


def header(path: Path) -> Header:
    """Mode and upright size (width, height) of an image file, without decoding it; raises DataProblem."""
    with opened(path) as image:
        return header_of(image)


def header_of(image: Image.Image) -> Header:
    """Mode and upright size (width, height) of an image, without decoding it."""
    turned = image.getexif().get(ORIENTATION, 1) >= 5
    mode = "L" if image.mode == "P" and _is_grey(image) else image.mode
    return mode, (image.height, image.width) if turned else image.size
