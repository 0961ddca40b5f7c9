"""Graded by what several trainings have left behind: a change, and as many seeds with it as without."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffcli.learn.experiments import IDLE, Case, Fault, evaluated, left_behind, recipe, runs_there
from diffcli.runs.listing import facts_of

FEWEST = 2  # seeds of each
SIDES = ("base", "changed")


def own_change() -> dict[str, str]:
    """A modification of your own, with at least two seeds without it and the same seeds with it, all evaluated alike.

    One key of the recipe differs, or what `--impl FILE` adds. Name the runs without it base-SEED and those with it
    changed-SEED.

    Returns {"base-0": folder, "base-1": folder, "changed-0": folder, "changed-1": folder}; folders are named from where
    this file lies, "runs/base-0" for one.
    """
    return {f"{name}-{seed}": f"runs/{name}-{seed}" for name in ("base", "changed") for seed in (0, 1)}


def examined(found: dict[str, Path]) -> Fault | None:
    if fault := runs_there(found):
        return fault
    sides = [{name: path for name, path in found.items() if name.startswith(f"{side}-")} for side in SIDES]
    if sum(map(len, sides)) < len(found) or not all(sides):
        return Fault("other-names", "runs are named base-SEED and changed-SEED")
    return _seeds(*sides) or _keys(*sides) or evaluated(found)


def _seeds(base: dict[str, Path], changed: dict[str, Path]) -> Fault | None:
    without, within = (sorted(facts_of(path).get("seed", 0) for path in runs.values()) for runs in (base, changed))
    if min(len(without), len(within)) < FEWEST:
        return Fault("one-seed", f"{FEWEST} seeds of each are wanted: one run says nothing of chance")
    if len({facts_of(path).get("data") for path in (*base.values(), *changed.values())}) > 1:
        return Fault("other-data", "the runs were trained on different data, and each is judged by its own")
    if without != within or len(set(without)) < len(without):
        return Fault("other-seeds", f"base has the seeds {without}, changed {within}: the same ones are wanted")
    return None


def _keys(base: dict[str, Path], changed: dict[str, Path]) -> Fault | None:
    firsts = []
    for side, runs in zip(SIDES, (base, changed), strict=True):
        keys = [{key: value for key, value in recipe(path).items() if key not in IDLE} for path in runs.values()]
        if mixed := [key for key in dict.fromkeys(key for one in keys for key in one) if _differ(keys, key)]:
            return Fault("mixed", f"the runs of {side} differ in {', '.join(mixed)}, not in the seed alone")
        firsts.append(keys[0])
    differing = [key for key in dict.fromkeys(key for one in firsts for key in one) if _differ(firsts, key)]
    if not differing:
        return Fault("same-recipe", "with and without the change the recipe is the same")
    own = [key for key in differing if key != "impl"]
    return Fault("more-differs", f"{', '.join(own)} differ at once: which of them was it?") if len(own) > 1 else None


def _differ(recipes: list[dict[str, Any]], key: str) -> bool:
    return any(one.get(key) != recipes[0].get(key) for one in recipes)


def cases(folder: Path) -> Iterator[Case]:
    protocol = {"features": "judge", "generated": 1000, "sampler": "ddim", "steps": 50}

    def run(name: str, seed: int, judged: dict[str, Any] | None = protocol, **keys: Any) -> Path:
        return left_behind(folder / name, recipe={"seed": seed, **keys}, seed=seed, judged=judged)

    base = {f"base-{seed}": run(f"base-{seed}", seed) for seed in (0, 1)}
    changed = {f"changed-{seed}": run(f"changed-{seed}", seed, schedule="linear") for seed in (0, 1)}
    yield Case({**base, **changed}, "")
    yield Case({"base-0": base["base-0"], "changed-0": changed["changed-0"]}, "one-seed")
    yield Case({**base, "mine": changed["changed-0"]}, "other-names")
    other = run("changed-5", 5, schedule="linear")
    yield Case({**base, "changed-0": changed["changed-0"], "changed-5": other}, "other-seeds")
    yield Case({**base, **{f"changed-{n}": run(f"same-{n}", n) for n in (0, 1)}}, "same-recipe")
    both = {f"changed-{n}": run(f"both-{n}", n, schedule="linear", steps=500) for n in (0, 1)}
    yield Case({**base, **both}, "more-differs")
    uneven = run("uneven", 1, schedule="linear", steps=500)
    yield Case({**base, "changed-0": changed["changed-0"], "changed-1": uneven}, "mixed")
    elsewhere = {f"changed-{n}": left_behind(folder / f"elsewhere-{n}", recipe={}, seed=n, data="e") for n in (0, 1)}
    yield Case({**base, **elsewhere}, "other-data")
    bare = {f"changed-{n}": run(f"bare-{n}", n, None, schedule="linear") for n in (0, 1)}
    yield Case({**base, **bare}, "not-evaluated")
