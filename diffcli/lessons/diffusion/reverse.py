"""The reverse process of a model: where a walk stands and what it believes the data to be, step by step."""

from dataclasses import dataclass
from pathlib import Path

import torch

from diffcli.core.diffusion.job import even_in_angle, spread
from diffcli.core.diffusion.walks import Step
from diffcli.core.levels import Level
from diffcli.errors import UsageProblem
from diffcli.lessons.diffusion.pictures import reverse_figure
from diffcli.pictures.figures import write_figure
from diffcli.pictures.grid import grid, save_gif, save_png
from diffcli.pictures.points import extent, moving, row
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.planes import PlanarData
from diffcli.sampling.prepare import Prepared, prepare

FRAMES = 40  # of the animation, at most
MOST_IMAGES = 10
USUAL_IMAGES, USUAL_POINTS = (3, 9), (2000, 6)  # how many of them, at how many levels, unless told


@dataclass(frozen=True)
class ReverseProcess:
    """A sampling job, and what of it to look at.

    plane:    the data of the model, where they are points in the plane
    count:    how many items
    columns:  how many levels
    """

    prepared: Prepared
    plane: PlanarData | None
    count: int
    columns: int

    @property
    def title(self) -> str:
        """The sampler and its steps, to begin the title of a picture with."""
        return f"{self.prepared.sampler} in {self.prepared.job.steps} steps"


def reverse_process(target: str | None, options: SamplingOptions, columns: int | None) -> ReverseProcess:
    """The walk of a model that the options ask for.

    Raises UsageProblem for items that cannot be drawn, and where `prepare` does.
    """
    prepared = prepare(target, options)
    plane, count, shape = PlanarData.of_model(prepared.model), options.count, prepared.job.shape
    if plane is None and len(shape) != 3:
        raise UsageProblem(f"points with {shape[0]} coordinates cannot be drawn in the plane", "use 2, or sample")
    if plane is None and count and count > MOST_IMAGES:
        raise UsageProblem(f"--count must be at most {MOST_IMAGES} for images, not {count}")
    usual_count, usual_columns = USUAL_POINTS if plane else USUAL_IMAGES
    return ReverseProcess(prepared, plane, count or usual_count, columns or usual_columns)


def write_pictures(process: ReverseProcess, figure: Path, animation: Path) -> None:
    """Walk; the items at some of the levels as a PNG, at most of them as a GIF."""
    job = process.prepared.job
    levels = job.levels[1:]
    walk = list(zip(levels, job.walk(range(process.count)), strict=True))
    shown, frames = even_in_angle(levels, process.columns), spread(job.steps, FRAMES)
    if process.plane:
        points = [(level, step.x) for level, step in walk]
        strip = process.plane.panels([points[i] for i in shown])
        title = f"{process.title}: particles over the density at each level"
        save_png(figure, row(strip, title=title, side=2.4))
        save_gif(animation, list(moving(process.plane.panels([points[i] for i in frames]), limit=extent(strip))))
        return
    finished = process.prepared.model.finished
    seen = [(level, Step(*map(finished, _at_unit_length(level, step)))) for level, step in walk]
    title = f"{process.title}: above x_t, below the clean estimate made one step before"
    write_figure(reverse_figure([seen[i] for i in shown], title), figure)
    pairs = [torch.stack(list(seen[i][1]), 1).flatten(0, 1) for i in frames]
    save_gif(animation, [grid(pair, columns=2, width=300) for pair in pairs])


def _at_unit_length(level: Level, step: Step) -> Step:
    """A step with x as the network sees it."""
    return Step(step.x / torch.hypot(*level), step.x0)
