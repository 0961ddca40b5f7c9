"""Graded by a comparison of samplers: by which of its settings cost the same."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffcli.learn.experiments import Case, Fault, settings_compared

ALONE, CORRECTED = "euler-ancestral", "predictor-corrector"
FEWEST = 2  # costs that both have


def equal_cost() -> dict[str, str]:
    """A comparison of euler-ancestral and predictor-corrector in which two or more costs are those of both.

    n steps of predictor-corrector cost 2n − 1 evaluations, which is what 2n − 1 steps of euler-ancestral cost. So
    5, 9 and 17 steps of each make two pairs: 9 beside 5, and 17 beside 9.

    diffcli compare mnist --samplers euler-ancestral,predictor-corrector --steps 5,9,17 --count 200 --out week-5-cost

    Returns {"comparison": folder}, beside this file: the folder that --out was given, or a run of yours that was
    compared so.
    """
    return {"comparison": "week-5-cost"}


def examined(found: dict[str, Path]) -> Fault | None:
    if set(found) != {"comparison"}:
        names = ", ".join(found) or "nothing"
        return Fault("other-names", f"it names {names}: one folder is wanted, under the name comparison")
    folder = found["comparison"]
    if not folder.is_dir():
        return Fault("missing", f"there is no folder {folder.name}: diffcli compare --out makes it")
    rows = settings_compared(folder)
    if not rows:
        return Fault(
            "not-compared", f"{folder.name} holds no comparison: name what `diffcli compare --out` was given, or a run"
        )
    costs = {sampler: {_cost(row) for row in rows if _sampler(row) == sampler} for sampler in (ALONE, CORRECTED)}
    if lacking := [sampler for sampler, some in costs.items() if not some]:
        return Fault("one-sampler", f"{lacking[0]} is not in the comparison: --samplers {ALONE},{CORRECTED}")
    shared = costs[ALONE] & costs[CORRECTED]
    if not shared:
        return Fault(
            "no-equal-cost",
            "no setting of one costs what a setting of the other does: n steps of predictor-corrector cost 2n − 1, so "
            "both n and 2n − 1 have to be among the --steps",
        )
    if len(shared) < FEWEST:
        return Fault("one-cost", "they have one cost in common, two are wanted: --steps 5,9,17 gives them")
    return None


def _sampler(row: dict[str, Any]) -> str:
    return str(row.get("sampler")).split(",")[0]


def _cost(row: dict[str, Any]) -> tuple[str, ...]:
    """Evaluations, of the same model under the same guidance."""
    return tuple(str(row.get(key)) for key in ("checkpoint", "guidance", "evaluations"))


def cases(folder: Path) -> Iterator[Case]:
    def compared(name: str, alone: tuple[int, ...], corrected: tuple[int, ...], guidance: float = 1.0) -> Path:
        costs = [(ALONE, n, float(n), 1.0) for n in alone]
        costs += [(CORRECTED, n, 2.0 * n - 1, guidance) for n in corrected]
        rows = [
            {"checkpoint": "m", "sampler": sampler, "steps": n, "evaluations": cost, "guidance": by, "frechet": 1.0}
            for sampler, n, cost, by in costs
        ]
        (folder / name).mkdir(parents=True)
        (folder / name / "metrics.json").write_text(json.dumps({"settings": rows}), "utf-8")
        return folder / name

    whole = compared("whole", (5, 9, 17), (5, 9, 17))
    yield Case({"comparison": whole}, "")
    yield Case({"comparison": compared("pairs", (39, 19), (20, 10))}, "")
    yield Case({"comparison": compared("same-steps", (10, 20, 50), (10, 20, 50))}, "no-equal-cost")
    yield Case({"comparison": compared("guided", (5, 9, 17), (5, 9, 17), 1.5)}, "no-equal-cost")
    yield Case({"comparison": compared("one", (20, 39), (20, 39))}, "one-cost")
    yield Case({"comparison": compared("alone", (5, 9, 17), ())}, "one-sampler")
    yield Case({"comparison": folder / "nowhere"}, "missing")
    (folder / "empty").mkdir()
    yield Case({"comparison": folder / "empty"}, "not-compared")
    yield Case({"run": whole}, "other-names")
