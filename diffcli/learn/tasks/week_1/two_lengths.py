"""Graded by what two trainings have left behind."""

from collections.abc import Iterator
from pathlib import Path

from diffcli.learn.experiments import Case, Fault, left_behind, one_key_differs, recipe


def two_lengths() -> dict[str, str]:
    """Two runs that differ in the number of steps only: what does longer training buy?

    diffcli train --steps 100 --seed 0 --out runs/short, and --steps 400 for the other

    Returns {"short": folder, "long": folder}, beside this file.
    """
    return {"short": "runs/short", "long": "runs/long"}


def examined(found: dict[str, Path]) -> Fault | None:
    if set(found) != {"short", "long"}:
        return Fault("other-names", f"it names {', '.join(found)}: two runs are wanted, short and long")
    if fault := one_key_differs(found, ["steps"]):
        return fault
    steps = {name: recipe(run).get("steps", 0) for name, run in found.items()}
    if steps["short"] > steps["long"]:
        text = f"short has {steps['short']} steps and long {steps['long']}: the folders are the other way round"
        return Fault("exchanged", text)
    return None


def cases(folder: Path) -> Iterator[Case]:
    short, long = (left_behind(folder / str(n), recipe={"steps": n}) for n in (100, 400))
    yield Case({"short": short, "long": long}, "")
    yield Case({"short": long, "long": short}, "exchanged")
    yield Case({"short": short, "long": short}, "same-run")
    yield Case({"short": short, "long": folder / "absent"}, "missing")
    yield Case({"short": short, "long": folder}, "not-a-run")
    yield Case({"a": short, "b": long}, "other-names")
    same = left_behind(folder / "same", recipe={"steps": 100})
    yield Case({"short": short, "long": same}, "same-recipe")
    other = left_behind(folder / "seed", recipe={"steps": 400}, seed=1)
    yield Case({"short": short, "long": other}, "other-seed")
    wider = left_behind(folder / "wider", recipe={"steps": 400, "network": {"name": "unet", "widths": [32, 64]}})
    yield Case({"short": short, "long": wider}, "more-differs")
    stopped = left_behind(folder / "stopped", recipe={"steps": 400}, status="interrupted")
    yield Case({"short": short, "long": stopped}, "unfinished")
