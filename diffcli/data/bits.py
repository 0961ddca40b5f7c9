"""Data sets of bits: every pixel of every image black or white, once for all."""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from diffcli.core.randomness import keyed
from diffcli.data.dataset import Dataset, Storage, to_pixels

SEED = 0  # the same bits for every run, so that their likelihoods can be compared
BLOCK = 64  # images that share a generator


@dataclass(frozen=True)
class BinarisedStorage:
    """A storage of images, each pixel 255 with its value / 255 as the probability, and else 0.

    Image i is the same whatever else is read.
    """

    storage: Storage
    stream: str

    def __len__(self) -> int:
        return len(self.storage)

    def __getitem__(self, index: int) -> Tensor:
        pixels = self.storage[index]
        block, place = divmod(int(index), BLOCK)
        return _bits(pixels, self._draws(block, pixels.shape)[place])

    def all(self, pixels: Tensor) -> Tensor:
        """Those of a whole set in memory, uint8 [N, C, H, W]."""
        blocks = enumerate(pixels.split(BLOCK))
        return torch.cat([_bits(part, self._draws(i, part.shape[1:])[: len(part)]) for i, part in blocks])

    def _draws(self, block: int, shape: torch.Size) -> Tensor:
        """Uniform among 0 ... 254, so that a value v is above with probability v / 255."""
        generator = keyed(SEED, f"binarise {self.stream}", block)
        return torch.randint(0, 255, (BLOCK, *shape), generator=generator, dtype=torch.uint8)


def binarised(dataset: Dataset, split: str = "train") -> Dataset:
    """The data set in bits, drawn for this split (as Larochelle & Murray 2011 did; the bits are our own)."""
    reader = BinarisedStorage(dataset.storage, split)
    in_memory = isinstance(dataset.storage, Tensor)
    return dataclasses.replace(dataset, storage=reader.all(dataset.storage) if in_memory else reader)  # type: ignore[arg-type]


def _bits(pixels: Tensor, draws: Tensor) -> Tensor:
    values = pixels if pixels.dtype == torch.uint8 else to_pixels(pixels)
    return torch.where(draws < values, 255, 0).to(torch.uint8)
