"""The forward process of a schedule on a few images or points: their levels, and how near its end is to pure noise."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli import specs
from diffcli.core.diffusion import bound
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.levels import Level
from diffcli.core.randomness import image_noise
from diffcli.data.examples import examples, image_file
from diffcli.data.kinds import POINTS
from diffcli.data.loading import load_dataset
from diffcli.errors import UsageProblem
from diffcli.lessons.diffusion.pictures import forward_figure
from diffcli.pictures.figures import write_figure
from diffcli.pictures.grid import grid, save_gif, save_png
from diffcli.pictures.points import extent, moving, row
from diffcli.sampling.planes import PlanarData

FRAMES = 40  # of the animation
MOST_IMAGES = 20
USUAL_IMAGES, USUAL_POINTS = (4, 9), (2000, 6)  # how many of them, at how many levels, unless told


@dataclass(frozen=True)
class ForwardProcess:
    """Items x0 [N, ...] with noise of their own, the schedule that mixes the two, and the times to look at.

    plane:  the data set of the items, where they are points in the plane
    """

    x0: Tensor
    eps: Tensor
    schedule: Schedule
    schedule_name: str
    times: Tensor
    plane: PlanarData | None

    @property
    def levels(self) -> list[Level]:
        """The levels to look at, from data to noise."""
        return [self.schedule(t) for t in self.times]

    @property
    def end(self) -> Level:
        """The level that a walk back would start from."""
        return self.schedule(torch.ones((), dtype=torch.float64))

    @property
    def terminal_snr(self) -> float:
        """The signal-to-noise ratio where the schedule ends."""
        return (self.end.alpha / self.end.sigma).square().item()

    @property
    def prior_bits(self) -> float:
        """The divergence from pure noise where the schedule ends, in bits per number."""
        return bound.prior(self.x0.double(), self.end).mean().item() / (self.x0[0].numel() * math.log(2))

    def at(self, level: Level) -> Tensor:
        """The items at a level, drawn at unit length, as a network sees them; like x0."""
        return level.noised(self.x0, self.eps) / torch.hypot(*level)


def forward_process(
    dataset: str, image: Path | None, schedule: str, count: int | None, columns: int | None, seed: int,
    data: Path | None,
) -> ForwardProcess:  # fmt: skip
    """The process on `count` items of a data set, or on an image file, at `columns` levels.

    Raises UsageProblem for a schedule that does not exist, or too many images.
    """
    law = specs.schedule(schedule)
    usual_count, usual_columns = USUAL_IMAGES
    plane = None
    if image is not None:
        x0 = image_file(image)
    else:
        found = load_dataset(dataset, data=data)
        if found.items.kind is POINTS:
            plane = PlanarData.of_dataset(dataset, data)
            usual_count, usual_columns = USUAL_POINTS
        x0 = examples(found, count or usual_count, seed)
    if plane is None and len(x0) > MOST_IMAGES:
        raise UsageProblem(f"--count must be at most {MOST_IMAGES} for images, not {count}")
    eps = image_noise(seed, "start", range(len(x0)), x0.shape[1:])
    times = torch.linspace(0, 1, columns or usual_columns, dtype=torch.float64)
    return ForwardProcess(x0, eps, law, schedule, times, plane)


def write_pictures(process: ForwardProcess, figure: Path, animation: Path) -> None:
    """The items at each level as a PNG, and on their way as a GIF."""
    levels, schedule = process.levels, process.schedule
    film = [schedule(t) for t in torch.linspace(0, 1, FRAMES, dtype=torch.float64)]
    if process.plane is None:
        columns = [process.at(level) for level in levels]
        write_figure(forward_figure(columns, process.times, levels, schedule, process.schedule_name), figure)
        save_gif(animation, [grid(process.at(level), width=600) for level in film])
        return
    strip, frames = (
        process.plane.panels([(level, level.noised(process.x0, process.eps)) for level in path])
        for path in (levels, film)
    )
    save_png(figure, row(strip, title=f"The forward process, {process.schedule_name} schedule", side=2.4))
    save_gif(animation, list(moving(frames, limit=extent(strip))))


def document(process: ForwardProcess) -> dict[str, Any]:
    """The numbers, for metrics.json."""
    return {
        "schedule": process.schedule_name,
        "levels": [
            {
                "t": t.item(),
                "alpha": level.alpha.item(),
                "sigma": level.sigma.item(),
                "log_snr": level.log_snr.item(),
            }
            for t, level in zip(process.times, process.levels, strict=True)
        ],
        "terminal_snr": process.terminal_snr,
        "prior_kl_bits_per_dim": process.prior_bits,
    }


def seen(process: ForwardProcess) -> str:
    """Whether sampling may start from pure noise, in one sentence."""
    bits = process.prior_bits
    if bits == 0:
        verdict = "exactly noise"
    elif bits < 1e-3:
        verdict = "noise for all purposes"
    else:
        verdict = "not yet noise: samples that start from noise will be off in brightness"
    snr = process.terminal_snr
    return f"{process.schedule_name} ends at signal-to-noise {snr:.2g}, {bits:.2g} bits/dim from its prior: {verdict}"
