"""From a trained model and a wish to walks: what `sample`, `visualize` and the previews of `train` share."""

import inspect
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from diffcli import device as devices
from diffcli import runs
from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.guidance import clipped, guided
from diffcli.core.diffusion.samplers import SAMPLERS, VARIANCES, Step
from diffcli.core.diffusion.schedules import Level
from diffcli.core.randomness import image_noise, walk_noise
from diffcli.errors import UsageProblem, one_of
from diffcli.runs import Trained

MOST_STEPS = 100_000


def chosen(name: str, **options: Any) -> Callable[..., Iterator[Step]]:
    """The sampler with its options, None meaning the default; refuses an option of another sampler."""
    walk = SAMPLERS[one_of(name, SAMPLERS, "sampler")]
    given = {k: v for k, v in options.items() if v is not None}
    for option in given:
        takers = [k for k, f in SAMPLERS.items() if option in inspect.signature(f).parameters]
        if name not in takers:
            raise UsageProblem(
                f"--{option} does not belong to the sampler {name}", f"it belongs to {', '.join(takers)}"
            )
    return partial(walk, **given)


def prepare(
    run: str | None,
    *,
    sampler: str,
    steps: int,
    label: str | None = None,
    guidance: float | None = None,
    clip: bool = True,
    count: int,
    seed: int,
    device: str,
    weights: str = "ema",
    **options: Any,
) -> tuple["Job", Trained]:
    """The job that the options of a command ask for, all of them checked, and the model it draws from.

    Without `guidance` images of a class take the recipe's, others none.
    """
    for option, value, most in (("eta", options.get("eta"), 1), ("guidance", guidance, 100)):
        if value is not None and not 0 <= value <= most:
            raise UsageProblem(f"--{option} must be from 0 to {most}, not {value}")
    if options.get("variance") is not None:
        one_of(options["variance"], VARIANCES, "variance")
    walker = chosen(sampler, **options)
    where = devices.pick(device)
    trained = runs.load(run, weights=weights, device=where)
    if steps > MOST_STEPS:
        raise UsageProblem(f"--steps must be at most {MOST_STEPS}", "use fewer")
    try:
        levels = trained.schedule.levels(steps)
    except ValueError as error:
        raise UsageProblem(str(error), "use fewer --steps") from None
    labels = to_labels(label, count, trained.classes)
    if guidance is None:
        guidance = 1.0 if labels is None else trained.recipe.guidance
    if guidance != 1 and labels is None:
        raise UsageProblem("--guidance needs a class to guide towards", "add --class all")
    denoise = ready(trained.denoiser, guidance=guidance, clip=clip)
    return Job(denoise, levels, walker, trained.shape, seed, labels, where, guidance), trained


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


def ready(denoiser: Denoise, *, guidance: float = 1.0, clip: bool = True) -> Denoise:
    """The denoiser as sampling uses it: guided, and its clean estimate held to the range of images."""
    denoise = guided(denoiser, guidance, label=None)
    return clipped(denoise) if clip else denoise


@dataclass(frozen=True)
class Job:
    """A sampling job: everything but which images of it are drawn now."""

    denoise: Denoise
    levels: Sequence[Level]
    sampler: Callable[..., Iterator[Step]]
    shape: Sequence[int]
    seed: int = 0
    labels: Tensor | None = None
    """The class of every image of the job, [N], or None."""
    device: torch.device | str = "cpu"
    guidance: float = 1.0
    """What `denoise` was guided with, for the record."""

    @property
    def evaluations(self) -> int:
        """Network evaluations per image."""
        return (len(self.levels) - 1) * (1 if self.guidance in (0, 1) else 2)

    def walk(self, images: Sequence[int]) -> Iterator[Step]:
        """The steps of these images, by number, each with its own start and noise whatever else is drawn with it."""
        length = torch.hypot(*self.levels[0]).item()
        x = length * image_noise(self.seed, "start", images, self.shape).to(self.device)
        labels = None if self.labels is None else self.labels[list(images)].to(self.device)
        return self.sampler(self.denoise, x, self.levels, noise=walk_noise(self.seed, images, x), label=labels)


def last(steps: Iterator[Step]) -> Tensor:
    """Where a walk ends."""
    return deque(steps, maxlen=1).pop().x


def spread(steps: int, count: int) -> list[int]:
    """At most `count` (>= 2) of the numbers 0 ... steps - 1, evenly spread, both ends among them."""
    return sorted({round(i * (steps - 1) / (count - 1)) for i in range(count)})
