"""What is written and said of the best walks: grid files, a picture, the document and the table."""

import math
from typing import Any

from diffcli.console.results import Lesson
from diffcli.console.show import table
from diffcli.evaluation.grids.search import Choice, CostedWalk
from diffcli.evaluation.grids.study import TEACHER, TEACHER_GRID, GridStudy
from diffcli.pictures.figures import write_figure
from diffcli.pictures.walks import DrawnWalk, grids_figure
from diffcli.sampling import gridfile
from diffcli.system.shell import argument

NEXT = "ipndm"  # the sampler of the next command


def fill(made: Lesson, study: GridStudy, found: dict[int, Choice]) -> None:
    """Files, picture, document and lines of a study."""
    model, noise = study.model, study.noise
    paths = {}
    for count, choice in found.items():
        paths[count] = made.figure(f"grid-{study.cost}-{count}.json")
        gridfile.write_grid(paths[count], model.schedule, model.schedule_name, study.times[choice.best.places])
    rows = {
        count: {name: DrawnWalk(noise[walk.places].tolist(), walk.cost) for name, walk in _all(study, choice).items()}
        for count, choice in found.items()
    }
    title = f"Where walks of {model.name} stop: the best by {study.cost}, chosen from {len(study.times)} levels"
    write_figure(grids_figure(rows, title, f"cost, {study.unit}"), made.figure("grids.png"))
    made.document = _document(study) | {
        "walks": [
            {"steps": count, "grid": str(paths[count])} | _numbers(study, choice) for count, choice in found.items()
        ]
    }
    names = list(rows[next(iter(rows))])
    heads = ["steps", *names, "stops at sigma/alpha"]
    lines = [
        [str(count), *(_number(walks[name].cost) if name in walks else "" for name in names),
         " ".join(f"{v:.3g}" for v in walks[study.cost].noise)]
        for count, walks in rows.items()
    ]  # fmt: skip
    made.lines = [
        f"cost of a walk, {study.unit}",
        *table(heads, lines, right=range(len(names) + 1), wraps=[len(heads) - 1]),
    ]
    made.seen = _seen(study, found)
    made.leads = "A step may be long where this model's paths are straight, and must be short where they bend."
    few = min(found, key=lambda count: abs(count - 5))
    made.next = f"diffcli sample {argument(model.target)} --sampler {NEXT} --grid {argument(paths[few])}"


def _all(study: GridStudy, choice: Choice) -> dict[str, CostedWalk]:
    return {study.cost: choice.best, **choice.usual}


def _document(study: GridStudy) -> dict[str, Any]:
    model, bound = study.model, study.cost == "bound"
    return {
        "model": model.name,
        "schedule": model.schedule_name,
        "cost": study.cost,
        "unit": study.unit,
        "discount": study.discount,
        "count": study.count,
        "guidance": study.guidance,
        "teacher": None if bound else {"sampler": TEACHER, "grid": TEACHER_GRID, "levels": len(study.times)},
        "levels": study.noise.tolist(),
    }


def _numbers(study: GridStudy, choice: Choice) -> dict[str, Any]:
    """The best walk, and under `usual` those beside it."""
    return _walk(study, choice.best) | {"usual": {name: _walk(study, walk) for name, walk in choice.usual.items()}}


def _walk(study: GridStudy, walk: CostedWalk) -> dict[str, Any]:
    return {
        "cost": walk.cost, "times": study.times[walk.places].tolist(), "noise": study.noise[walk.places].tolist(),
    }  # fmt: skip


def _number(cost: float) -> str:
    return f"{cost:.4g}" if math.isfinite(cost) else "no way"


def _seen(study: GridStudy, found: dict[int, Choice]) -> str:
    """How much less the best walk costs than the best of the usual ones, at the fewest steps and at the most."""
    parts = []
    for count in sorted({min(found), max(found)}):
        name, other = min(found[count].usual.items(), key=lambda item: item[1].cost)
        parts.append(f"{_less(study, found[count].best.cost, other.cost)} than {name} in {count} steps")
    return f"By this cost the walks found pay {', '.join(parts)}."


def _less(study: GridStudy, cost: float, other: float) -> str:
    """Of distances a share, of the bound, which may be negative, a difference."""
    if not math.isfinite(other):
        return "infinitely less"
    word = "less" if cost <= other else "more"
    if study.cost == "bound":
        return f"{abs(other - cost):.3g} {study.unit} {word}"
    return f"{100 * abs(1 - cost / other) if other > 0 else 0:.0f} % {word}"
