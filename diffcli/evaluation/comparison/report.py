"""What is written and said of a comparison: table, figures, verdict, and what each run remembers of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffcli.console.results import Lesson
from diffcli.console.show import table
from diffcli.data.dataset import to_unit
from diffcli.evaluation.comparison.study import TRUTH, Compared, Comparison, ComparisonFound
from diffcli.evaluation.comparison.verdict import verdict_of
from diffcli.pictures.comparison import Dot, comparison_figure, sheet_figure
from diffcli.pictures.figures import write_figure
from diffcli.runs.records import not_kept, write_comparison
from diffcli.sampling.gridfile import SUFFIX
from diffcli.system.files import write_atomically
from diffcli.system.shell import argument

SHOWN = 8  # images of each setting
MOST_ROWS = 24  # settings on the sheet


def fill(made: Lesson, study: Comparison, found: ComparisonFound) -> None:
    """Document, lines, figures, and the sentence that says which to use."""
    made.document = document(study, found)
    made.lines = [_head(study, found), *_table(found)]
    made.seen = verdict(found)
    made.leads = "Numbers of one table share data, features, count and start noise; those of two tables need not."
    best = found.settings[found.best]
    made.next = _next(best)
    many = _several(found)
    dots = [
        Dot(_series(one, many), one.setting.sampler, one.drawn.seconds, one.frechet, one.error, _label(one))
        for one in found.settings
    ]
    title = f"{_of(study)}: quality against time, {study.jobs[0].count} samples each"
    write_figure(
        comparison_figure(title, dots, found.floor, dots[found.best], found.encoder.name), made.figure("compare.png")
    )
    shown = _for_the_sheet(found)
    rows = [list(to_unit(one.drawn.first[:SHOWN])) for one in shown]
    names = [f"{_row_name(one, many)}\n{one.frechet:.3g}" for one in shown]
    write_figure(
        sheet_figure(f"{_of(study)}: the same start noise, the distance below each name", rows, names),
        made.figure("sheet.png"),
    )


def remember(study: Comparison, found: ComparisonFound) -> list[str]:
    """Keep in each run what was found of its own settings, with the one that `sample --auto` is to take.

    Notes on the checkpoint files that are no run's.
    """
    whole, notes = document(study, found), []
    trained = {one.prepared.model.target: one.prepared.model.trained for one in found.settings}
    for target, source in trained.items():
        if source is None:
            continue
        if source.run is None:
            notes.append(not_kept(target))
            continue
        own = [i for i, one in enumerate(found.settings) if one.prepared.model.target == target]
        mine = [found.settings[i] for i in own]
        errors = found.errors[own][:, own]
        best = verdict_of([one.frechet for one in mine], errors, [one.drawn.evaluations for one in mine]).best
        kept = _kept(source.run, _row(mine[best]))
        write_comparison(source.run, whole | {"settings": [_row(one) for one in mine], "best": kept})
    return notes


def _kept(run: Path, row: dict[str, Any]) -> dict[str, Any]:
    """The setting, its grid copied into the run if it is a file, so that it is found again."""
    if not row["grid"].endswith(SUFFIX):
        return row
    name = f"grid{SUFFIX}"
    write_atomically(run / name, Path(row["grid"]).read_bytes())
    return row | {"grid": name}


def document(study: Comparison, found: ComparisonFound) -> dict[str, Any]:
    """For --json and metrics.json."""
    against = study.reference
    return {
        "settings": [_row(one) for one in found.settings],
        "best": _row(found.settings[found.best]),
        "lowest": _row(found.settings[found.lowest]),
        "verdict": verdict(found),
        "floor": found.floor,
        "protocol": {
            "features": found.encoder.name, "digest": found.encoder.digest, "accuracy": found.encoder.accuracy,
            "preprocessing": found.encoder.preprocessing, "data": against.name, "split": against.split,
            "real": len(against.real), "generated": study.jobs[0].count, "weights": study.options[0].weights,
            "seed": study.options[0].seed, "bits": 8,
            "truth": "-".join(map(str, TRUTH)) if study.wanted.truth and study.has_truth else None,
        },
    }  # fmt: skip


def _row(one: Compared) -> dict[str, Any]:
    job, setting = one.prepared, one.setting
    return {
        "run": job.model.target,
        "checkpoint": job.model.name,
        "sampler": setting.sampler,
        "steps": job.job.steps,
        "grid": job.grid,
        "eta": setting.eta,
        "guidance": job.guidance if job.job.conditions else None,
        "start": setting.start,
        "evaluations": one.drawn.evaluations,
        "seconds": one.drawn.seconds,
        "frechet": one.frechet,
        "bias": one.bias,
        "error": one.error,
        "behind": one.behind,
        "behind_error": one.behind_error,
        "class_agreement": one.agreement,
        "recall": one.recall,
        "off": one.off,
    }


def verdict(found: ComparisonFound) -> str:
    """The cheapest setting that is as good as the best, in a sentence."""
    best, lowest, many = found.settings[found.best], found.settings[found.lowest], _several(found)
    cost = f"{best.drawn.evaluations:g} evaluations"
    if found.best == found.lowest:
        return (
            f"Take {_full(best, many)}: {cost}, the smallest distance; nothing cheaper is within two standard errors."
        )
    return (
        f"Take {_full(best, many)}: {cost}; its distance of {best.frechet:.3g} is within two standard errors of the "
        f"smallest, {lowest.frechet:.3g} of {_full(lowest, many)} with {lowest.drawn.evaluations:g}."
    )


def _next(best: Compared) -> str:
    """The command that draws as the best setting does: the run remembers it, and a file without a run does not."""
    model = best.prepared.model
    classes = " --class all" * (best.agreement is not None)
    if model.trained is None or model.trained.run:
        return f"diffcli sample {argument(model.target)} --auto{classes}"
    row = _row(best)
    names = ["sampler", "grid", "start", "eta", *([] if row["grid"].endswith(SUFFIX) else ["steps"])]
    names += ["guidance"] if classes else []
    return f"diffcli sample {argument(model.target)}{classes}" + "".join(
        f" --{name} {argument(row[name])}" for name in names if row[name] is not None
    )


def _label(one: Compared) -> str:
    steps = f" {one.prepared.job.steps}" if one.setting.steps else ""
    return f"{one.setting.sampler}{steps}{one.setting.title.removeprefix(one.setting.sampler)}"


def _several(found: ComparisonFound) -> bool:
    """Whether it is of more than one model."""
    return len({one.prepared.model.target for one in found.settings}) > 1


def _full(one: Compared, many: bool) -> str:
    """With its model, where there are several."""
    return f"{Path(one.prepared.model.target).name} {_label(one)}" if many else _label(one)


def _row_name(one: Compared, many: bool) -> str:
    """In a column of names: a part a line."""
    return (f"{Path(one.prepared.model.target).name}\n" if many else "") + _label(one).replace(", ", "\n")


def _series(one: Compared, many: bool) -> str:
    """What the dots of one line have in common: all but the number of steps."""
    return f"{Path(one.prepared.model.target).name} {one.setting.title}" if many else one.setting.title


def _of(study: Comparison) -> str:
    names = dict.fromkeys(Path(job.model.target).name for job in study.jobs)
    return ", ".join(names)


def _head(study: Comparison, found: ComparisonFound) -> str:
    return (
        f"{study.jobs[0].count} samples of each setting against {len(study.reference.real)} of {study.reference.name}, "
        f"{study.reference.split}; {found.encoder.name} features; as many real images have {found.floor:.3g}"
    )


def _table(found: ComparisonFound) -> list[str]:
    """A row per setting, the cheapest first; * is the one to take."""
    many = _several(found)
    heads = ["setting", "eval.", "time", "distance", "agree", "recall", "off"]
    rows = []
    for place in sorted(range(len(found.settings)), key=lambda i: _order(found.settings[i])):
        one = found.settings[place]
        name = _full(one, many)
        rows.append(
            [
                name + " *" * (place == found.best), f"{one.drawn.evaluations:g}", f"{one.drawn.seconds:.1f} s",
                f"{one.frechet:.3g} ± {one.error:.2g}",
                "" if one.agreement is None else f"{one.agreement:.1%}", f"{one.recall:.2f}",
                "" if one.off is None else f"{one.off:.3f}",
            ]
        )  # fmt: skip
    return table(heads, rows, right=(1, 2, 3, 4, 5, 6), wraps=(0,))


def _order(one: Compared) -> tuple[float, float]:
    return one.drawn.evaluations, one.frechet


def _for_the_sheet(found: ComparisonFound) -> Sequence[Compared]:
    """The settings in the order of the table, if they are too many the cheapest and the best of them."""
    ordered = sorted(found.settings, key=_order)
    if len(ordered) <= MOST_ROWS:
        return ordered
    kept = sorted(ordered, key=lambda one: one.frechet)[:MOST_ROWS]
    return [one for one in ordered if one in kept]
