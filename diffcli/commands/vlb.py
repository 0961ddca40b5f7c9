"""diffcli vlb: parse, evaluate the model at every level, say what the steps cost."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem, one_of

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.console.results import Lesson
    from diffcli.console.show import Show
    from diffcli.evaluation.bound.task import Task
    from diffcli.evaluation.subject import Subject

STEPS = 1000  # unless told, or the schedule has fewer
IMAGES, POINTS = 100, 2000  # evaluated unless told
KNOWN = 1000  # items of the training data that a histogram is of
MEASURED = 100  # images among them that the optimal variance is measured on
LEVELS_OF_EACH = 100  # at which each of them is evaluated
SLOW = 600.0  # seconds from which on a faster way is suggested


def vlb(
    target: options.Target = None,
    count: Annotated[
        Optional[int],
        typer.Option("--count", help="Test images, or draws of a law.  [100 images, 2000 points]", min=1, max=10_000),
    ] = None,
    steps: Annotated[Optional[int], typer.Option(help="T, of the walk.  [1000, or the schedule's]", min=1)] = None,
    grid: Annotated[
        Optional[str],
        typer.Option(help="trailing, leading, linspace, quadratic, karras, log-snr, or FILE.json.  [trailing]"),
    ] = None,
    schedule: options.Schedule = None,
    variance: Annotated[
        Optional[str],
        typer.Option(help="Reverse variance: small, large, learned or optimal.  [learned if it is, else optimal]"),
    ] = None,
    decoder: Annotated[
        str,
        typer.Option(help="p(x0 | x_1): gaussian, of the reverse variance, or bayes, by the histogram of the data."),
    ] = "gaussian",
    samples: Annotated[int, typer.Option(help="Noises per image, the same at all steps.", min=1, max=1000)] = 1,
    every: Annotated[
        int, typer.Option(help="Each image pays every so-many-th step only, in turn; N times faster.", min=1)
    ] = 1,
    best_steps: Annotated[
        Optional[int], typer.Option(metavar="K", help="Also find the best walk of K of these steps.", min=1)
    ] = None,
    conditional: Annotated[bool, typer.Option("--conditional", help="Tell the model the class of each image.")] = False,
    weights: Annotated[str, typer.Option(help="ema (the average) or raw.")] = "ema",
    precision: Annotated[str, typer.Option(help="fp32, bf16, or auto: by its recipe.")] = "auto",
    batch: Annotated[int, typer.Option(help="Evaluations at once.", min=1, max=100_000)] = 250,
    seed: options.Seed = 0,
    data: options.Data = None,
    device: options.Device = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """The variational bound: what every step costs, in nats and in bits per dimension."""
    import torch

    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.evaluation import subject as subjects
    from diffcli.evaluation.bound.task import Task
    from diffcli.sampling import models
    from diffcli.sampling import prepare as sampling
    from diffcli.system import device as devices

    show = Show(as_json=as_json, quiet=quiet)
    where = devices.pick(device)
    model = models.load_model(target, device=where, weights=weights, schedule=schedule, data=data)
    grid = grid or "trailing"
    times = sampling.walk_times(model, steps, STEPS, grid)
    _check(times, best_steps)
    points = len(model.shape) == 1
    subject = subjects.subject(
        model, count or (POINTS if points else IMAGES), KNOWN, conditional=conditional, seed=seed, data=data,
    )  # fmt: skip
    kind = _kind(variance, subject)
    if one_of(decoder, ("gaussian", "bayes"), "decoder") == "bayes" and not subject.discrete:
        raise UsageProblem("--decoder bayes is for 8-bit values; these are real numbers", "leave it out")
    if every > len(subject.x0) * samples:
        raise UsageProblem(
            f"--every {every} leaves steps that none of {len(subject.x0)} items is evaluated at", "use more --count"
        )
    subjects.compute_in(model, precision)
    for note in model.notes:
        show.note(f"note: {note}")
    task = Task(
        subject.denoise, subject.x0, subject.labels, [model.schedule(t) for t in times], subject.discrete,
        learned=subject.learned, histogram=subject.histogram if decoder == "bayes" else None,
        batched=model.exact is None, samples=samples, every=every, seed=seed,
        device=torch.device("cpu") if model.exact else where, batch=batch,
    )  # fmt: skip
    where_from = f"{len(times)} steps on the {model.schedule_name} schedule, {Path(grid).name} grid"
    show.note(f"{model.name}: {subject.source}, {where_from}")
    with lesson("vlb", out, show) as made:
        _run(made, subject, task, times, kind, Path(grid).name, best_steps, show)


def _run(
    made: "Lesson", subject: "Subject", task: "Task", times: "Tensor", kind: str, grid: str, best_steps: int | None,
    show: "Show",
) -> None:  # fmt: skip
    """Measure the model's own errors, evaluate the terms, and fill in the lesson."""
    from dataclasses import replace

    from diffcli.evaluation.bound import best_walk, report, terms

    few, most = max(1, len(times) // LEVELS_OF_EACH), MEASURED if subject.discrete else KNOWN
    known, known_labels = subject.known[:most], None if subject.known_labels is None else subject.known_labels[:most]
    few = min(few, len(known))
    first = replace(task, x0=known, labels=known_labels, samples=1, every=few, stream="known")
    _estimate(task, first, show)
    stops = best_walk.stops(task, kind) if best_steps else []
    ends = best_walk.ends(task, stops)
    with show.progress("the model's own error", first.total, "evaluations") as bar:
        own = terms.measured(first, bar.update, ends if kind == "optimal" else [])
    pairs = stops if kind == "learned" else []
    with show.progress("the bound", task.total, "evaluations") as bar:
        for done, so_far in terms.evaluate(task, own, decoded=ends, kind=kind, stops=pairs):
            bar.update(done)
            found = so_far
    every = {k: terms.parts(task, found, k, own) for k in task.kinds}
    report.fill(made, subject, task, times, kind, grid, every, found)
    if best_steps:
        best = best_walk.walks(task, found, own, kind, best_steps)
        report.add_walks(made, subject.model, task, times, best, kind, best_steps)


def _check(times: "Tensor", best_steps: int | None) -> None:
    """Refuse walks that the bound cannot be taken on."""
    if len(times) < 2:
        raise UsageProblem("the bound needs a walk of at least 2 steps", f"use --steps {STEPS}")
    if best_steps is not None and best_steps >= len(times):
        raise UsageProblem(
            f"--best-steps must be fewer than the {len(times)} steps that it chooses from", "use more --steps"
        )


def _kind(variance: str | None, subject: "Subject") -> str:
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


def _estimate(task: "Task", first: "Task", show: "Show") -> None:
    """Say how long it will take, from the faster of two batches."""
    from itertools import islice

    from diffcli.system.text import duration

    marks, rows = [time.monotonic()], [0]
    for row in islice(task.rows(), 2):
        marks.append(time.monotonic())
        rows.append(len(row.item))
    speed = max(count / (b - a) for count, a, b in zip(rows[1:], marks, marks[1:], strict=False))
    seconds = (task.total + first.total) / speed
    show.note(f"time: about {duration(seconds)}, {speed:.0f} evaluations/s")
    if seconds > SLOW:
        fold = int(seconds / 240) + 1
        show.note(f"--every {fold * task.every} takes about {duration(seconds / fold)}, at a slightly larger error")
