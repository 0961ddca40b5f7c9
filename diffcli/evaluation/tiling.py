"""Images of any size by a network that knows images of one: in tiles that overlap, from the top to the bottom."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Cut(NamedTuple):
    """Where the tiles lie along one side of an image, and how much each of their places counts there.

    starts:  places of the image at which tiles begin; the last tile ends with the image or behind it
    shares:  [tiles, length of a tile], from 0 to 1; those of one place of the image add up to 1
    """

    starts: tuple[int, ...]
    shares: Tensor


class Strip(NamedTuple):
    """Rows of an image that are done, below those that came before.

    done:  tiles so far
    rows:  [B, C, h, W]; h is 0 where more tiles are needed
    """

    done: int
    rows: Tensor


@dataclass(frozen=True)
class Tiling:
    """How an image is cut into tiles: the same down each column as across each row.

    size:  of the image, and `side` of a tile; both (height, width)
    """

    size: tuple[int, int]
    side: tuple[int, int]
    down: Cut
    across: Cut

    @classmethod
    def of(
        cls, size: tuple[int, int], side: tuple[int, int], *, overlap: int, margin: int = 0, step: int = 1
    ) -> "Tiling":
        """Tiles of this side over an image of this size; see `cut`."""
        down, across = (
            cut(whole, length, overlap=overlap, margin=margin, step=step)
            for whole, length in zip(size, side, strict=True)
        )
        return cls(size, side, down, across)

    def __len__(self) -> int:
        return len(self.down.starts) * len(self.across.starts)


def cut(whole: int, length: int, *, overlap: int, margin: int = 0, step: int = 1) -> Cut:
    """Tiles along a side of an image: as few as do, at even distances, each over at least `overlap` of the one before.

    Between the margins of an overlap one tile hands over to the next, by sin² and cos². So what a network computes
    whose output depends on no input further away than the margin is what it would compute of the whole image.

    margin:  places at the ends of a tile that count for nothing, but where the image ends, too
    step:    that starts are multiples of: the pixels of a network's coarsest grid, which then lies as in the whole

    Raises ValueError where neighbours would have nothing in common between their margins.
    """
    if whole <= length:
        return Cut((0,), torch.ones(1, length))
    if not 2 * margin < overlap < length:
        raise ValueError(f"tiles of {length} with an overlap of {overlap} and margins of {margin}")
    stride = max(step, (length - overlap) // step * step)
    if length - stride <= 2 * margin:
        raise ValueError(f"tiles of {length} at multiples of {step} with margins of {margin}")
    count, last = 1 + math.ceil((whole - length) / stride), math.ceil((whole - length) / step)  # the last in steps
    starts = [i * last // (count - 1) * step for i in range(count)]
    place = torch.arange(length, dtype=torch.float64) + 0.5
    rise = (((place - margin) / (length - stride - 2 * margin)).clamp(0, 1) * (torch.pi / 2)).sin().square()
    shares, total = rise.new_ones(count, length), rise.new_zeros(starts[-1] + length)
    shares[1:] *= rise
    shares[:-1] *= rise.flip(0)
    for start, share in zip(starts, shares, strict=True):
        total[start : start + length] += share
    for start, share in zip(starts, shares, strict=True):
        share /= total[start : start + length]
    return Cut(tuple(starts), shares.float())


def by_tiles(
    denoise: Callable[[Tensor], Tensor], image: Tensor, tiling: Tiling, *, at_once: int = 64
) -> Iterator[Strip]:
    """Denoise images [B, C, H, W] by tiles [B, C, h, w]; what lies beyond the border is its own values.

    No more is held than the rows of a tile: the strips yielded, one below the other, are the image.

    denoise:  [N, C, h, w] -> floats alike; N is a multiple of B
    at_once:  tiles of one image that it is given together
    """
    (height, width), (high, wide), batch = tiling.size, tiling.side, len(image)
    tops, lefts = tiling.down.starts, tiling.across.starts
    open_rows, done = torch.zeros(*image.shape[:2], high, lefts[-1] + wide), 0
    for top, after, share in zip(tops, (*tops[1:], height), tiling.down.shares, strict=True):
        rows = image[..., torch.arange(top, top + high).clamp(max=height - 1), :]
        for first in range(0, len(lefts), at_once):
            chosen = lefts[first : first + at_once]
            parts = [rows[..., torch.arange(left, left + wide).clamp(max=width - 1)] for left in chosen]
            found = denoise(torch.cat(parts)).split(batch)
            weights = tiling.across.shares[first : first + at_once]
            for left, weight, part in zip(chosen, weights, found, strict=True):
                open_rows[..., left : left + wide] += share.unsqueeze(1) * weight * part
            done += len(chosen)
            if first + at_once < len(lefts):
                yield Strip(done, open_rows[..., :0, :width])
        complete = min(after, height) - top
        yield Strip(done, open_rows[..., :complete, :width])
        open_rows = torch.cat([open_rows[..., complete:, :], torch.zeros_like(open_rows[..., :complete, :])], dim=-2)
