"""Images that are worked on in parts: tiles give what the whole gives, and so does the quality by strips."""

import itertools
import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.checks.check import Finding, check, near
from diffcli.evaluation.tiling import Strip, Tiling, by_tiles
from diffcli.metrics.quality import QualityByStrips, psnr, ssim

WEIGHTS = (1, 4, 6, 4, 1)  # over 16: a blur that sees two places to each side


def _blur(x: Tensor) -> Tensor:
    """What a network does to a tile: zeros lie beyond its border."""
    line = torch.tensor(WEIGHTS, dtype=x.dtype) / 16
    kernel = (line.unsqueeze(1) * line).expand(x.shape[1], 1, 5, 5)
    return F.conv2d(x, kernel, padding=2, groups=x.shape[1])


def _blurred(image: Tensor, row: int, column: int) -> float:
    """The same at one place of an image [H, W], by hand."""
    height, width = image.shape
    total = 0.0
    for (i, a), (j, b) in itertools.product(enumerate(WEIGHTS, -2), enumerate(WEIGHTS, -2)):
        if 0 <= row + i < height and 0 <= column + j < width:
            total += a * b / 256 * image[row + i, column + j].item()
    return total


def _coarse(x: Tensor) -> Tensor:
    """A network with a coarser grid: the mean of every block of 2x2."""
    return F.avg_pool2d(x, 2).repeat_interleave(2, -1).repeat_interleave(2, -2)


class _Numbered:
    """Makes all of the first tile 0, of the second 1, and so on."""

    def __init__(self) -> None:
        self.tile = -1

    def __call__(self, part: Tensor) -> Tensor:
        self.tile += 1
        return torch.full_like(part, self.tile)


def _whole(strips: Iterable[Strip]) -> Tensor:
    return torch.cat([strip.rows.clone() for strip in strips], dim=-2)


@check(
    "what a network computes that looks no further than the margin, its tiles give as the whole image does",
    "the receptive field of a convolution",
)
def tiles_as_the_whole() -> Iterator[Finding]:
    image = torch.rand(2, 1, 21, 26, generator=torch.Generator().manual_seed(3)) * 2 - 1
    size = (21, 26)
    wanted = torch.tensor([[[[_blurred(part[0], r, c) for c in range(26)] for r in range(21)]] for part in image])
    for side, overlap in (((8, 8), 5), ((9, 13), 6), ((21, 12), 7), ((12, 26), 5)):
        tiling = Tiling.of(size, side, overlap=overlap, margin=2)
        for at_once in (1, 3, 64):
            found = _whole(by_tiles(_blur, image, tiling, at_once=at_once))
            yield near(f"tiles of {side}, {at_once} at once", wanted, found, abs=1e-6)
    tiling = Tiling.of(size, (8, 8), overlap=3, step=2)
    found = _whole(by_tiles(_coarse, image, tiling))
    for r, c in itertools.product(range(0, 21, 2), range(0, 26, 2)):
        below = min(r + 1, 20)  # beyond the border is its own value
        mean = sum(image[:, 0, i, j] for i in (r, below) for j in (c, c + 1)) / 4
        yield near(f"block at {r}, {c}", mean, found[:, 0, r, c + 1], abs=1e-6)
    for side in ((3, 3), (4, 6), (5, 4), (8, 8), (40, 30)):
        tiling = Tiling.of(size, side, overlap=2)
        found = _whole(by_tiles(lambda part: 2 * part, image, tiling))
        yield near(f"nothing but twice, {side}", 2 * image, found, abs=1e-6)


@check("one tile hands over to the next by sin² and cos², between their margins", "sin² + cos² = 1")
def handing_over() -> Iterator[Finding]:
    for margin, zone in ((0, 4), (2, 3), (1, 8)):
        overlap, length = 2 * margin + zone, 20
        tiling = Tiling.of((1, 2 * length - overlap), (1, length), overlap=overlap, margin=margin)
        found = _whole(by_tiles(_Numbered(), torch.zeros(1, 1, 1, 2 * length - overlap), tiling, at_once=1))
        rise = [math.sin(math.pi / 2 * (k + 0.5) / zone) ** 2 for k in range(zone)]
        plain = length - overlap + margin
        yield near(
            f"margin {margin}, zone {zone}",
            torch.tensor([0.0] * plain + rise + [1.0] * plain),
            found[0, 0, 0],
            abs=1e-6,
        )


@check("PSNR and SSIM of an image in strips are those of the whole", "Wang et al. 2004, section III")
def quality_by_strips() -> Iterator[Finding]:
    generator = torch.Generator().manual_seed(5)
    for shape, cuts in (
        ((3, 40, 17), (1, 9, 10, 20)),
        ((1, 30, 9), (15, 15)),
        ((1, 8, 30), (3, 5)),
        ((1, 11, 12), (10, 1)),
    ):
        truth = torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1
        image = truth + 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)
        quality, top = QualityByStrips(shape[1]), 0
        for rows in cuts:
            quality.add(image[:, top : top + rows], truth[:, top : top + rows])
            top += rows
        yield near(f"PSNR of {shape}", psnr(image[None], truth[None]), quality.psnr, rel=1e-12)
        yield near(f"SSIM of {shape}", ssim(image[None], truth[None]), quality.ssim, rel=1e-12)
