"""Graded by what two trainings and two evaluations have left behind."""

from collections.abc import Iterator
from pathlib import Path

from diffcli.learn.experiments import Case, Fault, evaluated, left_behind, one_key_differs


def two_schedules() -> dict[str, str]:
    """Two runs that differ in the noise schedule only, both evaluated in the same way.

    diffcli train --steps 300 --seed 0 --schedule linear --out runs/linear, and --schedule cosine for the other;
    then diffcli evaluate runs/linear --count 1000, and the same for the other

    Returns {name: folder}, two of them, beside this file.
    """
    return {"linear": "runs/linear", "cosine": "runs/cosine"}


def examined(found: dict[str, Path]) -> Fault | None:
    if len(found) != 2:
        return Fault("other-number", f"it names {len(found)} runs, two are wanted")
    return one_key_differs(found, ["schedule"]) or evaluated(found)


def cases(folder: Path) -> Iterator[Case]:
    protocol = {"features": "judge", "generated": 1000, "sampler": "ddim", "steps": 50}
    linear = left_behind(folder / "linear", recipe={"schedule": "linear"}, judged=protocol)
    cosine = left_behind(folder / "cosine", recipe={}, judged=protocol)
    yield Case({"linear": linear, "cosine": cosine}, "")
    yield Case({"linear": linear}, "other-number")
    yield Case({"linear": linear, "cosine": linear}, "same-run")
    fewer = left_behind(folder / "fewer", recipe={}, judged=protocol | {"generated": 200})
    yield Case({"linear": linear, "cosine": fewer}, "other-protocol")
    unjudged = left_behind(folder / "unjudged", recipe={})
    yield Case({"linear": linear, "cosine": unjudged}, "not-evaluated")
    longer = left_behind(folder / "longer", recipe={"steps": 600}, judged=protocol)
    yield Case({"linear": linear, "cosine": longer}, "more-differs")
    elsewhere = left_behind(folder / "elsewhere", recipe={}, judged=protocol, data="other")
    yield Case({"linear": linear, "cosine": elsewhere}, "other-data")
