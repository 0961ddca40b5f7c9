"""All randomness comes from keys, never from saved generator state, so anything can be drawn again at any time."""

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def keyed(seed: int, stream: str, *index: int) -> torch.Generator:
    """A CPU generator for (seed, stream, index...): equal keys give equal numbers, others independent ones."""
    key = "/".join([str(seed), stream, *map(str, index)]).encode()
    number = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") % 2**63
    return torch.Generator().manual_seed(number)


SMALL = 16  # numbers; items of no more share a generator by the block, or a hundred thousand points would take long
BLOCK = 1024


def image_noise(seed: int, stream: str, images: Sequence[int], shape: Sequence[int], step: int = 0) -> Tensor:
    """Standard normal [len(images), *shape] on the CPU; an image's depends on (seed, stream, image, step) only."""
    if torch.Size(shape).numel() > SMALL:
        return torch.stack([torch.randn(*shape, generator=keyed(seed, stream, i, step)) for i in images])
    places = torch.as_tensor(images)
    blocks, inverse = (places // BLOCK).unique(return_inverse=True)
    drawn = [torch.randn(BLOCK, *shape, generator=keyed(seed, stream, int(block), step)) for block in blocks]
    return torch.stack(drawn)[inverse, places % BLOCK]


def walk_noise(seed: int, images: Sequence[int], like: Tensor) -> Callable[[int], Tensor]:
    """The fresh noise of a stochastic sampler: step -> noise like x, keyed by image and step."""
    return lambda step: image_noise(seed, "walk", images, like.shape[1:], step).to(like)
