"""Drawing what was prepared: the samples, the frames on the way, and whether they are numbers at all."""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcli.core.levels import Level
from diffcli.core.ode import TooSmallSteps
from diffcli.errors import DivergedProblem
from diffcli.ranks.sharing import Crew
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.prepare import Prepared
from diffcli.sampling.sharing import DrawnPart, JobElsewhere, SharedDrawing, parts_of

LOOSEN = "raise rtol and atol, or take another --sampler"
"""What helps where an adaptive walk cannot go on."""


class Samples(NamedTuple):
    """What was drawn.

    x:            [count, ...] on the CPU, images where the walks are over latents
    frames:       all items after each of the steps that are shown, and the levels there
    evaluations:  of the network, mean over the items; whole unless the walk is adaptive
    walked:       the latents [count, c, h, w], where the walks are over such
    """

    x: Tensor
    frames: list[Tensor]
    levels: list[Level]
    evaluations: float
    walked: Tensor | None = None


class Advance(NamedTuple):
    """Steps of single items that are done, and the samples when all are."""

    done: int
    samples: Samples | None = None


def drawn(prepared: Prepared, batch: int, shown: Collection[int] = (), crew: Crew | None = None) -> Iterator[Advance]:
    """All items of the job; the last one yielded has the samples.

    shown:  numbers of the steps after which the items are kept
    crew:   processes that draw them together

    Raises DivergedProblem where some are not finite, or where an adaptive walk cannot go on.
    """
    job, count, shown = prepared.job, prepared.count, tuple(sorted(shown))
    pieces, found = len(job.batches(count, batch)), dict[int, DrawnPart]()
    try:
        for part in (crew or Crew()).shared(
            lambda: SharedDrawing(JobElsewhere.of(prepared), batch, shown), parts_of(prepared, batch, shown), pieces
        ):
            if part.found is not None:
                found[part.piece] = part.found
            yield Advance(int(job.steps * count * part.done / pieces))
    except TooSmallSteps as error:
        raise DivergedProblem(str(error), LOOSEN) from None
    parts = [found[piece] for piece in range(pieces)]
    x, evaluations = torch.cat([part.x for part in parts]), sum(part.evaluations for part in parts)
    if lost := int((~x.flatten(1).isfinite().all(1)).sum()):
        raise DivergedProblem(
            f"{lost} of {count} {prepared.model.items.kind.name} are not finite: the walk or the model diverged",
            "take more --steps, another --grid or another --sampler",
        )
    frames = [torch.cat(frame) for frame in zip(*(part.frames for part in parts), strict=True)]
    levels = [job.levels[i + 1] for i in shown]
    each = evaluations / count if evaluations % count else evaluations // count
    walked = (
        None if prepared.model.codec is None else torch.cat([w for part in parts if (w := part.walked) is not None])
    )
    yield Advance(job.steps * count, Samples(x, frames, levels, each, walked))


def settings(prepared: Prepared, wanted: SamplingOptions, how: dict[str, Any]) -> dict[str, Any]:
    """What made the samples, to be written into their picture. how: what else was asked for."""
    parameters = wanted.sampler.startswith(f"{prepared.sampler},")  # behind the name
    sampler = wanted.sampler if parameters else prepared.sampler
    found = {
        "checkpoint": prepared.model.name, "sampler": sampler, "grid": prepared.grid,
        "schedule": prepared.model.schedule_name, "start": wanted.start, **wanted.options, "class": wanted.label,
        "guidance": prepared.guidance, "guide": None if wanted.guide == SamplingOptions.guide else wanted.guide,
        "guidance_interval": wanted.guidance_interval, "guidance_rescale": wanted.guidance_rescale,
        "clip": wanted.clip, "threshold": wanted.threshold,
        "weights": wanted.weights, "seed": wanted.seed, "count": prepared.count,
        "lora": ", ".join(wanted.lora) or None, "control": ", ".join(wanted.control) or None,
        "hint": ", ".join(map(str, wanted.hint)) or None, "hint_from": ", ".join(map(str, wanted.hint_from)) or None,
        "guide_by": wanted.guide_by, **how,
    }  # fmt: skip
    return {f"diffcli {k.replace('_', '-')}": v for k, v in found.items() if v is not None}
