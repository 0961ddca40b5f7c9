"""From a model and the options of a command to the job that they ask for."""

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli.core.diffusion import grids
from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.guidance import clipped, guided, thresholded
from diffcli.core.diffusion.job import USUAL_GRID, Job
from diffcli.core.diffusion.samplers import SAMPLERS, VARIANCES, Step
from diffcli.core.levels import CLEAN
from diffcli.data.kinds import kind_of
from diffcli.errors import UsageProblem, one_of
from diffcli.sampling import gridfile, models
from diffcli.sampling.models import Model
from diffcli.system import device as devices

MOST_STEPS = 100_000
STEPS = {
    "ddpm": 1000, "predictor-corrector": 500, "euler-ancestral": 100, "heun": 18, "edm": 18,
    "dpmpp-2m": 20, "dpmpp-sde": 25, "unipc": 20,
}  # fmt: skip
USUAL_STEPS = 50  # of the other samplers
GRID = {"heun": "karras", "edm": "karras"}  # their papers' own; on others the first steps may be too long for them

RANGES = {
    # Least and most of each option that is a number.
    "eta": (0, 1), "guidance": (0, 100), "guidance_rescale": (0, 1), "threshold": (0.5, 1), "strength": (0, 1),
    "churn": (0, 1e6), "churn_min": (0, 1e6), "churn_max": (0, float("inf")), "churn_noise": (0, 10),
    "snr": (0, 1), "corrections": (0, 100),  # beyond snr 1 Langevin steps grow without end
}  # fmt: skip


def chosen(name: str, **options: Any) -> Callable[..., Iterator[Step]]:
    """The sampler with its options, None meaning the default; refuses an option of another sampler."""
    walk = SAMPLERS[one_of(name, SAMPLERS, "sampler")]
    given = {k: v for k, v in options.items() if v is not None}
    for option in given:
        takers = [k for k, f in SAMPLERS.items() if option in _free(f)]
        if name not in takers:
            raise UsageProblem(
                f"{flag(option)} does not belong to the sampler {name}", f"it belongs to {', '.join(takers)}"
            )
    return partial(walk, **given)


def _free(sampler: Callable[..., Iterator[Step]]) -> set[str]:
    """The options of a sampler that it does not set itself."""
    fixed = sampler.keywords if isinstance(sampler, partial) else {}
    return set(inspect.signature(sampler).parameters) - set(fixed)


def flag(option: str) -> str:
    """churn_min -> --churn-min"""
    return f"--{option.replace('_', '-')}"


def check_ranges(**options: float | None) -> None:
    """Raise UsageProblem for an option out of its range; None is always allowed."""
    for option, value in options.items():
        least, most = RANGES.get(option, (-float("inf"), float("inf")))
        if value is not None and not least <= value <= most:
            raise UsageProblem(f"{flag(option)} must be from {least} to {most:.10g}, not {value:g}")


def check_together(wish: "SamplingOptions") -> None:
    """Refuse options that would undo each other, or do nothing."""
    options = wish.options
    idle = [k for k in ("churn_min", "churn_max", "churn_noise") if options.get(k) is not None]
    if idle and not options.get("churn"):
        raise UsageProblem(f"{flag(idle[0])} changes nothing without churn", "add --churn")
    if (options.get("churn_min") or 0) > (math.inf if options.get("churn_max") is None else options["churn_max"]):
        raise UsageProblem("--churn-min must not be above --churn-max")
    if wish.clip and wish.threshold is not None:
        raise UsageProblem("--clip and --threshold exclude each other", "leave one out")


@dataclass(frozen=True)
class SamplingOptions:
    """What the options of a command ask for; None is the default of the sampler or the model.

    usual_steps:  steps unless told, and unless the table of the schedule is shorter; None is the sampler's
    options:      those of one sampler
    """

    sampler: str = "ddpm"
    steps: int | None = None
    usual_steps: int | None = None
    grid: str | None = None
    schedule: str | None = None
    label: str | None = None
    guidance: float | None = None
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


def prepare(target: str | None, wish: SamplingOptions) -> tuple[Job, Model]:
    """The job that a wish asks for, everything about it checked, and the model that it draws from."""
    numbers = {k: v for k, v in wish.options.items() if k != "variance"}
    check_ranges(guidance=wish.guidance, guidance_rescale=wish.guidance_rescale, threshold=wish.threshold, **numbers)
    if wish.options.get("variance") is not None:
        one_of(wish.options["variance"], VARIANCES, "variance")
    walker = chosen(wish.sampler, **wish.options)
    check_together(wish)
    grid = GRID.get(wish.sampler, USUAL_GRID) if wish.grid is None else wish.grid
    interval = _interval(wish.guidance_interval)
    where = devices.pick(wish.device)
    model = models.load_model(target, weights=wish.weights, device=where, schedule=wish.schedule, data=wish.data)
    where = torch.device("cpu") if model.exact else where
    if wish.options.get("variance") == "learned" and not getattr(model.denoise, "learned", False):
        raise UsageProblem(f"{model.name} has learned no variance", "use --variance small or large")
    times = walk_times(model, wish.steps, wish.usual_steps or STEPS.get(wish.sampler, USUAL_STEPS), grid)
    kind = kind_of(model.shape)
    count = wish.count or kind.sampled
    if count > kind.most:
        raise UsageProblem(f"--count must be at most {kind.most} {kind.name}", "draw several times with another --seed")
    labels = to_labels(wish.label, count, model.classes)
    guidance = _guidance(wish, model, labels)
    clip = model.clip if wish.clip is None else wish.clip

    def steered(denoise: Denoise) -> Denoise:
        rescale = wish.guidance_rescale or 0.0
        return _bounded(guided(denoise, guidance, interval=interval, rescale=rescale, label=None), clip, wish.threshold)

    levels = [*(model.schedule(t) for t in times), CLEAN]
    job = Job(
        model.denoise, levels, walker, model.shape, wish.seed, labels, where, guidance,
        count=count, steered=steered, times=(*times.tolist(), 0.0), grid=grid,
    )  # fmt: skip
    return job, model


def walk_times(model: Model, steps: int | None, usual: int, grid: str) -> Tensor:
    """The times of a walk without the clean end: those of a grid of so many steps, or those in a file.

    usual:  steps unless told, and unless the table of the schedule is shorter
    grid:   one of `grids.GRIDS`, or a path that ends in .json
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
        return grids.times(model.schedule, steps, grid)
    except ValueError as error:
        raise UsageProblem(str(error), "use fewer --steps, or --grid log-snr") from None


def _guidance(wish: SamplingOptions, model: Model, labels: Tensor | None) -> float:
    """The scale of guidance: as asked for, or the model's own where there are classes."""
    guidance = wish.guidance
    if guidance is None:
        guidance = 1.0 if labels is None else model.guidance
    if guidance != 1 and labels is None:
        raise UsageProblem("--guidance needs a class to guide towards", "add --class all")
    for option, value in (("guidance_interval", wish.guidance_interval), ("guidance_rescale", wish.guidance_rescale)):
        if value is not None and guidance == 1:
            raise UsageProblem(f"{flag(option)} changes nothing at guidance 1", "add --class and --guidance")
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


def to_labels(label: str | None, count: int, classes: tuple[str, ...]) -> Tensor | None:
    """The class of each image, [count]: a number, a name, or "all" in turn; None for none."""
    if label is None:
        return None
    if not classes:
        raise UsageProblem("this model has no classes", "leave --class out")
    if label == "all":
        return torch.arange(count) % len(classes)
    places = {str(i): i for i in range(len(classes))} | {name: i for i, name in enumerate(classes)}  # names win
    return torch.full((count,), places[one_of(label, places, "class")])
