"""Image files, read into tensors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from diffcli.errors import DataProblem

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "F")  # modes that one channel holds
ORIENTATION = 0x0112  # the EXIF tag; from 5 on the image lies on its side


@dataclass(frozen=True)
class Files:
    """Image files, read when asked for."""

    paths: tuple[Path, ...]
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return read_image(self.paths[index], self.shape)


def read_image(path: Path, shape: tuple[int, int, int]) -> Tensor:
    """An image file as uint8 [C, H, W]: upright, over white, grey or colour as C says, cropped and resized to fit.

    Raises DataProblem if it cannot be read.
    """
    channels, height, width = shape
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            flat = _flattened(upright).convert("L" if channels == 1 else "RGB")
    except FileNotFoundError:
        raise DataProblem(f"no such image: {path}") from None
    except UNREADABLE as error:
        raise DataProblem(f"{path} is not a readable image: {error}", "repair or remove it") from error
    if flat.size != (width, height):
        flat = ImageOps.fit(flat, (width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(flat).reshape(height, width, channels)).permute(2, 0, 1).contiguous()


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


def header(path: Path) -> tuple[str, tuple[int, int]]:
    """Mode and upright size (width, height) of an image file, without decoding it."""
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(ORIENTATION, 1) >= 5
            mode = "L" if image.mode == "P" and _is_grey(image) else image.mode
            return mode, (image.height, image.width) if turned else image.size
    except FileNotFoundError:
        raise DataProblem(f"no such image: {path}") from None
    except UNREADABLE as error:
        raise DataProblem(f"{path} is not a readable image: {error}", "repair or remove it") from error
