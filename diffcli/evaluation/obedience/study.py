"""Samples under the hints of images that were not trained on, measured by what they show."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.core.randomness import keyed
from diffcli.data import loading as datasets
from diffcli.data.conditions import CONDITIONS
from diffcli.data.kinds import CLASS, HINT
from diffcli.errors import DataProblem, UsageProblem
from diffcli.evaluation.features.encoders import Encoder, encoder
from diffcli.metrics.obedience import LAYOUT, MEASURES, Measure, layout_accuracy, obedience
from diffcli.runs.loading import Trained
from diffcli.sampling.hints import Hinted
from diffcli.sampling.models import Model, load_model
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.prepare import prepare
from diffcli.system import device as devices

AT_ONCE = 64  # images
DIGITS = "mnist"  # whose judge reads what lies in boxes: those of canvases are its digits


class HintedImages(NamedTuple):
    """Images that were not trained on [N, C, H, W], their hints [N, k, H, W], and classes [N] if they have some."""

    images: Tensor
    hints: Tensor
    labels: Tensor | None


class Drawn(NamedTuple):
    """Samples [N, C, H, W] under the hints of images, and the classes asked for."""

    images: Tensor
    asked: Tensor | None


@dataclass(frozen=True)
class ObedienceFound:
    """What was measured, all of the same images' hints.

    given:          whose hints they are
    measure:        None where nothing can take the condition from an image again
    told:           drawn under the hints, and with their classes
    without:        the same without hints
    contradicting:  under the hints, with other classes; None without classes
    scores:         of each image [N]: told, without, contradicting, real; `exact` without tolerance, where there is one
    reads:          what a judge reads in each [N]; none where it was not asked
    """

    model: Model
    condition: str
    given: HintedImages
    measure: Measure | None
    told: Drawn
    without: Drawn
    contradicting: Drawn | None
    scores: dict[str, Tensor]
    exact: dict[str, Tensor]
    reads: dict[str, Tensor]
    guidance: float
    steps: int


def given_to(trained: Trained, shape: tuple[int, ...], count: int, data: Path | None) -> HintedImages:
    """Images of the test split, or of those held out, with what the model is told of them.

    shape:  of the images that it makes

    Raises DataProblem where the data have changed their shape or have too few images.
    """
    keys, wanted = trained.recipe.control, trained.recipe.data
    tested = datasets.has_test_split(wanted.name, data)
    found = datasets.load_dataset(wanted.name, "test" if tested else "train", data=data, reading=trained.stored.reading)
    if found.shape != shape:
        raise DataProblem(f"{wanted.name} holds items of {found.shape}, and the model makes {shape}")
    places = torch.arange(len(found)) if tested else found.holdout(by_class=trained.stored.by_class)[1]
    if count > len(places):
        raise DataProblem(f"{wanted.name} has {len(places)} images that were not trained on", f"--count {len(places)}")
    order = torch.randperm(len(places), generator=keyed(0, "obedience"))[:count]
    images, known = found.take(places[order])
    extract = CONDITIONS[keys.condition].extract if keys.condition in CONDITIONS else None
    hints = known[HINT] if HINT in known else extract(images) if extract else None
    if hints is None:
        raise DataProblem(f"{wanted.name} has no hints", "train the control on data that have")
    return HintedImages(images, hints, known.get(CLASS))


def studied(target: str | None, wanted: SamplingOptions, show: Show, *, judged: bool = True) -> ObedienceFound:
    """Draws and measures.

    judged:  whether the judge of the data reads classes

    Raises UsageProblem for a model that takes no hints.
    """
    model = load_model(target, weights=wanted.weights, device=devices.pick(wanted.device), data=wanted.data)
    trained = model.trained
    if trained is None or not model.controls:
        raise UsageProblem(f"{model.name} takes no hints", "diffcli control train makes what does")
    condition = model.controls[0].condition
    count = wanted.count or 1
    given = given_to(trained, model.items.shape, count, wanted.data)
    labels = given.labels if model.items.classes else None
    measure = LAYOUT if condition == "layout" else MEASURES.get(condition)
    reader = _judge(trained, model, wanted, show) if judged and labels is not None else None
    others = None if labels is None or len(model.items.classes) < 2 else _others(labels, len(model.items.classes))
    jobs = {"told": (given.hints, labels), "without": (None, labels)}
    jobs |= {} if others is None else {"contradicting": (given.hints, others)}
    drawn = dict[str, Drawn]()
    with show.progress("sampling", len(jobs) * count, "images") as bar:
        for name, (hints, asked) in jobs.items():
            hinted = Hinted() if hints is None else Hinted(((HINT, hints),))
            by = None if hints is None else wanted.guide_by
            prepared = prepare(
                target, replace(wanted, label=None if asked is None else "all", guide_by=by), model, hinted
            )
            told = {**prepared.job.conditions, **({} if asked is None else {CLASS: asked})}
            job, parts = replace(prepared.job, conditions=told), list[Tensor]()
            for part in job.draw(count, AT_ONCE):
                if part.step == job.steps - 1:
                    parts.append(prepared.finished(part.x))
                bar.update(len(drawn) * count + part.done // job.steps)
            drawn[name] = Drawn(torch.cat(parts).clamp(-1, 1), asked)
    images = {name: one.images for name, one in drawn.items()} | {"real": given.images}
    score = _score_of(condition, measure, wanted, show)
    return ObedienceFound(
        model, condition, given, measure, drawn["told"], drawn["without"], drawn.get("contradicting"),
        {name: score(x, given.hints) for name, x in images.items()} if score else {},
        {name: obedience(condition, x, given.hints, exact=True) for name, x in images.items()}
        if measure and measure.exact else {},
        {name: _read(reader, x) for name, x in images.items()} if reader else {},
        prepared.guidance, prepared.job.steps,
    )  # fmt: skip


def _others(labels: Tensor, classes: int) -> Tensor:
    """Another class than each of these [N], all others in turn."""
    return (labels + 1 + torch.arange(len(labels)) % (classes - 1)) % classes


def _score_of(
    condition: str, measure: Measure | None, wanted: SamplingOptions, show: Show
) -> Callable[[Tensor, Tensor], Tensor] | None:
    """(images, hints) -> [N]; None where nothing measures it."""
    if measure is None:
        return None
    if measure is LAYOUT:
        digits = encoder("judge", DIGITS, wanted.data, devices.pick(wanted.device), show)
        return lambda images, hints: layout_accuracy(images, hints, lambda x: _read(digits, x))
    return lambda images, hints: obedience(condition, images, hints)


def _judge(trained: Trained, model: Model, wanted: SamplingOptions, show: Show) -> Encoder | None:
    """The judge of the data, where it tells the classes that the model knows."""
    where = devices.pick(wanted.device)
    found = encoder("judge", trained.recipe.data.name, wanted.data, where, show, reading=trained.stored.reading)
    return found if found.probabilities and tuple(found.classes) == model.items.classes else None


def _read(judge: Encoder, images: Tensor) -> Tensor:
    """The class that a judge reads in each image, [N]."""
    assert judge.probabilities is not None
    parts = [judge.probabilities(judge.encode(part)) for part in images.split(judge.batch)]
    return torch.cat(parts).argmax(1)
