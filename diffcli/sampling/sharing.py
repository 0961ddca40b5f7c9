"""Samples that several processes draw together: what each of them needs to prepare the same job."""

import functools
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from diffcli import plugins
from diffcli.errors import CheckpointProblem
from diffcli.ranks.launch import Place
from diffcli.ranks.pieces import Do
from diffcli.ranks.sharing import own_device
from diffcli.sampling.from_images import varied
from diffcli.sampling.models import Model, load_model
from diffcli.sampling.options import SamplingOptions, Variation
from diffcli.sampling.prepare import Prepared, prepare
from diffcli.system import device as devices

SOME = 2  # models that a process keeps


@dataclass(frozen=True)
class ModelElsewhere:
    """A model by names, as it is told to another process.

    name:    of the exact model, or of the checkpoint: never of a run, which may have another one by then
    digest:  that it must have
    """

    name: str
    digest: str
    weights: str
    schedule: str | None
    data: Path | None
    device: str
    impl: tuple[Path, ...]
    lora: tuple[str, ...] = ()
    control: tuple[str, ...] = ()

    def loaded(self, place: Place) -> Model:
        """The model in the process at this place; raises CheckpointProblem if it is another one there."""
        _installed()
        plugins.load(self.impl)
        where = devices.pick(own_device(self.device, place))
        found = _load(self.name, self.weights, self.schedule, self.data, where, self.lora, self.control)
        if found.digest != self.digest:
            raise CheckpointProblem(f"{self.name} is not the same file in every process")
        return found


class Loading(Protocol):
    """How a model was loaded: a part of the options of many commands."""

    @property
    def weights(self) -> str: ...
    @property
    def schedule(self) -> str | None: ...
    @property
    def data(self) -> Path | None: ...
    @property
    def device(self) -> str: ...


def elsewhere(model: Model, wanted: Loading) -> ModelElsewhere:
    """A model that was loaded here by these options, as it is told to others."""
    impl = tuple(plugin.path for plugin in plugins.loaded())
    lora = tuple(f"{one.name}:{one.scale!r}" for one in model.added)
    control = tuple(f"{one.place}:{one.strength!r}" for one in model.controls if not one.own)
    return ModelElsewhere(
        model.name, model.digest, wanted.weights, wanted.schedule, wanted.data, wanted.device, impl, lora, control
    )


@dataclass(frozen=True)
class JobElsewhere:
    """A job by names, as it is told to another process."""

    model: ModelElsewhere
    wanted: SamplingOptions
    variation: Variation

    @classmethod
    def of(cls, prepared: Prepared) -> "JobElsewhere":
        return cls(elsewhere(prepared.model, prepared.wanted), prepared.wanted, prepared.variation)

    def prepared(self, place: Place) -> Prepared:
        """The job in the process at this place."""
        model = self.model.loaded(place)
        wanted = replace(self.wanted, device=own_device(self.wanted.device, place))
        return varied(prepare(self.model.name, wanted, model), self.variation)


class DrawnPart(NamedTuple):
    """Some items of a job, drawn together.

    x:            [B, ...] on the CPU, as images where the walks are over latents
    frames:       the same after each of the steps that are shown
    evaluations:  of the network, of single items
    walked:       the latents, where x is not what the walks are over
    """

    x: Tensor
    frames: list[Tensor]
    evaluations: int
    walked: Tensor | None = None


@dataclass(frozen=True)
class SharedDrawing:
    """The drawing of a job in batches."""

    job: JobElsewhere
    batch: int
    shown: tuple[int, ...]

    def begin(self, place: Place) -> Do[DrawnPart]:
        return parts_of(self.job.prepared(place), self.batch, self.shown)


def parts_of(prepared: Prepared, batch: int, shown: Collection[int]) -> Do[DrawnPart]:
    """How to draw each of a job's batches by its number. shown: numbers of the steps after which items are kept."""
    return partial(_drawn_part, prepared, prepared.job.batches(prepared.count, batch), shown)


def _drawn_part(
    prepared: Prepared, batches: list[range], shown: Collection[int], number: int
) -> Iterator[tuple[float, DrawnPart | None]]:
    steps, frames = prepared.job.steps, list[Tensor]()
    for part in prepared.job.draw_batch(batches[number]):
        if part.step in shown:
            frames.append(prepared.finished(part.x))
        if part.step < steps - 1:
            yield (part.step + 1) / steps, None
    walked = part.x.cpu() if prepared.model.codec else None
    yield 1.0, DrawnPart(prepared.finished(part.x), frames, part.evaluations, walked)


@functools.lru_cache(maxsize=SOME)
def _load(
    name: str, weights: str, schedule: str | None, data: Path | None, device: torch.device, lora: tuple[str, ...],
    control: tuple[str, ...],
) -> Model:  # fmt: skip
    return load_model(name, weights=weights, schedule=schedule, data=data, device=device, lora=lora, control=control)


@functools.cache
def _installed() -> None:
    """Load the plug-ins of installed packages, once."""
    plugins.load_installed()
