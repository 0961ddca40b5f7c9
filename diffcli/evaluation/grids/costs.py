"""What steps of a model's walks cost, measured beside the walks of a fine teacher."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffcli.console.show import Bar, Show
from diffcli.core.diffusion import walk_costs
from diffcli.core.diffusion.denoiser import Prediction
from diffcli.core.diffusion.job import last, start_noise
from diffcli.core.diffusion.samplers import ddim
from diffcli.core.diffusion.walk_costs import Curves, Encode, NearestWalks, WalkCosts
from diffcli.core.levels import CLEAN, Level
from diffcli.errors import DivergedProblem
from diffcli.sampling.prepare import Prepared


def batches(prepared: Prepared) -> list[range]:
    """The items of a job, as many at once as it draws."""
    size = prepared.job.batch
    return [range(first, min(prepared.count, first + size)) for first in range(0, prepared.count, size)]


def begun(prepared: Prepared, items: range) -> Tensor:
    """Where the walks of these items begin, [B, ...]."""
    job = prepared.job
    return start_noise(job.seed, items, job.shape, job.levels[0], job.device)


@torch.no_grad()
def denoised(prepared: Prepared, x: Tensor, level: Level, part: slice) -> Prediction:
    """What the teacher says of a part of the job's items, x [B, ...], at a level."""
    job = prepared.job
    return job.steered(job.network)(x, level, **told(prepared, part))


def told(prepared: Prepared, part: slice) -> dict[str, Tensor]:
    """The conditions of a part of the job's items."""
    job = prepared.job
    return {name: values[part].to(job.device) for name, values in job.conditions.items()}


def followed(prepared: Prepared, items: range, bar: Bar, done: int = 0) -> Curves:
    """The teacher's walks of some items of the job; the bar counts steps of single items, from `done`.

    Raises DivergedProblem where one is not finite.
    """
    job = prepared.job
    xs, estimates = [begun(prepared, items)], list[Tensor]()
    for step in job.walk(items):
        xs.append(step.x)
        estimates.append(step.x0)
        bar.update(done + len(estimates) * len(items))
    if not bool(xs[-1].isfinite().all()):
        raise DivergedProblem(
            "the teacher's walks are not finite: the model diverged", "take more --teacher, or less --guidance"
        )
    return walk_costs.curves(job.levels, xs, estimates)


def tabulated(prepared: Prepared, encode: Encode | None, show: Show) -> WalkCosts:
    """The table of single jumps: how far they miss in u = x / alpha or, with `encode`, in features."""
    steps, count = prepared.job.steps, prepared.count
    table = torch.zeros(steps, steps + 1, dtype=torch.float64)
    done = 0
    with show.progress("walks and jumps", (2 if encode else 1) * steps * count, "steps") as bar:
        for items in batches(prepared):
            teacher = followed(prepared, items, bar, done)
            done += steps * len(items)
            measure = walk_costs.in_features(encode, teacher.u[-1]) if encode else walk_costs.length
            for place, row in enumerate(walk_costs.cost_rows(teacher, measure)):
                table[place] += row * len(items) / count
                if encode:
                    done += len(items)
                    bar.update(done)
    return WalkCosts.of_table(table)


@dataclass(frozen=True)
class Student:
    """DDIM from where the teacher began, beside it.

    teacher:  its walks, of all items of the job
    """

    prepared: Prepared
    teacher: Curves

    def slope(self, u: Tensor, place: int) -> Tensor:
        """The estimate of eps for states [N, ...] at a level of the teacher."""
        level = self.prepared.job.levels[place]
        parts = (denoised(self.prepared, level.alpha * u[i], level, i) for i in self._parts())
        return torch.cat([found.eps for found in parts])

    def distance(self, places: Sequence[int]) -> float:
        """Mean distance to the teacher's ends of a walk that stops at these of its levels."""
        job = self.prepared.job
        levels = [*(job.levels[i] for i in places), CLEAN]
        denoise, begin = job.steered(job.network), levels[0].alpha * self.teacher.u[places[0]]
        ends = torch.cat([last(ddim(denoise, begin[i], levels, **told(self.prepared, i))) for i in self._parts()])
        return walk_costs.length(ends - self.teacher.u[-1]).mean().item()

    def _parts(self) -> list[slice]:
        return [slice(items.start, items.stop) for items in batches(self.prepared)]


def student(prepared: Prepared, show: Show) -> Student:
    """The student of all items of a job, once the teacher has walked."""
    steps = prepared.job.steps
    with show.progress("the teacher's walks", steps * prepared.count, "steps") as bar:
        parts = [followed(prepared, items, bar, items.start * steps) for items in batches(prepared)]
    u, slope = (torch.cat([getattr(part, name) for part in parts], 1) for name in ("u", "slope"))
    return Student(prepared, Curves(parts[0].rho, u, slope))


def rolled_out(walker: Student, steps: int, show: Show) -> list[NearestWalks]:
    """The stages of the student's walks of up to so many steps."""
    total = evaluations(walker.prepared.job.steps, steps)
    with show.progress("the student's walks", total, "evaluations of all") as bar:
        for done, found in enumerate(walk_costs.rollout(walker.slope, walker.teacher, steps)):
            bar.update(done)
            stages = found
    return stages


def evaluations(stops: int, steps: int) -> int:
    """Of a student's every state: after k steps it may stand at all of a teacher's levels but the first k."""
    return sum(stops - taken for taken in range(1, steps))
