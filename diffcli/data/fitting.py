"""One shape for images of all sizes, and whether they fit into memory: the same for folders and for torchvision's."""

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffcli.data.dataset import Storage
from diffcli.data.images import GREY, Header

MEMORY_LIMIT = 1 << 30  # bytes of uint8 pixels; a larger set stays on disk and is read by workers
LARGEST_DEFAULT_SIDE = 64


def common_shape(headers: Sequence[Header], size: int) -> tuple[tuple[int, int, int], list[str]]:
    """The shape [C, H, W] that images are brought to, and what the user should know of it.

    One colour image makes all of them colour. Images of different sizes, and large ones, are cropped to squares unless
    `size` says to which side; 0 keeps small images of one size as they are.
    """
    modes, sizes = {mode for mode, _ in headers}, {pair for _, pair in headers}
    notes = []
    if any(mode.startswith("I") or mode == "F" for mode in modes):
        notes.append("16-bit images are reduced to 8 bits")
    if any("A" in mode or mode == "P" for mode in modes):
        notes.append("transparency is laid over white")
    width, height = headers[0][1]
    if size == 0 and (len(sizes) > 1 or max(width, height) > LARGEST_DEFAULT_SIDE):
        size = min(LARGEST_DEFAULT_SIDE, *(side for pair in sizes for side in pair))
        notes.append(f"images are cropped and resized to {size}x{size} (--set size=N for another)")
    elif size and sizes != {(size, size)}:
        notes.append(f"images are cropped and resized to {size}x{size}")
    if size:
        width = height = size
    return (1 if all(mode in GREY for mode in modes) else 3, height, width), notes


def in_memory(storage: Storage, shape: tuple[int, int, int]) -> Tensor | None:
    """All images, uint8 [N, C, H, W]; None where they take more than `MEMORY_LIMIT`."""
    if len(storage) * math.prod(shape) > MEMORY_LIMIT:
        return None
    return torch.stack([storage[i] for i in range(len(storage))])


def digest(*parts: bytes) -> str:
    """A fingerprint of 16 hexadecimal digits."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:16]
