"""A sampling job: the walks of any of its images, each the same whatever else is drawn with it."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoise, Prediction
from diffcli.core.diffusion.samplers import Step
from diffcli.core.levels import Level
from diffcli.core.randomness import SMALL, image_noise, walk_noise

USUAL_GRID = "trailing"


def start_noise(seed: int, images: Sequence[int], shape: Sequence[int], level: Level) -> Tensor:
    """Where the walks of these images begin: noise of the spread that unit data have at the level, on the CPU."""
    return torch.hypot(*level).item() * image_noise(seed, "start", images, shape)


@dataclass(frozen=True)
class Job:
    """A sampling job: everything but which images of it are drawn now.

    network:   the model, and `steered` what makes of it the denoiser to walk with: guided, clipped
    labels:    the class of every image of the job, [N], or None
    guidance:  what it is guided with; this, count, times and grid are for the record
    begin:     where the walks of some images start at levels[0]; None is pure noise
    source:    images that the job goes by, [N, C, H, W], to be shown above its own
    """

    network: Denoise
    levels: Sequence[Level]
    sampler: Callable[..., Iterator[Step]]
    shape: Sequence[int]
    seed: int = 0
    labels: Tensor | None = None
    device: torch.device | str = "cpu"
    guidance: float = 1.0
    count: int = 0
    steered: Callable[[Denoise], Denoise] = lambda denoise: denoise
    times: Sequence[float] = ()
    grid: str = USUAL_GRID
    begin: Callable[[Sequence[int]], Tensor] | None = None
    source: Tensor | None = None

    @property
    def batch(self) -> int:
        """How many items to draw at once: images by the dozen, points by the thousand."""
        return 64 if torch.Size(self.shape).numel() > SMALL else 16384

    def walk(self, images: Sequence[int]) -> Iterator[Step]:
        """The steps of these images, by number, each with its own start and noise whatever else is drawn with it."""
        x = self.begin(images) if self.begin else start_noise(self.seed, images, self.shape, self.levels[0])
        x = x.to(self.device)
        labels = None if self.labels is None else self.labels[list(images)].to(self.device)
        noise = walk_noise(self.seed, images, x)
        return self.sampler(self.steered(self.network), x, self.levels, noise=noise, label=labels)

    def cost(self) -> tuple[int, int]:
        """Evaluations of the network and draws of noise per image, counted with a network that does nothing."""
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

        deque(self.sampler(self.steered(network), nothing, self.levels, noise=noise, label=None), maxlen=0)
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
