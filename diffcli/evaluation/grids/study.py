"""A study of a model's walks: from what is asked for to the best walk of every number of steps."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.core.diffusion.walk_costs import Encode, WalkCosts
from diffcli.data.kinds import IMAGES, POINTS
from diffcli.errors import UsageProblem, one_of
from diffcli.evaluation.bound import best_walk
from diffcli.evaluation.bound import study as bounds
from diffcli.evaluation.bound.study import BoundOptions
from diffcli.evaluation.features.encoders import encoder
from diffcli.evaluation.grids import costs
from diffcli.evaluation.grids.search import Choice, by_rollout, by_table, usual_walks
from diffcli.sampling.models import Model, load_model
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.prepare import Prepared, prepare
from diffcli.system import device as devices
from diffcli.system.text import duration

UNITS = {"jump": "in x/alpha", "features": "in features", "rollout": "at the end"}  # of distances
COSTS = (*UNITS, "bound")
TEACHER, TEACHER_GRID = "ipndm", "karras"  # an evaluation per level, and as near to 256 steps of Heun as Heun is
LEVELS = {"jump": 61, "features": 61, "rollout": 61, "bound": 1000}  # unless told, or a table has fewer
MOST_LEVELS = 1000  # a table has the square of it
DISCOUNT, MOST_DISCOUNT = 1.15, 10.0  # of jumps: that of GITS (Chen et al. 2024)
WALKS = {"jump": 64, "features": 32, "rollout": 16, "bound": 64}  # of images, unless told
WALKS_OF_POINTS = 1024
EVERY = 8  # of the bound: an image pays every so-many-th step


@dataclass(frozen=True)
class GridOptions:
    """What is asked for; None is what suits the model or the cost.

    steps:     numbers of steps, each of which gets its best walk
    cost:      one of `COSTS`
    count:     walks of the teacher; of the bound, test items
    teacher:   levels that a walk may stop at
    label:     a class by number or name, or "all" in turn
    discount:  of jumps: step k counts discount^k times
    features:  of that cost: the encoder
    """

    steps: tuple[int, ...]
    cost: str = "jump"
    count: int | None = None
    teacher: int | None = None
    label: str | None = None
    guidance: float | None = None
    discount: float | None = None
    features: str | None = None
    schedule: str | None = None
    weights: str = "ema"
    seed: int = 0
    data: Path | None = None
    device: str = "auto"


@dataclass(frozen=True)
class GridStudy:
    """Everything about it checked.

    count:     walks of the teacher, or test items
    times:     of the levels that a walk may stop at, without the clean end; [N] float64, falling
    unit:      of costs, in words
    discount:  step k counts discount^k times
    guidance:  of the teacher's walks; None where there is none
    find:      the best walk of every number of steps, and the usual ones beside it
    estimate:  how long that will take, in lines
    """

    steps: tuple[int, ...]
    cost: str
    model: Model
    count: int
    times: Tensor
    unit: str
    discount: float
    guidance: float | None
    find: Callable[[Show], dict[int, Choice]]
    estimate: Callable[[], list[str]]

    @property
    def noise(self) -> Tensor:
        """sigma / alpha at the levels, [N] float64, falling."""
        return (-_log_snr(self.model, self.times) / 2).exp()


def prepared(target: str | None, wanted: GridOptions, show: Show) -> GridStudy:
    """The study that is asked for, everything about it checked; a judge of features may have to be trained."""
    one_of(wanted.cost, COSTS, "cost")
    _check_together(wanted)
    return _by_bound(target, wanted) if wanted.cost == "bound" else _by_teacher(target, wanted, show)


def _check_together(wanted: GridOptions) -> None:
    """Refuse options that a cost has no use for, and numbers out of their range."""
    for option, value, takers in (
        ("discount", wanted.discount, ("jump",)),
        ("features", wanted.features, ("features",)),
        ("guidance", wanted.guidance, tuple(UNITS)),
        ("class", wanted.label, tuple(UNITS)),
    ):
        if value is not None and wanted.cost not in takers:
            raise UsageProblem(
                f"--{option} changes nothing with --cost {wanted.cost}", f"it belongs to --cost {' or '.join(takers)}"
            )
    if wanted.discount is not None and not 0 < wanted.discount <= MOST_DISCOUNT:
        raise UsageProblem(f"--discount must be above 0 and at most {MOST_DISCOUNT:g}, not {wanted.discount:g}")
    levels = wanted.teacher or LEVELS[wanted.cost]
    if levels > MOST_LEVELS:
        raise UsageProblem(f"--teacher must be at most {MOST_LEVELS} levels, not {levels}", "use fewer")
    _check_fewer(wanted.steps, levels)


def _check_fewer(steps: tuple[int, ...], levels: int) -> None:
    if max(steps) >= levels:
        raise UsageProblem(
            f"a walk of {max(steps)} steps must be chosen from more than {levels} levels", "use more --teacher"
        )


def _by_teacher(target: str | None, wanted: GridOptions, show: Show) -> GridStudy:
    """By walks of a fine teacher, with all classes in turn where there are any, unless told."""
    where = devices.pick(wanted.device)
    model = load_model(target, device=where, weights=wanted.weights, schedule=wanted.schedule, data=wanted.data)
    encode = _encode(model, wanted, where, show) if wanted.cost == "features" else None
    job = prepare(target, SamplingOptions(
        sampler=TEACHER, steps=wanted.teacher or LEVELS[wanted.cost], grid=TEACHER_GRID, schedule=wanted.schedule,
        label=wanted.label or ("all" if model.items.classes else None), guidance=wanted.guidance,
        count=wanted.count or _usual(wanted.cost, model), seed=wanted.seed, device=wanted.device,
        weights=wanted.weights, data=wanted.data,
    ), model)  # fmt: skip
    times = torch.tensor(job.times[:-1], dtype=torch.float64)
    usual = {k: usual_walks(model.schedule, _log_snr(model, times), k) for k in wanted.steps}
    discount = (wanted.discount or DISCOUNT) if wanted.cost == "jump" else 1.0

    def find(show: Show) -> dict[int, Choice]:
        if wanted.cost == "rollout":
            walker = costs.student(job, show)
            stages = costs.rolled_out(walker, max(wanted.steps), show)
            return {k: by_rollout(stages, k, walker.distance, walks) for k, walks in usual.items()}
        table = costs.tabulated(job, encode, show)
        return {k: by_table(table, k, discount, walks) for k, walks in usual.items()}

    return GridStudy(
        wanted.steps, wanted.cost, model, job.count, times, UNITS[wanted.cost], discount,
        job.guidance if job.job.conditions else None, find, lambda: _estimates(job, wanted, encode),
    )  # fmt: skip


def _by_bound(target: str | None, wanted: GridOptions) -> GridStudy:
    """By the variational bound of test items, each of which pays some steps only."""
    where = devices.pick(wanted.device)
    model = load_model(target, device=where, weights=wanted.weights, schedule=wanted.schedule, data=wanted.data)
    count = wanted.count or _usual("bound", model)
    study = bounds.prepared(target, BoundOptions(
        count=count, steps=wanted.teacher, schedule=wanted.schedule, every=min(EVERY, count),
        best_steps=max(wanted.steps), conditional=bool(model.items.classes), weights=wanted.weights, seed=wanted.seed,
        data=wanted.data, device=wanted.device,
    ), model)  # fmt: skip
    task = study.task
    places = best_walk.stops(task, study.kind)
    _check_fewer(wanted.steps, len(places))
    usual = {k: usual_walks(model.schedule, task.log_snr[places], k) for k in wanted.steps}
    unit, scale = task.unit

    def find(show: Show) -> dict[int, Choice]:
        found = bounds.run(study, show)
        _, nats = best_walk.tables(task, found.tally, found.own, study.kind)
        table = WalkCosts(*(part * scale for part in nats))
        return {k: by_table(table, k, 1.0, walks) for k, walks in usual.items()}

    return GridStudy(
        wanted.steps, "bound", model, len(task.x0), study.times[places], unit, 1.0, None, find,
        lambda: bounds.estimates(study),
    )  # fmt: skip


def _usual(cost: str, model: Model) -> int:
    """How many walks, or items, unless told."""
    return WALKS_OF_POINTS if model.items.kind is POINTS else WALKS[cost]


def _encode(model: Model, wanted: GridOptions, where: torch.device, show: Show) -> Encode:
    """The encoder of a trained model's images."""
    if model.items.kind is not IMAGES:
        raise UsageProblem(f"--cost features is for images; this model has {model.items.kind.name}", "use --cost jump")
    if model.trained is None:
        raise UsageProblem("--cost features needs the data that a run was trained on", "use --cost jump")
    data, name = model.trained.recipe.data, wanted.features or "judge"
    found = encoder(name, data.name, wanted.data, where, show, reading=data.reading)
    return lambda x: found.encode(model.finished(x.float()).cpu())


def _estimates(job: Prepared, wanted: GridOptions, encode: Encode | None) -> list[str]:
    """How long walks and what is measured beside them will take, from the faster of two batches of each."""
    items = costs.batches(job)[0]
    noise = costs.begun(job, items)
    calls: float = job.job.steps
    if wanted.cost == "rollout":
        usual = sum(3 * k for k in wanted.steps)
        calls += costs.evaluations(job.job.steps, max(wanted.steps)) + usual
    each = _seconds(lambda: costs.denoised(job, noise, job.job.levels[0], slice(0, len(items)))) / len(items)
    if encode:
        each_image = _seconds(lambda: encode(noise.clamp(-1, 1))) / len(items)
        calls += job.job.steps * (job.job.steps + 1) / 2 * each_image / each
    seconds = each * calls * job.count
    what = job.model.items.kind.name
    return [f"time: about {duration(seconds)}; the teacher is {TEACHER} on {job.job.steps} levels, {job.count} {what}"]


def _seconds(work: Callable[[], object]) -> float:
    """The faster of two."""
    marks = [time.monotonic()]
    for _ in range(2):
        work()
        marks.append(time.monotonic())
    return min(b - a for a, b in zip(marks, marks[1:], strict=False))


def _log_snr(model: Model, times: Tensor) -> Tensor:
    """At these times, within what pictures can show; like them."""
    return model.schedule(times).log_snr.clamp(-30, 30)
