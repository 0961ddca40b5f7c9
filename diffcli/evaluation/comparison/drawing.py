"""The samples of a setting as a comparison needs them, drawn once and kept until the model or the setting changes."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from diffcli import plugins
from diffcli.console.show import Show
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import CLASS
from diffcli.evaluation.comparison.settings import Candidate
from diffcli.evaluation.drawing import pixels_drawn
from diffcli.evaluation.features import keeping
from diffcli.evaluation.features.encoders import Encoder
from diffcli.evaluation.features.extraction import extracted
from diffcli.ranks.sharing import Crew
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.prepare import Prepared

VERSION = 2  # 1 was drawn from other noise
LOOKED_AT = 64  # images that are kept themselves


@dataclass(frozen=True)
class KeptSamples:
    """What is known of the samples of a setting.

    features:     [N, D]
    first:        the first images, uint8 [n, C, H, W]
    evaluations:  of the network per image
    seconds:      that drawing took
    """

    features: Tensor
    first: Tensor
    evaluations: float
    seconds: float


def drawings(
    prepared: Prepared, setting: Candidate, options: SamplingOptions, encoder: Encoder, show: Show, crew: Crew
) -> Iterator[tuple[float, KeptSamples | None]]:
    """The samples of a setting, from an earlier comparison if they are the same: the share done, and they when all is.

    Raises DivergedProblem where some are not finite.
    """
    path = keeping.cache_file("compared", setting.sampler, _key(prepared, setting, options, encoder))
    kept = keeping.recalled(path, show)
    if kept and kept[1].get("version") == VERSION:
        tensors, about = kept
        yield 1.0, KeptSamples(tensors["features"], tensors["first"], about["evaluations"], about["seconds"])
        return
    for advance in pixels_drawn(prepared, crew=crew):
        yield advance.share, None
    assert advance.samples is not None
    pixels, evaluations, seconds = advance.samples
    images = Dataset(prepared.model.name, prepared.model.items, pixels, None, "samples")
    *_, step = extracted(encoder, images, crew)
    assert step.features is not None
    found = KeptSamples(step.features, pixels[:LOOKED_AT].clone(), evaluations, seconds)
    about = {"version": VERSION, "evaluations": evaluations, "seconds": seconds}
    keeping.keep(path, {"features": found.features, "first": found.first}, about, show)
    yield 1.0, found


def _key(prepared: Prepared, setting: Candidate, options: SamplingOptions, encoder: Encoder) -> str:
    """A digest of all that the samples depend on: the weights themselves, the walk, the noise, the features."""
    job, model = prepared.job, prepared.model
    walk = [[t, level.alpha.item(), level.sigma.item()] for t, level in zip(prepared.times, job.levels, strict=True)]
    about: dict[str, Any] = {
        **{k: v for k, v in asdict(setting).items() if k != "run"},
        "guidance": prepared.guidance, "walk": walk, "count": prepared.count, "seed": options.seed,
        "classes": job.conditions[CLASS].tolist() if CLASS in job.conditions else None,
        "clip": options.clip, "threshold": options.threshold, "encoder": encoder.digest,
        "schedule": model.schedule_name, "impl": [plugin.digest for plugin in plugins.loaded()],
        "model": model.digest,
    }  # fmt: skip
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:20]
