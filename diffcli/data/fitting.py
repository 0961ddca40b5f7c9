"""One shape for images of all sizes, and whether they fit into memory: the same for folders and for torchvision's."""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from diffcli.data.dataset import Storage
from diffcli.data.readers import is_clear, is_deep, is_grey
from diffcli.data.readers.deep import over_white
from diffcli.data.readers.pictures import turned
from diffcli.data.spans import Array

MEMORY_LIMIT = 1 << 30  # bytes of pixels; a larger set stays on disk and is read by workers
LARGEST_DEFAULT_SIDE = 64
FAR = 4  # times smaller than the middle image: then an image is no measure for the others
FEW = 0.02  # share of the images that may be so, at most
GREYS = np.array([0.299, 0.587, 0.114])  # of red, green and blue, as Pillow and Rec. 601 have it

Header = tuple[str, tuple[int, int]]
"""Mode and upright size (width, height) of an image."""
Shape = tuple[int, int, int]
"""[C, H, W]"""


def common_shape(headers: Sequence[Header], size: int) -> tuple[Shape, list[str]]:
    """The shape [C, H, W] that images are brought to, and what the user should know of it.

    One colour image makes all of them colour. Images of different sizes, and large ones, are cropped to squares unless
    `size` says to which side; 0 keeps small images of one size as they are.
    """
    modes, sizes = {mode for mode, _ in headers}, {pair for _, pair in headers}
    notes = []
    width, height = headers[0][1]
    if size == 0 and (len(sizes) > 1 or max(width, height) > LARGEST_DEFAULT_SIDE):
        size = min(LARGEST_DEFAULT_SIDE, *(side for pair in sizes for side in pair))
        notes.append(f"images are cropped and resized to {size}x{size} (--set size=N for another)")
    elif size and sizes != {(size, size)}:
        notes.append(f"images are cropped and resized to {size}x{size}")
    if size:
        width = height = size
    return (1 if all(map(is_grey, modes)) else 3, height, width), notes


def reduced(headers: Sequence[Header]) -> list[str]:
    """What is lost of images that are brought to 8 bits without transparency, whatever they hold."""
    modes = {mode for mode, _ in headers}
    notes = ["16-bit images are reduced to 8 bits"] if any(map(is_deep, modes)) else []
    return notes + (["transparency is laid over white"] if any(map(is_clear, modes)) else [])


def dwarfs(headers: Sequence[Header], size: int) -> list[int]:
    """The images that are so much smaller than the others that all would shrink; none where a size is asked for."""
    sides = [min(pair) for _, pair in headers]
    if size or len(sides) < 3:
        return []
    middle = min(LARGEST_DEFAULT_SIDE, sorted(sides)[len(sides) // 2])
    small = [i for i, side in enumerate(sides) if side * FAR <= middle]
    return small if len(small) <= max(1, FEW * len(sides)) else []


def fitted(image: Image.Image, shape: Shape) -> Tensor:
    """An image as uint8 [C, H, W]: upright, over white, grey or colour as C says, cropped and resized to fit.

    Pillow resizes by Lanczos' filter. torchvision's transforms have none for tensors: their bicubic one takes 2 ms
    for 3 million pixels instead of 29, but is further from what a band of 64 by 64 frequencies holds of a photograph
    (root mean square 5.1 of 255 instead of 4.1), and rounds by the kind of processor.
    """
    channels, height, width = shape
    flat = flattened(turned(image)).convert("L" if channels == 1 else "RGB")
    if flat.size != (width, height):
        flat = ImageOps.fit(flat, (width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(flat).reshape(height, width, channels)).permute(2, 0, 1).contiguous()


def fitted_numbers(values: Array, shape: Shape) -> Tensor:
    """Numbers [H, W] or [H, W, C] of any type as float32 [C, H, W], cropped and resized as `fitted` does it."""
    channels, height, width = shape
    values = over_white(values).astype(np.float32)
    colours = values[..., None] if values.ndim == 2 else values
    if channels < colours.shape[2]:
        colours = (colours @ GREYS.astype(np.float32))[..., None]
    planes = [Image.fromarray(np.ascontiguousarray(colours[..., i])) for i in range(colours.shape[2])]
    if planes[0].size != (width, height):
        planes = [ImageOps.fit(plane, (width, height), Image.Resampling.LANCZOS) for plane in planes]
    found = torch.from_numpy(np.stack([np.asarray(plane) for plane in planes]))
    return found.expand(channels, height, width).contiguous()


def flattened(image: Image.Image) -> Image.Image:
    """8 bits per channel and no transparency."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        sixteen = image.mode.startswith("I;16") or values.max() > 255
        return Image.fromarray((values / (257 if sixteen else 1)).round().clip(0, 255).astype(np.uint8))
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image


def in_memory(storage: Storage, shape: Shape) -> Tensor | None:
    """All images, uint8 [N, C, H, W]; None where they take more than `MEMORY_LIMIT`."""
    if len(storage) * math.prod(shape) > MEMORY_LIMIT:
        return None
    return torch.stack([storage[i] for i in range(len(storage))])


def digest(*parts: bytes | memoryview) -> str:
    """A fingerprint of 16 hexadecimal digits."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:16]
