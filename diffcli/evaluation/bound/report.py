"""What is written and said of a bound: figures, a row per step, the document and the table."""

import csv
import io
from pathlib import Path
from typing import Any

from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.console.show import table
from diffcli.evaluation.bound.best_walk import ShortWalk
from diffcli.evaluation.bound.study import BoundFound, BoundStudy
from diffcli.evaluation.bound.task import Task
from diffcli.evaluation.bound.terms import Parts, Tally
from diffcli.evaluation.subject import Subject
from diffcli.pictures.bound import bound_figure, walks_figure
from diffcli.pictures.figures import write_figure
from diffcli.sampling import gridfile
from diffcli.system.files import write_atomically
from diffcli.system.shell import argument

COLUMNS = ("step", "t", "log_snr", "next_log_snr", "nats", "bits_per_dim", "standard_error", "x0_mse", "eps_mse")


def fill(made: Lesson, study: BoundStudy, found: BoundFound) -> None:
    """Figures, steps, document and lines of a study."""
    subject, task, times, every = study.subject, study.task, study.times, found.parts
    model, parts, (unit, scale) = subject.model, every[study.kind], task.unit
    figure = bound_figure(
        task.log_snr, {k: p.per_step * scale for k, p in every.items()},
        {k: {name: v * scale for name, v in p.means.items()} for k, p in every.items()}, unit,
        f"The bound of {model.name}: {len(times)} steps, {model.schedule_name} schedule, {study.grid} grid",
    )  # fmt: skip
    write_figure(figure, made.figure("bound.png"))
    _write_steps(made.figure("steps.csv"), task, times, parts, found.tally)
    made.document = _document(subject, task, study.kind, study.grid, every)
    made.lines = _lines(every, study.kind, unit, scale)
    if subject.discrete:
        bits = subject.histogram_nats * scale
        made.document["histogram_bits_per_dim"] = bits
        made.lines += ["", f"a histogram of the values, each on its own: {bits:.4f} {unit}"]
    if (truth := subject.truth_nats) is not None:
        made.document |= {"truth_nats": truth, "gap_nats": parts.nats - truth}
        missed = (parts.nats - truth) * scale
        made.lines += [
            "",
            f"the law itself on the same draws: {truth * scale:.6g} {unit}; the bound misses {missed:.6g}",
        ]
    made.seen = _seen(parts, task.log_snr, unit, scale)
    made.leads = "L_simple is this sum with all levels weighed alike: diffcli visualize weights shows both."
    made.next = f"diffcli likelihood {argument(model.target)}"
    if study.best_steps:
        _add_walks(made, study, found.walks, study.best_steps)


def _add_walks(made: Lesson, study: BoundStudy, walks: dict[str, ShortWalk], steps: int) -> None:
    """The best walk of so many steps beside the usual ones: lines, a picture, and a file for `sample --grid`."""
    model, times, (unit, scale) = study.subject.model, study.times, study.task.unit
    costs = {name: walk.nats * scale for name, walk in walks.items()}
    path = made.figure("grid.json")
    gridfile.write_grid(path, model.schedule, model.schedule_name, times[walks["best"].places])
    figure = walks_figure(study.task.log_snr, {k: w.places for k, w in walks.items()}, costs, unit)
    write_figure(figure, made.figure("grids.png"))
    rows = [[name, f"{cost:.4f}"] for name, cost in costs.items()]
    heads = [f"walk of {steps} steps", f"bound, {unit}, {study.kind} variance"]
    made.lines += ["", *table(heads, rows, right=(1,))]
    made.document["best_steps"] = {
        "steps": steps,
        "variance": study.kind,
        "grid": str(path),
        "nats": {name: walk.nats for name, walk in walks.items()},
        "times": {name: times[walk.places].tolist() for name, walk in walks.items()},
    }
    made.next = f"diffcli sample {argument(model.target)} --grid {argument(path)}"


def _document(subject: Subject, task: Task, kind: str, grid: str, every: dict[str, Parts]) -> dict[str, Any]:
    model, parts, (_, scale) = subject.model, every[kind], task.unit
    return {
        "model": model.name,
        "bits_per_dim": parts.nats * scale if subject.discrete else None,
        "nats": parts.nats,
        "standard_error": parts.standard_error,
        "bits_per_dim_standard_error": parts.standard_error * scale if subject.discrete else None,
        "terms": parts.means,
        "per_step": parts.per_step.tolist(),
        "log_snr": [level.log_snr.item() for level in task.levels],
        "steps": len(task.levels),
        "grid": grid,
        "schedule": model.schedule_name,
        "variance": kind,
        "decoder": "bayes" if task.histogram else "gaussian",
        "images": len(subject.x0),
        "samples": task.samples,
        "every": task.every,
        "evaluations": task.total,
        "conditional": bool(subject.conditions),
        "clip": model.clip,
        "dimensions": task.numbers,
        "seed": task.seed,
        "variances": {
            k: {"nats": p.nats, "standard_error": p.standard_error, "terms": p.means} for k, p in every.items()
        },
    }


def _lines(every: dict[str, Parts], kind: str, unit: str, scale: float) -> list[str]:
    rows = []
    for name, parts in every.items():
        means = [f"{v * scale:.4f}" for v in parts.means.values()]
        error = parts.standard_error * scale
        total = f"{parts.nats * scale:.4f}" + (f" ± {error:.4f}" if error == error else "")
        rows.append([name + (" *" if name == kind else ""), *means, total])
    heads = ["variance", "prior", "diffusion", "reconstruction", f"bound, {unit}"]
    return [*table(heads, rows, right=(1, 2, 3, 4)), "", f"* the result; {every[kind].nats:.3f} nats per item"]


def _seen(parts: Parts, log_snr: Tensor, unit: str, scale: float) -> str:
    """Between which levels half of the cost arises."""
    cost = parts.per_step.clamp(min=0).cumsum(0)
    low, high = (int((cost >= share * cost[-1]).nonzero()[0]) for share in (0.25, 0.75))
    return (
        f"The bound is {parts.nats * scale:.4f} {unit}. The middle half of its cost is paid between log-SNR "
        f"{log_snr[low]:.1f} and {log_snr[high]:.1f}."
    )


def _write_steps(path: Path, task: Task, times: Tensor, parts: Parts, found: Tally) -> None:
    """A row per step: levels, cost, standard error, and the errors of x0 and eps there."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    log_snr = [level.log_snr.item() for level in task.levels]
    x0_error = (found.errors.sum(0) / found.seen.sum(0) / task.numbers).tolist()
    for i, (nats, error) in enumerate(zip(parts.per_step.tolist(), parts.step_errors.tolist(), strict=True)):
        level = task.levels[i]
        eps_error = x0_error[i] * (level.alpha / level.sigma).item() ** 2
        after = log_snr[i + 1] if i + 1 < len(log_snr) else ""
        bits = nats * task.unit[1] if task.discrete else ""
        writer.writerow([i, times[i].item(), log_snr[i], after, nats, bits, error, x0_error[i], eps_error])
    write_atomically(path, file.getvalue().encode())
