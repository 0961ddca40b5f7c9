"""What canvases cost beside files, and how well what is known of them is found again: `python benchmarks/canvases.py`.

The same images are painted, and read from PNG files (in the memory of the system, as they were just written) by Pillow
and by diffcli's reader of folders; told are medians of processor time for an image, of one thread.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from diffcli.core.processes import hints
from diffcli.data.canvas import Canvases
from diffcli.data.canvas_names import SIDES
from diffcli.data.canvas_scenes import scenes
from diffcli.data.canvas_truth import boundaries
from diffcli.data.images import read_image

COUNT, TURNS = 500, 5


def microseconds(do: Callable[[int], object]) -> float:
    """Of the processor for one of `COUNT`, the median of some turns."""
    turns = []
    for _ in range(TURNS):
        began = time.process_time()
        for i in range(COUNT):
            do(i)
        turns.append((time.process_time() - began) / COUNT * 1e6)
    return statistics.median(turns)


def opened(path: Path) -> Tensor:
    """A PNG by Pillow, as canvases are: uint8 [3, H, W]."""
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def main() -> None:
    """Measure both sizes, and print what was found."""
    torch.set_num_threads(1)
    painted = {}
    for name, side in SIDES.items():
        canvases = Canvases(scenes("test"), side)
        pixels = painted[side] = torch.stack([canvases[i] for i in range(COUNT)])
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{i}.png" for i in range(COUNT)]
            for path, image in zip(paths, pixels, strict=True):
                Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
            assert all(torch.equal(opened(path), image) for path, image in zip(paths, pixels, strict=True))
            paint, pillow = microseconds(canvases.__getitem__), microseconds(lambda i: opened(paths[i]))  # noqa: B023
            ours = microseconds(lambda i: read_image(paths[i], (3, side, side)))  # noqa: B023
        print(f"{name}: painted in {paint:.0f} us, read by Pillow in {pillow:.0f}, by diffcli in {ours:.0f}")
        print(f"  paint / Pillow {paint / pillow:.2f}, paint / diffcli {paint / ours:.2f}")
        masks = torch.from_numpy(np.stack([canvases.mask(i) for i in range(COUNT)]))
        digits, seen = (masks >= 1) & (masks <= 10), hints.mask(pixels / 127.5 - 1)[:, 0] > 0
        overlap = (digits & seen).sum((1, 2)) / (digits | seen).sum((1, 2))
        print(f"  mask found again: IoU {overlap.mean():.4f}, least {overlap.min():.3f}")
        known, found = boundaries(masks).unsqueeze(1).float(), (hints.edges(pixels / 127.5 - 1) > 0).float()
        right = (found * max_pool2d(known, 3, 1, 1)).sum() / found.sum()
        reached = (known * max_pool2d(found, 3, 1, 1)).sum() / known.sum()
        print(f"  edges, one pixel of tolerance: right {right:.3f}, reached {reached:.3f}")
    small, large = (painted[side].float() for side in SIDES.values())
    away = avg_pool2d(large, 2) - small
    spread = away.square().mean().sqrt()
    print(f"128 averaged by 2 x 2 against 64: {away.abs().mean():.2f} of 255, root mean square {spread:.1f}")


if __name__ == "__main__":
    main()
