"""From an image to its noise and back: what DDIM loses on the way, by its number of steps."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from diffcli.core.diffusion import grids
from diffcli.core.diffusion.editing import invert
from diffcli.core.diffusion.job import last
from diffcli.errors import UsageProblem
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.prepare import Prepared, prepare

LADDER = (10, 20, 50, 100, 200, 500, 1000)  # Song et al. 2021 (DDIM), table 2


class RoundTrip(NamedTuple):
    """There and back in so many steps each way.

    latent:  the noise, as the walk sees it, [N, ...]
    back:    the images again, [N, C, H, W]
    error:   mean squared error per value, in units where black is 0 and white is 1; of a model of latents against what
             its autoencoder makes of the images, whose own error is no error of the walk
    """

    steps: int
    latent: Tensor
    back: Tensor
    error: float


def prepared_for_inversion(target: str | None, wanted: SamplingOptions) -> Prepared:
    """The job that inverts: without guidance and clipping unless told, neither of which an image survives."""
    if wanted.sampler not in ("ddim", "euler") or wanted.options.get("eta"):
        raise UsageProblem("--invert goes the way of DDIM with eta 0", "leave --sampler and --eta out")
    guidance = 1.0 if wanted.guidance is None else wanted.guidance
    return prepare(
        target, replace(wanted, guidance=guidance, clip=wanted.clip or False, count=1, usual_steps=LADDER[0])
    )


def numbers_of_steps(prepared: Prepared, steps: int | None) -> list[int]:
    """Those that are asked for, or a ladder of them as far as the schedule has so many."""
    length = prepared.model.schedule.length or LADDER[-1]
    return [steps] if steps else [n for n in LADDER if n <= length] or [length]


def round_trips(prepared: Prepared, images: Tensor, ladder: list[int]) -> Iterator[RoundTrip]:
    """Images [N, C, H, W] there and back for each number of steps; conditions of the job are those of the images."""
    job, model = prepared.job, prepared.model
    x0 = model.encoded(images.to(job.device))
    denoise, aim = job.steered(job.network), model.finished(x0)
    told = {name: values.to(job.device) for name, values in job.conditions.items()}
    for steps in ladder:
        levels = grids.levels(model.schedule, steps, prepared.grid)
        latent = last(invert(denoise, x0, levels, **told))
        back = model.finished(last(job.sampler(denoise, latent, levels, **told)))
        yield RoundTrip(steps, latent.cpu(), back.cpu(), ((back - aim) / 2).square().mean().item())
