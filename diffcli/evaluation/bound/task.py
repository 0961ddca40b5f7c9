"""What is evaluated: a model on items, at every level of a walk, with one noise per item for all levels."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.devices import exact_on
from diffcli.core.diffusion import bound
from diffcli.core.diffusion.denoiser import Denoise, Prediction
from diffcli.core.diffusion.exact_pixels import PixelHistogram
from diffcli.core.diffusion.guidance import Conditions
from diffcli.core.levels import CLEAN, Level
from diffcli.core.randomness import image_noise

FIXED = ("small", "large", "optimal")
MOST_PIECES, BATCHES = 128, 4  # in which a task is shared out, and batches in a piece at least


class Row(NamedTuple):
    """A batch of evaluations: which item [B] at which level [B], the levels, and what the model says of x."""

    item: Tensor
    place: Tensor
    x0: Tensor
    x: Tensor
    here: Level
    after: Level
    prediction: Prediction


@dataclass(frozen=True)
class Task:
    """A model and the items and levels to evaluate it at.

    batched:   whether each item of a batch may have a level of its own, as networks allow
    x0:        items [N, ...], and `conditions` what the model is told of them, each [N, ...]
    levels:    the walk, from noise, without CLEAN
    discrete:  whether the items' numbers are 8-bit values in [-1, 1]
    learned:   whether the model has learned its variance
    samples:   noises per item, each the same at all levels
    histogram: that the decoder goes by, with Bayes' rule; None is a Gaussian decoder
    every:     an item is evaluated at every so-many-th level only, items in turn at others; at the last one always
    """

    denoise: Denoise
    x0: Tensor
    conditions: Conditions
    levels: Sequence[Level]
    discrete: bool
    learned: bool = False
    histogram: PixelHistogram | None = None
    batched: bool = True
    samples: int = 1
    every: int = 1
    seed: int = 0
    stream: str = "bound"
    device: torch.device | str = "cpu"
    batch: int = 250

    @property
    def numbers(self) -> int:
        """In one item."""
        return self.x0[0].numel()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of the reverse variance, that the model has."""
        return (*FIXED, "learned") if self.learned else FIXED

    @property
    def unit(self) -> tuple[str, float]:
        """The unit of results, and what a nat per item is in it."""
        return ("bits/dim", 1 / (self.numbers * math.log(2))) if self.discrete else ("nats", 1.0)

    @property
    def log_snr(self) -> Tensor:
        """Of the levels, [T], within what pictures can show."""
        return torch.stack([level.log_snr for level in self.levels]).clamp(-30, 30)

    @property
    def total(self) -> int:
        """Evaluations of the network."""
        rows, inner = len(self.x0) * self.samples, len(self.levels) - 1
        return rows + sum(len(range(-level % self.every, rows, self.every)) for level in range(inner))

    @property
    def pieces(self) -> list[range]:
        """The levels in parts of a few batches each, which may be evaluated anywhere and in any order."""
        levels = len(self.levels)
        count = max(1, min(MOST_PIECES, levels, self.total // (BATCHES * self.batch)))
        return [range(levels * part // count, levels * (part + 1) // count) for part in range(count)]

    @cached_property
    def noise(self) -> Tensor:
        """Of every sample of every item, [samples * N, ...]."""
        items, shape = range(len(self.x0)), self.x0.shape[1:]
        return torch.cat([image_noise(self.seed, self.stream, items, shape, k) for k in range(self.samples)])

    @torch.inference_mode()
    def rows(self, places: range | None = None) -> Iterator[Row]:
        """The evaluations at these levels, or all; a batch keeps to one level unless the model is batched.

        Their tensors are where there is float64: on the device, or on the CPU.
        """
        count, where = len(self.x0), exact_on(self.device)
        walk = bound.stacked([*self.levels, CLEAN])
        column = (-1, *[1] * (self.x0.dim() - 1))
        for place, number in self._chosen(range(len(self.levels)) if places is None else places):
            item = number % count
            here, after = (Level(*(part[i].reshape(column).to(where) for part in walk)) for i in (place, place + 1))
            x0 = self.x0[item].to(where)
            noised = here.noised(x0.double(), self.noise[number].to(where).double()).to(x0.dtype)
            of_each = Level(*(part.to(x0.dtype).to(self.device) for part in here))
            level = of_each if self.batched else self.levels[int(place[0])]
            told = {name: values[item].to(self.device) for name, values in self.conditions.items()}
            found = self.denoise(noised.to(self.device), level, **told)
            share = None if found.variance_fraction is None else found.variance_fraction.to(where)
            yield Row(item, place, x0, noised, here, after, Prediction(found.x0.to(where), found.eps.to(where), share))

    def _chosen(self, places: range) -> Iterator[tuple[Tensor, Tensor]]:
        """Places of levels and numbers of (sample, item) pairs, a batch at a time."""
        pairs, last = len(self.x0) * self.samples, len(self.levels) - 1
        waiting: list[Tensor] = []
        size = 0
        for place in places:
            step = self.every if place < last else 1
            numbers = torch.arange(pairs)[-place % step :: step]
            for part in numbers.split(self.batch):
                waiting.append(torch.stack([torch.full_like(part, place), part]))
                size += len(part)
                if size >= self.batch or not self.batched or place == last:
                    yield tuple(torch.cat(waiting, 1))
                    waiting, size = [], 0
        if waiting:
            yield tuple(torch.cat(waiting, 1))
