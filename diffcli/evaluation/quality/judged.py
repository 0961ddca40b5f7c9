"""What is judged: the samples of a model, the images of a folder or of an array, or real ones."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.core.randomness import keyed
from diffcli.data import loading as datasets
from diffcli.data.arrays import SUFFIXES as ARRAYS
from diffcli.data.arrays import load_array
from diffcli.data.dataset import Dataset
from diffcli.data.folders import image_sources, load_folder
from diffcli.data.images import header
from diffcli.data.kinds import CLASS, IMAGES
from diffcli.data.reading import Reading
from diffcli.errors import DataProblem, UsageProblem
from diffcli.evaluation.drawing import pixels_drawn
from diffcli.evaluation.quality.reference import Reference, parsed
from diffcli.ranks.sharing import Crew
from diffcli.runs.listing import ROOT
from diffcli.sampling.exact_models import PREFIX
from diffcli.sampling.models import Model, load_model
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.prepare import Prepared, prepare
from diffcli.system import device as devices
from diffcli.system.files import expanded, is_dir
from diffcli.system.text import duration

COUNT = 1000  # samples of a model, unless told
WALK = ("sampler", "grid", "steps", "evaluations", "guidance", "class", "weights", "seed")


@dataclass(frozen=True)
class Judged:
    """Images of 8 bits, as a PNG would hold them.

    asked:  the class that each was asked for [N], by its number in the reference; None where none was
    made:   how a model made them: the keys `WALK`, all None of images that are given
    run:    the run whose model made them as it is; None of a checkpoint file that stands for itself
    """

    name: str
    images: Dataset
    asked: Tensor | None
    made: dict[str, Any]
    run: Path | None = None

    def some(self, count: int) -> "Judged":
        """So many of the images, a random choice that is always the same; of no more all, as they are."""
        if count >= len(self.images):
            return self
        places = torch.randperm(len(self.images), generator=keyed(0, "some"))[:count]
        asked = None if self.asked is None else self.asked[places]
        return replace(self, images=self.images.only(places), asked=asked)


def is_given(target: str | None) -> bool:
    """Whether the target names images that are there: a folder, an array, a split of a data set; else it is a model."""
    if target is None or target.startswith(PREFIX):
        return False
    path = expanded(target)
    if path.suffix in ARRAYS:
        return True
    if path.suffix == ".safetensors" or any((place / "run.json").exists() for place in (path, ROOT / target)):
        return False
    return is_dir(path) or target in datasets.names() or parsed(target)[0] != target


def given(target: str, reference: Reference, data: Path | None) -> Judged:
    """Images that are there; raises DataProblem unless they are of the reference's size and channels."""
    path = expanded(target)
    if path.suffix in ARRAYS:
        images = load_array(path)
    else:
        name, split = parsed(target)
        named = name in datasets.names() or not is_dir(path)
        images = datasets.load_dataset(name, split, data=data) if named else _of_folder(name, reference)
    check_shape(target, images.shape, reference)
    return Judged(target, images, _by_name(images, reference), dict.fromkeys(WALK))


def prepared_to_judge(
    target: str | None, wanted: SamplingOptions, reference: Reference, model: Model | None = None
) -> Prepared:
    """The job of a model whose samples are to be judged: with all classes in turn where it has any, unless told.

    Where the reference knows some of them only, with those.

    model:  that of the target, where it is loaded already
    """
    if model is None:
        model = model_to_judge(target, wanted, reference)
    if wanted.label is None and not wanted.classes and model.items.classes:
        known = tuple(name for name in model.items.classes if name in reference.real.classes)
        some = 0 < len(known) < len(model.items.classes)
        wanted = replace(wanted, classes=known) if some else replace(wanted, label="all")
    return prepare(target, wanted, model)


def model_to_judge(target: str | None, wanted: SamplingOptions, reference: Reference) -> Model:
    """The model of a target; raises UsageProblem and DataProblem where its samples are unlike the reference."""
    model = load_model(
        target, weights=wanted.weights, device=devices.pick(wanted.device), schedule=wanted.schedule, data=wanted.data,
        lora=wanted.lora,
    )  # fmt: skip
    if model.items.kind is not IMAGES:
        raise UsageProblem(
            f"{model.name} has {model.items.kind.name}, and this judges images", "name a model of images"
        )
    check_shape(model.name, model.items.shape, reference)
    return model


def drawn(
    prepared: Prepared, wanted: SamplingOptions, reference: Reference, batch: int, show: Show, crew: Crew
) -> Judged:
    """The samples of a job, behind a bar."""
    model = prepared.model
    began, told = time.monotonic(), False
    with show.progress("sampling", prepared.count, model.items.kind.name) as bar:
        for advance in pixels_drawn(prepared, batch, crew):
            share = advance.share
            bar.update(int(share * prepared.count))
            if not told and share * prepared.count * prepared.job.steps >= 3 * prepared.job.batch:
                told, left = True, (time.monotonic() - began) * (1 / share - 1)
                bar.note(f"time: about {duration(left)} to draw {prepared.count} images")
    assert advance.samples is not None
    pixels, evaluations, _ = advance.samples
    items = replace(model.items, classes=())
    images = Dataset(model.name, items, pixels, prepared.job.conditions.get(CLASS), "samples")
    made = {
        "sampler": wanted.sampler, "grid": prepared.grid, "steps": prepared.job.steps, "evaluations": evaluations,
        "guidance": prepared.guidance if prepared.job.conditions else None,
        "class": _classes_drawn(prepared, reference) if prepared.job.conditions else None,
        "weights": wanted.weights if model.trained else None, "seed": wanted.seed,
        **({"lora": list(wanted.lora)} if wanted.lora else {}),
    }  # fmt: skip
    asked = asked_classes(prepared, reference)
    run = model.trained.run if model.trained and not model.added else None
    return Judged(model.name, images, asked, made, run)


def _classes_drawn(prepared: Prepared, reference: Reference) -> str:
    """The class that samples were asked for, or some, or "all" that the reference has."""
    wanted = prepared.wanted
    if wanted.classes and not set(reference.real.classes) <= set(wanted.classes):
        return ", ".join(wanted.classes)
    return "all" if wanted.classes else wanted.label or "all"


def asked_classes(prepared: Prepared, reference: Reference) -> Tensor | None:
    """The class that each sample is asked for [N], by its number in the reference; None where there is none."""
    labels = prepared.job.conditions.get(CLASS)
    return None if labels is None else _translated(labels, prepared.model.items.classes, reference.real.classes)


def _of_folder(name: str, reference: Reference) -> Dataset:
    """The images of a folder as they are; cropped only if those of the reference were."""
    folder = expanded(name)
    _, height, width = reference.real.shape
    if not any("cropped" in note for note in reference.real.notes):
        sizes = {header(source.path)[1] for source in image_sources(folder) if not source.member}
        other = next((pair for pair in sorted(sizes) if pair != (width, height)), None)
        if other is not None:
            raise DataProblem(
                f"{name} has images of {other[0]}x{other[1]}, {reference.name} of {width}x{height}", "resize them alike"
            )
    spans = reference.real.items.spans
    return load_folder(folder, Reading(height if height == width else 0, range=str(spans or "")))


def _by_name(images: Dataset, reference: Reference) -> Tensor | None:
    return None if images.labels is None else _translated(images.labels, images.classes, reference.real.classes)


def _translated(labels: Tensor, classes: tuple[str, ...], wanted: tuple[str, ...]) -> Tensor | None:
    """The classes by their numbers in the reference: by their names, or where those are numbers by these.

    None where the reference does not know one of them that is there.
    """
    if classes and {classes[number] for number in labels.unique().tolist()} <= set(wanted):
        return torch.tensor([wanted.index(name) if name in wanted else -1 for name in classes])[labels]
    numbers = [int(name) if name.isdecimal() else len(wanted) for name in classes]
    return torch.tensor(numbers)[labels] if numbers and max(numbers) < len(wanted) else None


def check_shape(name: str, shape: tuple[int, ...], reference: Reference) -> None:
    """Raise DataProblem unless images are of the reference's size and channels."""
    wanted = reference.real.shape
    if shape[1:] != wanted[1:]:
        sizes = ["x".join(map(str, s[:0:-1])) for s in (shape, wanted)]
        raise DataProblem(f"{name} has images of {sizes[0]}, {reference.name} of {sizes[1]}", "resize them alike")
    if shape[0] != wanted[0]:
        raise DataProblem(
            f"{name} has images of {shape[0]} channel{'s' * (shape[0] > 1)}, {reference.name} of {wanted[0]}",
            "convert them, grey to colour or colour to grey",
        )
