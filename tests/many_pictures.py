"""A folder of pictures that is large enough to be judged by: three shapes, 8x8, of any number and seed."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHAPES = ("circle", "cross", "stripe")


def pixels(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """So many of each shape, [3 count, 8, 8], and their numbers: blurred shapes with soft edges, moved and noisy."""
    rng = np.random.default_rng(seed)
    images, labels = [], []
    for label in range(len(SHAPES)):
        for _ in range(count):
            y, x = np.mgrid[:8, :8] - 3.5 - rng.uniform(-1, 1, (2, 1, 1))
            size, soft = rng.uniform(1.5, 3), rng.uniform(1, 3)
            edges = (size - np.hypot(x, y), size / 2 - np.minimum(abs(x), abs(y)), size / 2 - abs(y % 4 - 2))
            shade = 1 / (1 + np.exp(-soft * edges[label]))
            noise = rng.normal(0, 12, (8, 8))
            images.append((30 + rng.uniform(120, 200) * shade + noise).round().clip(0, 255).astype(np.uint8))
            labels.append(label)
    return np.stack(images), np.array(labels)


def write(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Path:
    """A folder of PNGs, a sub-folder per class."""
    for name in SHAPES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(folder / SHAPES[label] / f"{i:04d}.png")
    return folder
