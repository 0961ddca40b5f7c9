"""A sampling job: the walks of any of its items, each the same whatever else is drawn with it."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoise, Prediction
from diffcli.core.diffusion.walks import Step, Walk
from diffcli.core.levels import Level
from diffcli.core.randomness import image_noise, walk_noise

POINT = 16  # numbers; items of no more are drawn by the thousand
ACCELERATED = 1 << 20  # numbers that an accelerator computes at once
LONG = 1000  # steps of single items, from which on a job is cut into at least PARTS of FEWEST items, as far as it goes
PARTS, FEWEST = 4, 10


def start_noise(
    seed: int, items: Sequence[int], shape: Sequence[int], level: Level, device: torch.device | str = "cpu"
) -> Tensor:
    """Where the walks of these items begin: noise of the spread that unit data have at the level."""
    return torch.hypot(*level).item() * image_noise(seed, "start", items, shape, device=device)


class Drawing(NamedTuple):
    """How far a job, or a batch of it, is: items after one of their steps.

    first:        number of the first item in the batch
    step:         the step that was taken, from 0
    done:         steps of single items that were taken, all items together
    x:            the batch, [B, ...]
    evaluations:  of the network so far, of single items too
    """

    first: int
    step: int
    done: int
    x: Tensor
    evaluations: int


@dataclass(frozen=True)
class Job:
    """What to draw, whichever of its items are drawn now.

    network:     the model, and `steered` what makes of it the denoiser to walk with: guided, clipped
    sampler:     the walk, its options bound
    shape:       of an item
    conditions:  of every item of the job, each [N, ...]
    begin:       where the walks of some items start at levels[0]; None is pure noise
    """

    network: Denoise
    levels: Sequence[Level]
    sampler: Walk
    shape: Sequence[int]
    seed: int = 0
    conditions: Mapping[str, Tensor] = field(default_factory=dict)
    device: torch.device | str = "cpu"
    steered: Callable[[Denoise], Denoise] = lambda denoise: denoise
    begin: Callable[[Sequence[int]], Tensor] | None = None

    @property
    def steps(self) -> int:
        """Of a walk."""
        return len(self.levels) - 1

    @property
    def batch(self) -> int:
        """How many items to draw at once: images by the dozen, more on an accelerator; points by the thousand."""
        numbers = torch.Size(self.shape).numel()
        if numbers <= POINT:
            return 16384
        return 64 if self._on_cores else max(64, min(1024, ACCELERATED // numbers))

    def batches(self, count: int, batch: int = 0) -> list[range]:
        """The items that are drawn together, of `count`: so many at once, or as suits the job (0).

        Then long jobs are cut into a few parts at least, even ones, that can be shared out among processes. The same
        job is always cut alike: in rounding an item depends on those beside it.
        """
        if batch:
            return [range(first, min(count, first + batch)) for first in range(0, count, batch)]
        parts = math.ceil(count / self.batch)
        if self._on_cores and count * self.steps >= LONG:
            parts = max(parts, min(PARTS, count // FEWEST))
        return [range(count * part // parts, count * (part + 1) // parts) for part in range(parts)]

    @property
    def _on_cores(self) -> bool:
        return torch.device(self.device).type == "cpu"

    def walk(self, items: Sequence[int]) -> Iterator[Step]:
        """The steps of these items, by number, each with its own start and noise whatever else is drawn with it."""
        if self.begin:
            x = self.begin(items).to(self.device)
        else:
            x = start_noise(self.seed, items, self.shape, self.levels[0], self.device)
        told = {name: values[list(items)].to(self.device) for name, values in self.conditions.items()}
        noise = walk_noise(self.seed, items, x)
        return self.sampler(self.steered(self.network), x, self.levels, noise=noise, **told)

    def draw(self, count: int, batch: int = 0) -> Iterator[Drawing]:
        """Items 0 ... count - 1, a batch after the other (0 is as suits), after every step of each batch."""
        done = evaluations = 0
        for items in self.batches(count, batch):
            for part in self.draw_batch(items):
                yield part._replace(done=done + part.done, evaluations=evaluations + part.evaluations)
            done, evaluations = done + part.done, evaluations + part.evaluations

    def draw_batch(self, items: range) -> Iterator[Drawing]:
        """Some items together, after every step; what is done and evaluated is theirs."""
        evaluations = 0

        def counted(x: Tensor, level: Level, **cond: Any) -> Prediction:
            nonlocal evaluations
            evaluations += len(x)
            return self.network(x, level, **cond)

        for number, step in enumerate(replace(self, network=counted).walk(items)):
            yield Drawing(items.start, number, len(items) * (number + 1), step.x, evaluations)

    def drawn(self, count: int, batch: int = 0) -> Tensor:
        """Items 0 ... count - 1, [count, ...] on the CPU."""
        return torch.cat([part.x.cpu() for part in self.draw(count, batch) if part.step == self.steps - 1])

    def cost(self) -> tuple[int, int]:
        """Evaluations of the network and draws of noise per item, counted with a network that does nothing.

        The evaluations of an adaptive walk depend on the model; those that it took are in `Drawing`.
        """
        evaluations = draws = 0
        nothing = torch.zeros(1, *self.shape, device=self.device)

        def network(x: Tensor, level: Level, **_: Any) -> Prediction:
            nonlocal evaluations
            evaluations += 1
            return Prediction(x, x, x)

        def noise(_: int) -> Tensor:
            nonlocal draws
            draws += 1
            return nothing

        deque(self.sampler(self.steered(network), nothing, self.levels, noise=noise), maxlen=0)
        return evaluations, draws


def last(steps: Iterator[Step]) -> Tensor:
    """Where a walk ends."""
    return deque(steps, maxlen=1).pop().x


def even_in_angle(levels: Sequence[Level], count: int) -> list[int]:
    """At most `count` (>= 2) places in a list of levels, even in the angle of (alpha, sigma), both ends among them."""
    angles = torch.stack([torch.atan2(level.sigma, level.alpha) for level in levels])
    wanted = torch.linspace(angles[0].item(), angles[-1].item(), count, dtype=torch.float64)
    return sorted({int((angles - angle).abs().argmin()) for angle in wanted})


def spread(steps: int, count: int) -> list[int]:
    """At most `count` (>= 2) of the numbers 0 ... steps - 1, evenly spread, both ends among them."""
    return sorted({round(i * (steps - 1) / (count - 1)) for i in range(count)})
