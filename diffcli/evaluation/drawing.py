"""Samples to be judged: as 8-bit images, with what they cost."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.ode import TooSmallSteps
from diffcli.data.dataset import to_pixels
from diffcli.errors import DivergedProblem
from diffcli.ranks.launch import Place
from diffcli.ranks.pieces import Do
from diffcli.ranks.sharing import Crew
from diffcli.sampling.draw import LOOSEN
from diffcli.sampling.prepare import Prepared
from diffcli.sampling.sharing import JobElsewhere


class DrawnPixels(NamedTuple):
    """Samples as a PNG would hold them.

    pixels:       uint8 [N, C, H, W]
    evaluations:  of the network, per image
    seconds:      that drawing them took
    """

    pixels: Tensor
    evaluations: float
    seconds: float


class PixelPart(NamedTuple):
    """Some of them, [B, C, H, W]: how many are not finite, and the evaluations of them all."""

    pixels: Tensor
    lost: int
    evaluations: int


class PixelAdvance(NamedTuple):
    """The share of the work that is done, 0 to 1, and the samples when all is."""

    share: float
    samples: DrawnPixels | None = None


@dataclass(frozen=True)
class SharedPixels:
    """The drawing of a job's images, as it is told to another process."""

    job: JobElsewhere
    batch: int

    def begin(self, place: Place) -> Do[PixelPart]:
        return _parts(self.job.prepared(place), self.batch)


def pixels_drawn(prepared: Prepared, batch: int = 0, crew: Crew | None = None) -> Iterator[PixelAdvance]:
    """All samples of a job; the last one yielded has them.

    batch:  images at once, 0 is the usual number
    crew:   processes that draw them together

    Raises DivergedProblem where some are not finite, or where an adaptive walk cannot go on.
    """
    count, pieces = prepared.count, len(prepared.job.batches(prepared.count, batch))
    began, found = time.monotonic(), dict[int, PixelPart]()
    try:
        for part in (crew or Crew()).shared(
            lambda: SharedPixels(JobElsewhere.of(prepared), batch), _parts(prepared, batch), pieces
        ):
            if part.found is not None:
                found[part.piece] = part.found
            yield PixelAdvance(part.done / pieces)
    except TooSmallSteps as error:
        raise DivergedProblem(str(error), LOOSEN) from None
    if lost := sum(part.lost for part in found.values()):
        raise DivergedProblem(
            f"{lost} of {count} samples are not finite: the walk or the model diverged",
            "take more --steps, another --grid or another --sampler",
        )
    pixels = torch.cat([found[piece].pixels for piece in range(pieces)])
    evaluations = sum(part.evaluations for part in found.values()) / count
    yield PixelAdvance(1.0, DrawnPixels(pixels, evaluations, time.monotonic() - began))


def _parts(prepared: Prepared, batch: int) -> Do[PixelPart]:
    """How to draw each of a job's batches by its number."""
    return partial(_part, prepared, prepared.job.batches(prepared.count, batch))


def _part(prepared: Prepared, batches: list[range], number: int) -> Iterator[tuple[float, PixelPart | None]]:
    steps = prepared.job.steps
    for part in prepared.job.draw_batch(batches[number]):
        if part.step < steps - 1:
            yield (part.step + 1) / steps, None
    x = prepared.finished(part.x)
    lost = int((~x.flatten(1).isfinite().all(1)).sum())
    yield 1.0, PixelPart(to_pixels(x.nan_to_num()), lost, part.evaluations)
