"""From a model and the options of a command to the job that they ask for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcli import specs
from diffcli.core.diffusion import grids
from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.job import Job
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.walks import Option, Walk
from diffcli.core.levels import CLEAN
from diffcli.data.kinds import CLASS, Items
from diffcli.errors import UsageProblem, one_of
from diffcli.sampling import gridfile
from diffcli.sampling.hints import Hinted, hints_of
from diffcli.sampling.models import Model, load_model
from diffcli.sampling.options import SamplingOptions, Variation, check_ranges
from diffcli.sampling.start import STARTS, LinearStart, linear_begin
from diffcli.sampling.steering import bounded, follow, guidance_scale
from diffcli.system import device as devices
from diffcli.system.text import flag

MOST_STEPS = 100_000
UNTOLD = "no hint is given, so it draws as it would without control: add --hint or --hint-from"

FLAGS = ("eta", "variance", "churn", "churn_min", "churn_max", "churn_noise", "corrections", "snr")
"""Options of samplers that are flags too; others stand behind the name only, as in deis,order=2."""


class Kept(NamedTuple):
    """An image [1, C, H, W], and where it is to be painted: 1 there, else 0, [1, 1, H, W]; on the CPU."""

    known: Tensor
    where: Tensor


@dataclass(frozen=True)
class Prepared:
    """A job and what it came from.

    wanted:     what it was prepared by, with `variation`: all that is needed to prepare it once more
    count:      items that are asked for
    times:      of the job's levels, the last is 0
    source:     images that the job goes by, [N, C, H, W], to be shown above its own
    notes:      how these were read, for the user to know
    kept:       of an image that is painted in latents, what is known of it: it comes back as it was
    hinted:     the hints of the job's items
    """

    job: Job
    model: Model
    wanted: SamplingOptions
    sampler: str
    count: int
    guidance: float
    grid: str
    times: tuple[float, ...]
    source: Tensor | None = None
    variation: Variation = field(default_factory=Variation)
    notes: tuple[str, ...] = ()
    kept: Kept | None = None
    hinted: Hinted = field(default_factory=Hinted)

    def finished(self, x: Tensor) -> Tensor:
        """Items of the job after their walk, [B, ...] on the CPU: as images; what is known of one stays."""
        x = self.model.finished(x).cpu()
        return x if self.kept is None else torch.where(self.kept.where > 0, x, self.kept.known)

    @property
    def adaptive(self) -> bool:
        """Whether the number of evaluations depends on the model."""
        return SAMPLERS[self.sampler].adaptive


def prepare(
    target: str | None, wanted: SamplingOptions, model: Model | None = None, hinted: Hinted | None = None
) -> Prepared:
    """The job that the options ask for, everything about it checked.

    model:   that of the target, where it is loaded already
    hinted:  hints that lie in no file
    """
    check_ranges(guidance=wanted.guidance, guidance_rescale=wanted.guidance_rescale, threshold=wanted.threshold)
    name, options = _sampler(wanted)
    walk, sampler = chosen(name, **options), SAMPLERS[name]
    _check_together(wanted, options)
    grid = sampler.grid if wanted.grid is None else wanted.grid
    start = None if wanted.start is None else specs.make(STARTS, wanted.start, "start")
    where = devices.pick(wanted.device)
    if model is None:
        model = load_model(
            target, weights=wanted.weights, device=where, schedule=wanted.schedule, data=wanted.data,
            lora=wanted.lora, control=wanted.control,
        )  # fmt: skip
    where = torch.device("cpu") if model.exact else where
    if options.get("variance") == "learned" and not model.learned:
        raise UsageProblem(f"{model.name} has learned no variance", "use --variance small or large")
    times = walk_times(model, wanted.steps, wanted.usual_steps or sampler.steps, grid, start)
    kind = model.items.kind
    hinted = hints_of(wanted, model) if hinted is None else hinted
    count = wanted.count or max(kind.sampled, hinted.count)
    if count > kind.most:
        raise UsageProblem(f"--count must be at most {kind.most} {kind.name}", "draw several times with another --seed")
    conditions = of_class(wanted.label, count, model.items) or of_classes(wanted.classes, count, model.items)
    hints = hinted.of(count)
    steer = follow(wanted, hints, has_class=bool(conditions))
    guidance = guidance_scale(wanted, model, has_class=bool(conditions), has_hint=bool(hints))
    clip = model.clip if wanted.clip is None else wanted.clip

    def steered(denoise: Denoise) -> Denoise:
        return bounded(steer(denoise, guidance), clip, wanted.threshold)

    levels = [*(model.schedule(t) for t in times), CLEAN]
    if sampler.timed and levels[0].alpha == 0:
        raise UsageProblem(
            f"{name} cannot begin in pure noise, in which {model.schedule_name} ends", "add --grid log-snr, or karras"
        )
    noted = (UNTOLD,) if model.controls and not hints else ()
    begin = None if start is None else linear_begin(model, levels[0], wanted.seed, conditions, wanted.data)
    walk = partial(walk, schedule=model.schedule) if sampler.timed else walk
    job = Job(model.denoise, levels, walk, model.walked.shape, wanted.seed, conditions | hints, where, steered, begin)
    return Prepared(job, model, wanted, name, count, guidance, grid, (*times.tolist(), 0.0), hinted=hinted, notes=noted)


def _sampler(wanted: SamplingOptions) -> tuple[str, dict[str, Any]]:
    """The name of the sampler, and its options: from flags, and from parameters behind the name."""
    name, own = specs.parameters({k: s.walk for k, s in SAMPLERS.items()}, wanted.sampler, "sampler")
    flags = {k: v for k, v in wanted.options.items() if v is not None}
    if twice := sorted(own.keys() & flags.keys()):
        raise UsageProblem(f"{flag(twice[0])} is given twice", f"leave it out of {wanted.sampler}, or as a flag")
    return name, own | flags


def chosen(name: str, **options: Any) -> Walk:
    """The sampler with its options, None meaning the default; refuses an option of another sampler, and its range."""
    sampler = SAMPLERS[one_of(name, SAMPLERS, "sampler")]
    given = {k: v for k, v in options.items() if v is not None}
    for option, value in given.items():
        if option not in sampler.options:
            takers = [k for k, other in SAMPLERS.items() if option in other.options]
            raise UsageProblem(
                f"{flag(option)} does not belong to the sampler {name}", f"it belongs to {', '.join(takers)}"
            )
        _check_option(sampler.options[option], flag(option) if option in FLAGS else f"{option} of {name}", value)
    return partial(sampler.walk, **given)


def _check_option(option: Option, called: str, value: Any) -> None:
    least, most, names = option
    if names:
        one_of(value, names, called.removeprefix("--"))
    elif not least <= value <= most:
        raise UsageProblem(f"{called} must be from {least} to {most:.10g}, not {value:g}")


def _check_together(wanted: SamplingOptions, options: dict[str, Any]) -> None:
    """Refuse options that would undo each other, or do nothing."""
    idle = [k for k in ("churn_min", "churn_max", "churn_noise") if options.get(k) is not None]
    if idle and not options.get("churn"):
        raise UsageProblem(f"{flag(idle[0])} changes nothing without churn", "add --churn")
    if (options.get("churn_min") or 0) > (math.inf if options.get("churn_max") is None else options["churn_max"]):
        raise UsageProblem("--churn-min must not be above --churn-max")
    if options.get("corrections") == 0 and options.get("snr") is not None:
        raise UsageProblem("--snr changes nothing without corrections", "leave it out, or ask for --corrections")
    if wanted.clip is not None and wanted.threshold is not None:
        raise UsageProblem("--threshold takes the place of --clip and --no-clip", "leave one out")


def walk_times(model: Model, steps: int | None, usual: int, grid: str, start: LinearStart | None = None) -> Tensor:
    """The times of a walk without the clean end: those of a grid of so many steps, or those in a file.

    usual:  steps unless told, and unless the table of the schedule is shorter
    grid:   one of `grids.GRIDS`, or a path that ends in .json
    start:  where the grid starts, if not at the noisiest level; a grid from a file starts where it says
    """
    if grid.endswith(gridfile.SUFFIX):
        if steps is not None:
            raise UsageProblem("--steps does not go with a grid from a file, which has its own", "leave --steps out")
        return gridfile.read_grid(Path(grid), model.schedule, model.schedule_name)
    one_of(grid, grids.GRIDS, "grid (a file must end in .json)")
    steps = steps or min(usual, model.schedule.length or usual)
    if steps > MOST_STEPS:
        raise UsageProblem(f"--steps must be at most {MOST_STEPS}", "use fewer")
    try:
        return start.times(model.schedule, steps, grid) if start else grids.times(model.schedule, steps, grid)
    except ValueError as error:
        raise UsageProblem(str(error), "use fewer --steps, or --grid log-snr") from None


def of_class(label: str | None, count: int, items: Items) -> dict[str, Tensor]:
    """The conditions, [count] each, of a class by name or number, or of all in turn; none for None."""
    if label is None:
        return {}
    if not items.classes:
        raise UsageProblem("this model has no classes", "leave --class out")
    if label == "all":
        return items.in_turn(count)
    return {CLASS: torch.full((count,), items.number_of(label))}


def of_classes(names: Sequence[str], count: int, items: Items) -> dict[str, Tensor]:
    """The conditions, [count] each, of some classes in turn; none for no names."""
    if not names:
        return {}
    numbers = torch.tensor([items.classes.index(name) for name in names])
    return {CLASS: numbers[torch.arange(count) % len(names)]}
