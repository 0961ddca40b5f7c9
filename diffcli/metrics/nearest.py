"""The two training images that an image is nearest to, moved by a pixel or mirrored as may be.

Images are compared in pixels, on the part that all moves share. They are smoothed a little first: noise loses 86 % of
its energy by it, and what can be seen little. Large ones are reduced.
"""

import hashlib
import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.core.randomness import keyed
from diffcli.data.dataset import Dataset, to_pixels

SIDE = 32  # pixels: larger images are reduced to this
SMOOTHED = 16  # pixels of the shorter side, from which on images are smoothed
LEAST = 4  # pixels of the shorter side, below which little is left inside: smaller images are enlarged

CHUNK = 8192  # training images that are searched at once
READ = 1 << 22  # values of images that are read at once
BLOCK = 64  # images whose neighbours are looked for at once
TILE = 1024  # training images of one matrix product: what comes out stays in the cache
KEPT = 8  # candidates among a chunk, whose distances are computed
DIRECTIONS = 45  # of the largest variance, by which candidates are found
FITTED = 4096  # training images that the directions are fitted to


class Variant(NamedTuple):
    """A training image moved by so many pixels, then mirrored left to right or not."""

    down: int
    right: int
    mirrored: bool

    def __str__(self) -> str:
        """As in "1 down and 1 left, mirrored"; "as it is" where nothing was done."""
        ways = (("", "down", "up")[self.down], ("", "right", "left")[self.right])
        moved = " and ".join(f"1 {way}" for way in ways if way)
        return ", ".join(part for part in (moved, "mirrored" * self.mirrored) if part) or "as it is"


VARIANTS = sorted(
    itertools.starmap(Variant, itertools.product((-1, 0, 1), (-1, 0, 1), (False, True))),
    key=lambda one: (one.mirrored, abs(one.down) + abs(one.right)),
)
"""All 18; of equally near ones the first counts."""


class Neighbours(NamedTuple):
    """Of each of N images the nearest training image and the second nearest, which is another one.

    distances:  root mean square of the difference of values in [-1, 1], [N, 2]; inf where there is none
    places:     of these in the training data, int64 [N, 2]; -1 where there is none
    variants:   what they became, as places in VARIANTS, int64 [N, 2]
    """

    distances: Tensor
    places: Tensor
    variants: Tensor

    def rows(self, chosen: slice | Tensor) -> "Neighbours":
        """Those of some of the images."""
        return Neighbours(*(part[chosen] for part in self))

    def split(self, *counts: int) -> "list[Neighbours]":
        """Those of the first so many images, of the next, and so on."""
        return [Neighbours(*parts) for parts in zip(*(part.split(counts) for part in self), strict=True)]

    @classmethod
    def none(cls, count: int) -> "Neighbours":
        """Of images that nothing was found for yet."""
        return cls(torch.full((count, 2), torch.inf), torch.full((count, 2), -1), torch.zeros(count, 2).long())

    def take(self, chosen: slice, other: "Neighbours") -> None:
        """Let those of some images be the two nearest of what they are and others of these images, [b, K]."""
        both = [torch.cat(pair, 1) for pair in zip(self.rows(chosen), other, strict=True)]
        best = both[0].topk(2, dim=1, largest=False).indices
        for part, candidates in zip(self, both, strict=True):
            part[chosen] = candidates.gather(1, best)


def nearest(
    images: Tensor, train: Dataset, places: Tensor | None = None, left_out: Tensor | None = None
) -> Iterator[tuple[int, int, Neighbours | None]]:
    """Pairs of images compared so far, all of them, and at the end the neighbours of images [N, C, H, W] in [-1, 1].

    Training images that are equal, or mirror images of each other, count as one, the first of them. Candidates are
    found along the largest principal components: a neighbour that is hardly nearer than the one found can be missed,
    a copy cannot. The training images are read once, some of them twice, and `CHUNK` of them are in memory.

    places:    of the images of `train` to search, int64 [M]; all by default
    left_out:  places of images of `train`, int64 [L], whose neighbours among the others follow those of the N
    """
    places = torch.arange(len(train)) if places is None else places
    left_out = places[:0] if left_out is None else left_out
    queries = torch.cat([planes(some) for some in (*images.split(_at_once(train)), *_read(train, left_out))])
    owners = _owners(train, left_out, len(images))
    directions = Directions.fitted(torch.cat([*map(inside, map(planes, _read(train, evenly(places, FITTED))))]))
    rows = torch.cat([directions.rows(views(some)) for some in queries.split(BLOCK)], 1)
    found, own = Neighbours.none(len(queries)), torch.full((len(queries), 1), -1)
    done, total = 0, len(queries) * len(places)
    for count, chunk in filter(lambda read: read[1].keys, _chunks(train, places)):
        for place, key in zip(chunk.places.tolist(), chunk.keys, strict=True):
            own[owners.get(key, [])] = place
        columns = directions.columns(chunk.insides)
        for first in range(0, len(queries), BLOCK):
            some = slice(first, first + BLOCK)
            found.take(some, _measured(queries[some], chunk, _candidates(rows[:, some], columns), own[some]))
            done += count * len(own[some])
            yield done, total, None
    yield total, total, found


# What is compared


def planes(images: Tensor) -> Tensor:
    """Images [B, C, H, W], reduced if they are large and smoothed if they are not tiny, [B, C, h, w]."""
    height, width = images.shape[-2:]
    if (factor := -(-max(height, width) // SIDE)) > 1:
        images = F.interpolate(images, (-(-height // factor), -(-width // factor)), mode="area")
    if (factor := -(-LEAST // min(images.shape[-2:]))) > 1:
        images = F.interpolate(images, scale_factor=factor)
    return _smoothed(images) if min(images.shape[-2:]) >= SMOOTHED else images


def _smoothed(images: Tensor) -> Tensor:
    """Weights 1/4, 1/2, 1/4 along both sides; without the outermost pixels, which lack a neighbour."""
    lines = (images[..., :-2, :] + 2 * images[..., 1:-1, :] + images[..., 2:, :]) / 4
    return (lines[..., :-2] + 2 * lines[..., 1:-1] + lines[..., 2:]) / 4


def inside(images: Tensor, down: int = 0, right: int = 0) -> Tensor:
    """The part of planes [B, C, h, w] that all moves share, after a move of the frame, [B, D]."""
    height, width = images.shape[-2:]
    return images[..., 1 + down : height - 1 + down, 1 + right : width - 1 + right].flatten(1)


def views(images: Tensor) -> Tensor:
    """Planes [B, C, h, w] with each variant undone, the part that all share, [18, B, D]."""
    mirrored = images.flip(-1)
    return torch.stack([inside(mirrored if v.mirrored else images, v.down, v.right) for v in VARIANTS])


# The training images, chunk by chunk


class _Chunk(NamedTuple):
    """Different training images: their places [n], the part compared [n, D], and a digest of each."""

    places: Tensor
    insides: Tensor
    keys: list[bytes]


def evenly(places: Tensor, most: int) -> Tensor:
    """At most so many of the places, evenly spaced."""
    return places[torch.linspace(0, len(places) - 1, min(most, len(places))).round().long()]


def _at_once(train: Dataset) -> int:
    """How many images are read at once."""
    return max(1, min(CHUNK, READ // math.prod(train.shape)))


def _read(train: Dataset, places: Tensor) -> Iterator[Tensor]:
    """The images at these places, some at a time."""
    return (train.take(some)[0] for some in places.split(_at_once(train)) if len(some))


def _keys(images: Tensor) -> list[bytes]:
    """A digest of each image as 8 bits, the same for its mirror image."""
    pixels = to_pixels(images)
    pairs = zip(pixels.flatten(1).numpy(), pixels.flip(-1).flatten(1).numpy(), strict=True)
    return [hashlib.blake2b(min(a.tobytes(), b.tobytes()), digest_size=16).digest() for a, b in pairs]


def _owners(train: Dataset, left_out: Tensor, first: int) -> dict[bytes, list[int]]:
    """By digest, the queries that are training images themselves; they have numbers from `first` on."""
    owners: dict[bytes, list[int]] = {}
    for images in _read(train, left_out):
        for key in _keys(images):
            owners.setdefault(key, []).append(first)
            first += 1
    return owners


def _chunks(train: Dataset, places: Tensor) -> Iterator[tuple[int, _Chunk]]:
    """How many images were read, and those of them that there were none like before."""
    seen: set[bytes] = set()
    for some in places.split(CHUNK):
        blocks = zip(some.split(_at_once(train)), _read(train, some), strict=True)
        yield len(some), _joined([_fresh(chosen, images, seen) for chosen, images in blocks])


def _joined(parts: list[_Chunk]) -> _Chunk:
    places, insides = (torch.cat(tensors) for tensors in zip(*(part[:2] for part in parts), strict=True))
    return _Chunk(places, insides, [key for part in parts for key in part.keys])


def _fresh(places: Tensor, images: Tensor, seen: set[bytes]) -> _Chunk:
    """The images whose digests were not seen yet; they are now."""
    new = {key: i for i, key in reversed([*enumerate(_keys(images))]) if key not in seen}
    seen.update(new)
    order = sorted(new, key=new.__getitem__)
    fresh = torch.tensor([new[key] for key in order], dtype=torch.long)
    return _Chunk(places[fresh], inside(planes(images))[fresh], order)


# The search


class Directions(NamedTuple):
    """Orthonormal directions [D, k] of the largest variance of training images about their mean [D].

    Along these and by the length of the rest of it, the distance of two images is never overestimated.
    """

    mean: Tensor
    basis: Tensor

    @classmethod
    def fitted(cls, insides: Tensor) -> "Directions":
        """To images [n, D], by four steps of subspace iteration (Halko et al. 2011, algorithm 4.4)."""
        mean = insides.mean(0)
        centred = insides - mean
        count = min(DIRECTIONS, len(mean))
        basis = torch.randn(len(mean), count, generator=keyed(0, "directions"))
        for _ in range(4):
            basis = torch.linalg.qr(centred.T @ (centred @ basis)).Q
        return cls(mean, basis)

    def rows(self, images: Tensor) -> Tensor:
        """Of images [..., D], [..., k + 3]: times a column, minus half the squared distance."""
        return torch.cat(self._parts(images), -1)

    def columns(self, images: Tensor) -> Tensor:
        """Of images [n, D], [k + 3, n]."""
        *known, one, half = self._parts(images)
        return torch.cat([*known, half, one], -1).T.contiguous()

    def _parts(self, images: Tensor) -> list[Tensor]:
        centred = images - self.mean
        along = centred @ self.basis
        square = centred.square().sum(-1, keepdim=True)
        rest = (square - along.square().sum(-1, keepdim=True)).clamp(min=0).sqrt()
        return [along, rest, torch.ones_like(square), -square / 2]


def _candidates(rows: Tensor, columns: Tensor) -> Tensor:
    """The training images that some variant of each image may be nearest to, [b, K], of rows [18, b, k]."""
    flat, shape = rows.flatten(0, 1), (*rows.shape[:2], -1)
    scores = torch.cat([(flat @ tile).view(shape).amax(0) for tile in columns.split(TILE, dim=1)], 1)
    return scores.topk(min(KEPT, scores.shape[1]), dim=1).indices


def _measured(queries: Tensor, chunk: _Chunk, candidates: Tensor, own: Tensor) -> Neighbours:
    """The distances of planes [b, C, h, w] to their candidates [b, K], at the best variant; inf to `own` [b, 1]."""
    seen, images = views(queries).transpose(0, 1), chunk.insides[candidates]  # [b, 18, D] and [b, K, D]
    squares = seen.square().sum(-1, keepdim=True) - 2 * seen @ images.transpose(1, 2)  # up to those of the images
    variants = squares.argmin(1)
    best = seen.gather(1, variants.unsqueeze(-1).expand_as(images))
    places = chunk.places[candidates]
    distances = (best - images).square().mean(-1).sqrt()
    return Neighbours(distances.masked_fill(places == own, torch.inf), places, variants)
