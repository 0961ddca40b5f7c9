"""Large pictures piece by piece, exactly: for networks in which a place depends on its surroundings alone."""

from collections.abc import Callable

import torch
from torch import Tensor


def by_tiles(
    act: Callable[[Tensor], Tensor], x: Tensor, *, tile: int, overlap: int, enter: int = 1, leave: int = 1
) -> Tensor:
    """What act makes of a picture [B, C, H, W], from squares of it: the same as at once, but for rounding.

    All lengths count cells: a cell is `enter` pixels of what act is given, and `leave` pixels of what it makes.

    tile:     side of a square
    overlap:  by so much more on each side is it given, and what becomes of that is thrown away; no less than how far a
              cell's surroundings reach that it depends on
    """
    height, width = (-(-side // enter) for side in x.shape[-2:])
    if max(height, width) <= tile:
        return act(x)

    def square(top: int, left: int) -> Tensor:
        above, before = min(overlap, top), min(overlap, left)
        rows = slice((top - above) * enter, (top + tile + overlap) * enter)
        columns = slice((left - before) * enter, (left + tile + overlap) * enter)
        made = act(x[..., rows, columns])[..., above * leave :, before * leave :]
        return made[..., : tile * leave, : tile * leave]

    strips = [
        torch.cat([square(top, left) for left in range(0, width, tile)], -1) for top in range(0, height, tile)
    ]  # fmt: skip
    return torch.cat(strips, -2)
