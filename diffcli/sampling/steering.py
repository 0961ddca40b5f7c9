"""How a walk follows its conditions, and where its clean estimates are held: what the options ask of a denoiser."""

import inspect
from collections.abc import Callable, Collection
from functools import partial

from diffcli import specs
from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.guidance import GUIDANCE, clipped, thresholded
from diffcli.data.kinds import CLASS
from diffcli.errors import UsageProblem, one_of
from diffcli.sampling.models import Model
from diffcli.sampling.options import SamplingOptions
from diffcli.system.text import flag

BY = ("class", "hint", "both")  # what guidance follows


def follow(
    wanted: SamplingOptions, hints: Collection[str] = (), *, has_class: bool = False
) -> Callable[[Denoise, float], Denoise]:
    """How conditions are followed: (denoise, scale) -> denoise.

    hints:      names of the conditions that are hints; unless told, guidance follows the class, and the hint without it
    has_class:  whether a class is told
    """
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
    by = wanted.guide_by
    if by is not None:
        one_of(by, BY, "guide-by")
        if not hints or not has_class:
            raise UsageProblem(f"--guide-by {by} chooses between a class and a hint", "add --class, and a hint")
        if "drop" not in takes:
            raise UsageProblem(f"the guidance {name} follows all that it is told", "leave --guide-by out")
    if hints and has_class and by != "both" and "drop" in takes:
        own["drop"] = tuple(hints) if by == "hint" else (CLASS,)
    return partial(GUIDANCE[name], **own)


def guidance_scale(wanted: SamplingOptions, model: Model, *, has_class: bool, has_hint: bool = False) -> float:
    """The scale of guidance: as asked for, or the model's own where there is a class to follow."""
    guidance = wanted.guidance
    if guidance is None:
        guidance = model.guidance if has_class else 1.0
    if guidance != 1 and not (has_class or has_hint):
        raise UsageProblem("--guidance needs a class to guide towards", "add --class all")
    for option, value in (
        ("guidance_interval", wanted.guidance_interval),
        ("guidance_rescale", wanted.guidance_rescale),
        ("guide_by", wanted.guide_by),
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


def bounded(denoise: Denoise, clip: bool, threshold: float | None) -> Denoise:
    """The denoiser with its clean estimate held to the range of images, in one way or the other."""
    if threshold is not None:
        return thresholded(denoise, threshold)
    return clipped(denoise) if clip else denoise
