"""How an image file of any size is denoised within a given memory: the tiles, how many at once, and the strips."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from diffcli.data.dataset import to_unit
from diffcli.errors import UsageProblem
from diffcli.evaluation.denoisers import by_network
from diffcli.evaluation.tiling import Tiling, by_tiles
from diffcli.metrics.quality import SIDE
from diffcli.runs.loading import Trained
from diffcli.system.memory import taken_by
from diffcli.system.text import size

KEPT, KEPT_CORRUPTED, KEPT_DEEP = 6, 10, 28  # bytes for each number of an image while it is read, held and written
OPEN, JUDGED = 6 * 4, 14 * 8  # and for each of the rows of a tile, as float32 and, where they are judged, as float64
FIGURE = 20_000_000  # bytes
ROOM = 200  # MB for tiles, where only the image is known
TILE = 64  # pixels, if the model does not know larger images: attention was trained on about as much to look at
OVERLAP = 4  # a tile has this part of its side in common with the next
MOST_AT_ONCE = 16  # images of a tile; more would not be faster


@dataclass(frozen=True)
class TilePlan:
    """How an image is denoised.

    tiling:   of the image; does not depend on the memory
    at_once:  tiles that the network is given together
    taken:    bytes, the image included
    """

    tiling: Tiling
    at_once: int
    taken: int


def needed_for_image(channels: int, height: int, width: int, *, deep: bool, corrupt: bool) -> int:
    """Bytes that an image takes, from file to file.

    deep:     whether it has more than 8 bits, or is brought to such a scale
    corrupt:  whether it is corrupted here, so that it is kept as it was, too
    """
    return (KEPT_DEEP if deep else KEPT_CORRUPTED if corrupt else KEPT) * channels * height * width + FIGURE


def check_image_fits(needed: int, memory: int, *, tile: int = 0) -> None:
    """Raise UsageProblem where an image, and a tile of it, take more bytes than there may be."""
    if needed + tile > memory:
        beside = f", and a tile {size(tile)}" if tile else ""
        raise UsageProblem(
            f"--memory {memory / 1e6:.0f} MB are too little: the image takes {size(needed)}{beside}",
            f"give it --memory {math.ceil((needed + tile) / 1e6) + (0 if tile else ROOM)}",
        )


def planned(trained: Trained, image: Tensor, amount: float, memory: int, needed: int, *, judged: bool) -> TilePlan:
    """The tiles for an image [C, H, W], as many at once as the memory allows; one is denoised to see what it takes.

    memory:  bytes for the image and for what is done with it
    needed:  those of the image
    judged:  whether the result is compared with what the image was

    Raises UsageProblem where that is too little.
    """
    parts = _as_model_takes(trained, image)
    tiling = tiling_of(trained, *image.shape[1:])
    one = torch.zeros(*parts.shape[:2], *tiling.side)
    each = taken_by(lambda: by_network(trained.model, one, amount))
    in_rows = parts.shape[0] * parts.shape[1] * (tiling.side[0] + SIDE) * (tiling.size[1] + tiling.side[1])
    fixed = needed + (OPEN + (JUDGED if judged else 0)) * in_rows
    check_image_fits(fixed, memory, tile=each)
    at_once = min(len(tiling.across.starts), max(1, MOST_AT_ONCE // len(parts)), (memory - fixed) // each)
    return TilePlan(tiling, at_once, fixed + at_once * each)


def tiling_of(trained: Trained, height: int, width: int) -> Tiling:
    """The tiles of an image, each of some images that the model knows, side by side: about `TILE` pixels.

    A smaller image is one tile. The memory has no say: the result does not depend on it.
    """
    step = trained.model.denoiser.network.multiple
    sides = zip((height, width), trained.items.shape[1:], strict=True)
    high, wide = (
        max(_up(known, step), min(_up(known * max(1, TILE // known), step), _up(whole, step))) for whole, known in sides
    )
    return Tiling.of((height, width), (high, wide), overlap=max(step, min(high, wide) // OVERLAP), step=step)


def _up(number: int, step: int) -> int:
    """The next multiple."""
    return -(-number // step) * step


def denoised_strips(trained: Trained, image: Tensor, amount: float, plan: TilePlan) -> Iterator[tuple[int, Tensor]]:
    """How many tiles are done, and the estimate from the top to the bottom, rows [C, h, W] in [-1, 1].

    image:  [C, H, W]

    A grey model takes colours one by one; a colour model sees grey thrice, and the mean of its answers counts.
    """
    grey_model, grey = trained.items.shape[0] == 1, len(image) == 1

    def denoise(y: Tensor) -> Tensor:
        return by_network(trained.model, to_unit(y), amount)

    for done, rows in by_tiles(denoise, _as_model_takes(trained, image), plan.tiling, at_once=plan.at_once):
        found = rows.transpose(0, 1)[0] if grey_model else rows[0]
        yield done, (found.mean(0, keepdim=True) if grey else found).clamp(-1, 1)


def _as_model_takes(trained: Trained, image: Tensor) -> Tensor:
    """[C, H, W] as a batch [B, channels of the model, H, W]; a view."""
    channels = trained.items.shape[0]
    return image.unsqueeze(1) if channels == 1 else image.expand(channels, -1, -1).unsqueeze(0)
