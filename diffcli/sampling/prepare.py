"""From a model and the options of a command to the job that they ask for."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli import specs
from diffcli.core.diffusion import grids
from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.guidance import GUIDANCE, clipped, thresholded
from diffcli.core.diffusion.job import Job
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.walks import Option, Walk
from diffcli.core.levels import CLEAN
from diffcli.data.kinds import CLASS, Items
from diffcli.errors import UsageProblem, one_of
from diffcli.sampling import gridfile
from diffcli.sampling.models import Model, load_model
from diffcli.sampling.start import STARTS, LinearStart, linear_begin
from diffcli.system import device as devices
from diffcli.system.text import flag

MOST_STEPS = 100_000

FLAGS = ("eta", "variance", "churn", "churn_min", "churn_max", "churn_noise", "corrections", "snr")
"""Options of samplers that are flags too; others stand behind the name only, as in deis,order=2."""

RANGES = {
    # Least and most of the options that are numbers, beside those that belong to a sampler.
    "guidance": (0, 100), "guidance_rescale": (0, 1), "threshold": (0.5, 1), "strength": (0, 1),
}  # fmt: skip


@dataclass(frozen=True)
class SamplingOptions:
    """What the options of a command ask for; None is the default of the sampler or the model.

    sampler:      with parameters perhaps: edm,churn=10
    guide:        how conditions are followed, with parameters perhaps
    usual_steps:  steps unless told, and unless the table of the schedule is shorter; None is the sampler's
    label:        a class by number or name, or "all" in turn
    start:        what takes the place of the first evaluations, with parameters perhaps: linear,at=10
    options:      those of one sampler
    """

    sampler: str = "ddpm"
    steps: int | None = None
    usual_steps: int | None = None
    grid: str | None = None
    schedule: str | None = None
    label: str | None = None
    start: str | None = None
    guidance: float | None = None
    guide: str = "cfg"
    guidance_interval: str | None = None
    guidance_rescale: float | None = None
    clip: bool | None = None
    threshold: float | None = None
    count: int | None = None
    seed: int = 0
    device: str = "auto"
    weights: str = "ema"
    data: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Variation:
    """What an image is to do with the samples, by the options of `sample`; see `sampling.from_images`.

    begin, strength:          start at this image, for this share of the walk
    inpaint, mask, resample:  paint a part of this image anew
    interpolate:              from the noise of image 0 to that of image 1
    """

    begin: Path | None = None
    strength: float = 0.0
    inpaint: Path | None = None
    mask: Path | None = None
    resample: int = 1
    interpolate: bool = False


@dataclass(frozen=True)
class Prepared:
    """A job and what it came from.

    wanted:     what it was prepared by, with `variation`: all that is needed to prepare it once more
    count:      items that are asked for
    times:      of the job's levels, the last is 0
    source:     images that the job goes by, [N, C, H, W], to be shown above its own
    notes:      how these were read, for the user to know
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

    @property
    def adaptive(self) -> bool:
        """Whether the number of evaluations depends on the model."""
        return SAMPLERS[self.sampler].adaptive


def prepare(target: str | None, wanted: SamplingOptions, model: Model | None = None) -> Prepared:
    """The job that the options ask for, everything about it checked.

    model:  that of the target, where it is loaded already
    """
    check_ranges(guidance=wanted.guidance, guidance_rescale=wanted.guidance_rescale, threshold=wanted.threshold)
    name, options = _sampler(wanted)
    walk, sampler = chosen(name, **options), SAMPLERS[name]
    _check_together(wanted, options)
    grid = sampler.grid if wanted.grid is None else wanted.grid
    follow = _follow(wanted)
    start = None if wanted.start is None else specs.make(STARTS, wanted.start, "start")
    where = devices.pick(wanted.device)
    if model is None:
        model = load_model(target, weights=wanted.weights, device=where, schedule=wanted.schedule, data=wanted.data)
    where = torch.device("cpu") if model.exact else where
    if options.get("variance") == "learned" and not model.learned:
        raise UsageProblem(f"{model.name} has learned no variance", "use --variance small or large")
    times = walk_times(model, wanted.steps, wanted.usual_steps or sampler.steps, grid, start)
    kind = model.items.kind
    count = wanted.count or kind.sampled
    if count > kind.most:
        raise UsageProblem(f"--count must be at most {kind.most} {kind.name}", "draw several times with another --seed")
    conditions = of_class(wanted.label, count, model.items)
    guidance = _guidance(wanted, model, conditional=bool(conditions))
    clip = model.clip if wanted.clip is None else wanted.clip

    def steered(denoise: Denoise) -> Denoise:
        return _bounded(follow(denoise, guidance), clip, wanted.threshold)

    levels = [*(model.schedule(t) for t in times), CLEAN]
    if sampler.timed and levels[0].alpha == 0:
        raise UsageProblem(
            f"{name} cannot begin in pure noise, in which {model.schedule_name} ends", "add --grid log-snr, or karras"
        )
    begin = None if start is None else linear_begin(model, levels[0], wanted.seed, conditions, wanted.data)
    walk = partial(walk, schedule=model.schedule) if sampler.timed else walk
    job = Job(model.denoise, levels, walk, model.items.shape, wanted.seed, conditions, where, steered, begin)
    return Prepared(job, model, wanted, name, count, guidance, grid, (*times.tolist(), 0.0))


def _sampler(wanted: SamplingOptions) -> tuple[str, dict[str, Any]]:
    """The name of the sampler, and its options: from flags, and from parameters behind the name."""
    name, own = specs.parameters({k: s.walk for k, s in SAMPLERS.items()}, wanted.sampler, "sampler")
    flags = {k: v for k, v in wanted.options.items() if v is not None}
    if twice := sorted(own.keys() & flags.keys()):
        raise UsageProblem(f"{flag(twice[0])} is given twice", f"leave it out of {wanted.sampler}, or as a flag")
    return name, own | flags


def _follow(wanted: SamplingOptions) -> Callable[[Denoise, float], Denoise]:
    """How conditions are followed: (denoise, scale) -> denoise."""
    name, own = specs.parameters(GUIDANCE, wanted.guide, "guidance")
    takes = inspect.signature(GUIDANCE[name]).parameters
    asked = {"interval": wanted.guidance_interval, "rescale": wanted.guidance_rescale}
    for option, value in asked.items():
        if value is not None and option not in takes:
            raise UsageProblem(f"the guidance {name} takes no {option}", f"leave --guidance-{option} out")
        if value is not None and option in own:
            raise UsageProblem(f"--guidance-{option} is given twice", f"leave it out of --guide {wanted.guide}")
    if "interval" in takes:
        own["interval"] = _interval(wanted.guidance_interval)
    if wanted.guidance_rescale is not None:
        own["rescale"] = wanted.guidance_rescale
    return partial(GUIDANCE[name], **own)


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


def check_ranges(**options: float | None) -> None:
    """Raise UsageProblem for an option out of its range; None is always allowed."""
    for option, value in options.items():
        least, most = RANGES[option]
        if value is not None and not least <= value <= most:
            raise UsageProblem(f"{flag(option)} must be from {least} to {most:.10g}, not {value:g}")


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


def _guidance(wanted: SamplingOptions, model: Model, *, conditional: bool) -> float:
    """The scale of guidance: as asked for, or the model's own where there are conditions to follow."""
    guidance = wanted.guidance
    if guidance is None:
        guidance = model.guidance if conditional else 1.0
    if guidance != 1 and not conditional:
        raise UsageProblem("--guidance needs a class to guide towards", "add --class all")
    for option, value in (
        ("guidance_interval", wanted.guidance_interval),
        ("guidance_rescale", wanted.guidance_rescale),
    ):
        if value is not None and guidance == 1:
            raise UsageProblem(f"{flag(option)} changes nothing at guidance 1", "add --class and --guidance")
    if guidance == 1 and wanted.guide.startswith(f"{SamplingOptions.guide},"):
        raise UsageProblem(f"--guide {wanted.guide} changes nothing at guidance 1", "add --class and --guidance")
    return guidance


def _interval(text: str | None) -> tuple[float, float]:
    """ "0.3,5" -> the noise levels between which guidance acts."""
    if text is None:
        return 0.0, float("inf")
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low, high = 1.0, 0.0
    if not 0 <= low < high:
        raise UsageProblem(f"--guidance-interval must be two rising noise levels, as in 0.3,5; not {text}")
    return low, high


def _bounded(denoise: Denoise, clip: bool, threshold: float | None) -> Denoise:
    """The denoiser with its clean estimate held to the range of images, in one way or the other."""
    if threshold is not None:
        return thresholded(denoise, threshold)
    return clipped(denoise) if clip else denoise


def of_class(label: str | None, count: int, items: Items) -> dict[str, Tensor]:
    """The conditions, [count] each, of a class by name or number, or of all in turn; none for None."""
    if label is None:
        return {}
    if not items.classes:
        raise UsageProblem("this model has no classes", "leave --class out")
    if label == "all":
        return items.in_turn(count)
    return {CLASS: torch.full((count,), items.number_of(label))}
