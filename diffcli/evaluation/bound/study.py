"""A study of a model's bound: from what is asked for to the terms, and to the best walks among the levels."""

import functools
import time
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.errors import UsageProblem, one_of
from diffcli.evaluation import subject as subjects
from diffcli.evaluation.bound import best_walk, terms
from diffcli.evaluation.bound.best_walk import ShortWalk
from diffcli.evaluation.bound.task import Task
from diffcli.evaluation.bound.terms import MeasuredLevels, ModelErrors, Parts, Tally, Wanted
from diffcli.evaluation.subject import Subject
from diffcli.ranks.launch import Place
from diffcli.ranks.pieces import Do
from diffcli.ranks.sharing import Crew, own_device
from diffcli.sampling.models import Model, load_model
from diffcli.sampling.prepare import walk_times
from diffcli.sampling.sharing import ModelElsewhere, elsewhere
from diffcli.system import device as devices
from diffcli.system.text import duration

STEPS = 1000  # unless told, or the schedule has fewer
IMAGES, POINTS = 100, 2000  # evaluated unless told
KNOWN = 1000  # items of the training data that a histogram is of
MEASURED = 100  # images among them that the optimal variance is measured on
LEVELS_OF_EACH = 100  # at which each of them is evaluated
SLOW = 600.0  # seconds from which on a faster way is suggested


@dataclass(frozen=True)
class BoundOptions:
    """What is asked for; None is what suits the model.

    variance:    of the reverse steps: small, large, learned or optimal
    decoder:     gaussian or bayes
    every:       an item pays every so-many-th step only
    best_steps:  also find the best walk of so many steps
    """

    count: int | None = None
    steps: int | None = None
    grid: str = "trailing"
    schedule: str | None = None
    variance: str | None = None
    decoder: str = "gaussian"
    samples: int = 1
    every: int = 1
    best_steps: int | None = None
    conditional: bool = False
    weights: str = "ema"
    precision: str = "auto"
    batch: int = 250
    seed: int = 0
    data: Path | None = None
    device: str = "auto"


@dataclass(frozen=True)
class BoundStudy:
    """A task with all that its report names.

    wanted: what it was prepared by
    times:  of its levels, [T]
    kind:   of the reverse variance that is the result
    """

    wanted: BoundOptions
    subject: Subject
    task: Task
    times: Tensor
    kind: str

    @property
    def grid(self) -> str:
        """Of the walk, or the name of its file."""
        return Path(self.wanted.grid).name

    @property
    def best_steps(self) -> int | None:
        """Of the best walk, if one is to be found."""
        return self.wanted.best_steps

    @cached_property
    def known(self) -> Task:
        """The same on items of the training data, at some of the levels each: for the model's own errors."""
        most = MEASURED if self.task.discrete else KNOWN
        subject = self.subject
        conditions = {name: values[:most] for name, values in subject.known_conditions.items()}
        known = subject.known[:most]
        few = min(max(1, len(self.times) // LEVELS_OF_EACH), len(known))
        return replace(self.task, x0=known, conditions=conditions, samples=1, every=few, stream="known")


class BoundFound(NamedTuple):
    """What a study found.

    parts:  the terms for every kind of variance
    tally:  the sums behind them, and `own` the errors that the optimal variance goes by
    walks:  if asked for
    """

    parts: dict[str, Parts]
    tally: Tally
    walks: dict[str, ShortWalk]
    own: ModelErrors


def prepared(target: str | None, wanted: BoundOptions, model: Model | None = None) -> BoundStudy:
    """The study that is asked for, everything about it checked.

    model:  that of the target, where it is loaded already
    """
    where = devices.pick(wanted.device)
    if model is None:
        model = load_model(target, device=where, weights=wanted.weights, schedule=wanted.schedule, data=wanted.data)
    times = walk_times(model, wanted.steps, STEPS, wanted.grid)
    _check(times, wanted.best_steps)
    usual = POINTS if model.items.kind.dimensions == 1 else IMAGES
    subject = subjects.subject(
        model, wanted.count or usual, KNOWN, conditional=wanted.conditional, seed=wanted.seed, data=wanted.data
    )
    kind = _kind(wanted.variance, subject)
    if one_of(wanted.decoder, ("gaussian", "bayes"), "decoder") == "bayes" and not subject.discrete:
        raise UsageProblem("--decoder bayes is for 8-bit values; these are real numbers", "leave it out")
    if wanted.every > len(subject.x0) * wanted.samples:
        raise UsageProblem(
            f"--every {wanted.every} leaves steps that none of {len(subject.x0)} items is evaluated at",
            "use more --count",
        )
    subjects.compute_in(model, wanted.precision)
    task = Task(
        subject.denoise, subject.x0, subject.conditions, [model.schedule(t) for t in times], subject.discrete,
        learned=subject.learned, histogram=subject.histogram if wanted.decoder == "bayes" else None,
        batched=model.exact is None, samples=wanted.samples, every=wanted.every, seed=wanted.seed,
        device=torch.device("cpu") if model.exact else where, batch=wanted.batch,
    )  # fmt: skip
    return BoundStudy(wanted, subject, task, times, kind)


def run(study: BoundStudy, show: Show, crew: Crew | None = None) -> BoundFound:
    """Measure the model's own errors, and evaluate the terms. crew: processes that share the work"""
    task, kind, first, crew = study.task, study.kind, study.known, crew or Crew()
    stops = best_walk.stops(task, kind) if study.best_steps else []
    ends = tuple(best_walk.ends(task, stops))
    decoded = ends if kind == "optimal" else ()
    measuring = partial(crew.shared, lambda: SharedMeasuring(_elsewhere(study), study.wanted, decoded))
    with show.progress("the model's own error", first.total, "evaluations") as bar:
        for done, found in terms.measured(first, decoded, measuring):
            bar.update(done)
            own = found
    assert own is not None
    errors, wanted = own, Wanted(ends, kind, tuple(stops) if kind == "learned" else ())
    tallying = partial(crew.shared, lambda: SharedTallying(_elsewhere(study), study.wanted, errors, wanted))
    with show.progress("the bound", task.total, "evaluations") as bar:
        for done, so_far in terms.evaluate(task, own, wanted, tallying):
            bar.update(done)
            tally = so_far
    parts = {k: terms.parts(task, tally, k, own) for k in task.kinds}
    walks = best_walk.walks(task, tally, own, kind, study.best_steps) if study.best_steps else {}
    return BoundFound(parts, tally, walks, own)


def _elsewhere(study: BoundStudy) -> ModelElsewhere:
    return elsewhere(study.subject.model, study.wanted)


@dataclass(frozen=True)
class SharedMeasuring:
    """The model's own errors, as another process is told to measure them."""

    model: ModelElsewhere
    wanted: BoundOptions
    decoded: tuple[int, ...]

    def begin(self, place: Place) -> Do[MeasuredLevels]:
        return terms.measured_levels(_there(self.model, self.wanted, place).known, self.decoded)


@dataclass(frozen=True)
class SharedTallying:
    """The terms, as another process is told to evaluate them."""

    model: ModelElsewhere
    wanted: BoundOptions
    own: ModelErrors
    terms: Wanted

    def begin(self, place: Place) -> Do[Tally]:
        return terms.tallied_levels(_there(self.model, self.wanted, place).task, self.own, self.terms)


@functools.lru_cache(maxsize=1)
def _there(model: ModelElsewhere, wanted: BoundOptions, place: Place) -> BoundStudy:
    """The study in the process at this place."""
    wanted = replace(wanted, device=own_device(wanted.device, place))
    return prepared(model.name, wanted, model.loaded(place))


def estimates(study: BoundStudy) -> list[str]:
    """How long it will take, from the faster of two batches, and a faster way where that is long."""
    task = study.task
    marks, rows = [time.monotonic()], [0]
    for row in islice(task.rows(), 2):
        marks.append(time.monotonic())
        rows.append(len(row.item))
    speed = max(count / (b - a) for count, a, b in zip(rows[1:], marks, marks[1:], strict=False))
    seconds = (task.total + study.known.total) / speed
    lines = [f"time: about {duration(seconds)}, {speed:.0f} evaluations/s"]
    if seconds > SLOW:
        fold = int(seconds / 240) + 1
        lines.append(f"--every {fold * task.every} takes about {duration(seconds / fold)}, at a slightly larger error")
    return lines


def _check(times: Tensor, best_steps: int | None) -> None:
    """Refuse walks that the bound cannot be taken on."""
    if len(times) < 2:
        raise UsageProblem("the bound needs a walk of at least 2 steps", f"use --steps {STEPS}")
    if best_steps is not None and best_steps >= len(times):
        raise UsageProblem(
            f"--best-steps must be fewer than the {len(times)} steps that it chooses from", "use more --steps"
        )


def _kind(variance: str | None, subject: Subject) -> str:
    """The variance asked for; refuses one that the model has not learned."""
    if variance is None:
        return "learned" if subject.learned else "optimal"
    one_of(variance, ("small", "large", "learned", "optimal"), "variance")
    if variance == "learned" and not subject.learned:
        raise UsageProblem(
            f"{subject.model.name} has learned no variance",
            "use --variance optimal, or train one: diffcli train --recipe mnist-likelihood",
        )
    return variance
