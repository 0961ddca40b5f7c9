"""The random numbers of a training step: of a generator, or keyed by item, whichever part of a batch is computed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from diffcli.core.randomness import image_noise, uniform


@dataclass(frozen=True)
class BatchDraws:
    """Random numbers for some items of one step's batch: an item has the same in whatever part of it.

    Items count through the whole training: the first of step n has number n * whole.

    first:  place in the batch of the first item that is computed here
    count:  items that are
    whole:  size of the batch
    device: that the numbers are on
    at:     numbers [count] and places [count] of the items as tensors on the device, where they change while the rest
            stays: of a step that is played back
    """

    seed: int
    step: int
    first: int
    count: int
    whole: int
    device: torch.device | str = "cpu"
    at: tuple[Tensor, Tensor] | None = None

    @property
    def numbers(self) -> range | Tensor:
        """Of the items here, in the whole training."""
        if self.at is not None:
            return self.at[0]
        begin = self.step * self.whole + self.first
        return range(begin, begin + self.count)


Source = Generator | BatchDraws
"""Where random numbers come from. A generator's depend on what was drawn before, on the CPU."""


def drawn_normal(source: Source, name: str, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal numbers of this shape [B, ...]. name: what for, so that no two purposes share numbers"""
    if isinstance(source, Generator):
        return torch.randn(*shape, generator=source, dtype=dtype)
    return image_noise(source.seed, f"train {name}", source.numbers, shape[1:], device=source.device).to(dtype)


def drawn_uniform(source: Source, name: str, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers in [0, 1) of this shape [B, ...]. name: what for"""
    if isinstance(source, Generator):
        return torch.rand(*shape, generator=source, dtype=dtype)
    return uniform(source.seed, f"train {name}", source.numbers, shape[1:], device=source.device).to(dtype)


def drawn_places(source: Source | None, count: int) -> Tensor:
    """Places in [0, 1) for the items, [B] float64 on the CPU: equally spaced over the whole batch, with one shift.

    Each is uniform, and together they are even (Kingma et al. 2021, appendix I.1).
    """
    if not isinstance(source, BatchDraws):
        shift = torch.rand((), generator=source, dtype=torch.float64)
        return (shift + torch.arange(count, dtype=torch.float64) / count) % 1
    if source.at is not None:
        return source.at[1]
    shift = uniform(source.seed, "train shift", [source.step])[0].double()
    here = torch.arange(source.first, source.first + count, dtype=torch.float64)
    return (shift + here / source.whole) % 1
