"""Samples to be judged: as 8-bit images, with what they cost."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.ode import TooSmallSteps
from diffcli.data.dataset import to_pixels
from diffcli.errors import DivergedProblem
from diffcli.sampling.draw import LOOSEN
from diffcli.sampling.prepare import Prepared


class DrawnPixels(NamedTuple):
    """Samples as a PNG would hold them.

    pixels:       uint8 [N, C, H, W]
    evaluations:  of the network, per image
    seconds:      that drawing them took
    """

    pixels: Tensor
    evaluations: float
    seconds: float


class PixelAdvance(NamedTuple):
    """The share of the work that is done, 0 to 1, and the samples when all is."""

    share: float
    samples: DrawnPixels | None = None


def pixels_drawn(prepared: Prepared, batch: int = 0) -> Iterator[PixelAdvance]:
    """All samples of a job; the last one yielded has them. batch: images at once, 0 is the usual number.

    Raises DivergedProblem where some are not finite, or where an adaptive walk cannot go on.
    """
    job, count = prepared.job, prepared.count
    pixels = torch.empty(count, *job.shape, dtype=torch.uint8)
    began, lost = time.monotonic(), 0
    try:
        for part in job.draw(count, batch):
            if part.step == job.steps - 1:
                lost += int((~part.x.flatten(1).isfinite().all(1)).sum())
                pixels[part.first : part.first + len(part.x)] = to_pixels(part.x.nan_to_num().cpu())
            yield PixelAdvance(part.done / (job.steps * count))
    except TooSmallSteps as error:
        raise DivergedProblem(str(error), LOOSEN) from None
    if lost:
        raise DivergedProblem(
            f"{lost} of {count} samples are not finite: the walk or the model diverged",
            "take more --steps, another --grid or another --sampler",
        )
    yield PixelAdvance(1.0, DrawnPixels(pixels, part.evaluations / count, time.monotonic() - began))
