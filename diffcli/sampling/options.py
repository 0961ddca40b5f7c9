"""What the options of a command ask of samples."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffcli.errors import UsageProblem
from diffcli.system.text import flag

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
    classes:      where there is no label: names of classes, in turn
    start:        what takes the place of the first evaluations, with parameters perhaps: linear,at=10
    lora:         FILE[:scale] of low-rank additions to the weights
    control:      RUN[:strength] of branches that obey hints
    hint:         what these are told, one for each or one for all: pictures or arrays, or folders of such
    hint_from:    images that hints are found in, instead
    guide_by:     what guidance follows where there are hints: class, hint or both; None is the class if there is one
    options:      those of one sampler
    """

    sampler: str = "ddpm"
    steps: int | None = None
    usual_steps: int | None = None
    grid: str | None = None
    schedule: str | None = None
    label: str | None = None
    classes: tuple[str, ...] = ()
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
    lora: tuple[str, ...] = ()
    control: tuple[str, ...] = ()
    hint: tuple[Path, ...] = ()
    hint_from: tuple[Path, ...] = ()
    guide_by: str | None = None
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


def check_ranges(**options: float | None) -> None:
    """Raise UsageProblem for an option out of its range; None is always allowed."""
    for option, value in options.items():
        least, most = RANGES[option]
        if value is not None and not least <= value <= most:
            raise UsageProblem(f"{flag(option)} must be from {least} to {most:.10g}, not {value:g}")
