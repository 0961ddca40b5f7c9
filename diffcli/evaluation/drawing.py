"""Samples to be judged: as 8-bit images, with what they cost."""

import time
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.console.show import Bar
from diffcli.data.dataset import to_pixels
from diffcli.errors import DivergedProblem
from diffcli.sampling.prepare import Prepared
from diffcli.system.text import duration


class DrawnPixels(NamedTuple):
    """Samples as a PNG would hold them.

    pixels:       uint8 [N, C, H, W]
    evaluations:  of the network, per image
    seconds:      that drawing them took
    """

    pixels: Tensor
    evaluations: float
    seconds: float


def drawn_pixels(prepared: Prepared, batch: int, bar: Bar) -> DrawnPixels:
    """All samples of a job; the bar counts them, and is told how long it will take.

    Raises DivergedProblem where some are not finite.
    """
    job, count = prepared.job, prepared.count
    pixels = torch.empty(count, *job.shape, dtype=torch.uint8)
    began, lost, told = time.monotonic(), 0, False
    for part in job.draw(count, batch):
        bar.update(part.done // job.steps)
        if not told and part.done >= min(3, job.steps) * len(part.x):
            told = True
            left = (time.monotonic() - began) / part.done * (job.steps * count - part.done)
            bar.note(f"time: about {duration(left)} to draw {count} {prepared.model.items.kind.name}")
        if part.step == job.steps - 1:
            lost += int((~part.x.flatten(1).isfinite().all(1)).sum())
            pixels[part.first : part.first + len(part.x)] = to_pixels(part.x.nan_to_num().cpu())
    if lost:
        raise DivergedProblem(
            f"{lost} of {count} samples are not finite: the walk or the model diverged",
            "take more --steps, another --grid or another --sampler",
        )
    return DrawnPixels(pixels, job.cost()[0], time.monotonic() - began)
