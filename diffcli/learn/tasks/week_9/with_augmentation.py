"""Graded by two trainings on few images, and by what the search for copies has left in them."""

from collections.abc import Iterator
from pathlib import Path

from diffcli.learn.experiments import Case, Fault, evaluated, left_behind, one_key_differs, recipe
from diffcli.runs.records import evaluation

FEWEST = 100  # samples
FEWEST_STEPS = 300  # of a training: what draws noise copies nothing


def with_augmentation() -> dict[str, str]:
    """Two runs on few images that differ in data.augment alone, one of them without it, both searched for copies.

    diffcli train --dataset breastmnist --steps 600 --seed 0 --out week-9-plain
    diffcli train --dataset breastmnist --steps 600 --seed 0 --set data.augment=flip,crop --out week-9-augmented
    diffcli evaluate week-9-plain --count 156 --metrics copies
    diffcli evaluate week-9-augmented --count 156 --metrics copies

    At least 100 samples of each are wanted: among fewer, copies would have to be very many to be noticed. And at least
    300 steps (or --minutes for --steps): a model that still draws noise copies nothing.

    Returns {name: folder}, two of them, beside this file.
    """
    return {"plain": "week-9-plain", "augmented": "week-9-augmented"}


def examined(found: dict[str, Path]) -> Fault | None:
    if len(found) != 2:
        return Fault("other-number", f"it names {len(found)} runs, two are wanted")
    if fault := one_key_differs(found, ["data.augment"]):
        return fault
    if all(recipe(path).get("data.augment") for path in found.values()):
        return Fault("both-augmented", "both have a data.augment: train one without it, as what to compare with")
    if any(0 < recipe(path).get("steps", 0) < FEWEST_STEPS for path in found.values()):
        return Fault(
            "few-steps", f"{FEWEST_STEPS} steps or more are wanted: a model that still draws noise copies nothing"
        )
    if fault := evaluated(found):
        return fault
    for name, path in found.items():
        document = evaluation(path) or {}
        if not document.get("copies"):
            return Fault("no-copies", f"{name} was not searched for copies: diffcli evaluate with --metrics copies")
        if document["protocol"].get("generated", 0) < FEWEST:
            return Fault("few-samples", f"{FEWEST} samples or more are wanted: --count 156, for both")
    return None


def cases(folder: Path) -> Iterator[Case]:
    protocol = {"features": "judge", "generated": 156, "sampler": "ddim", "steps": 50}
    copies = {"copies": {"share": 0.3, "flagged": False}}

    def run(name: str, augment: str, count: int = 156, seed: int = 0, searched: bool = True, **keys: int) -> Path:
        return left_behind(
            folder / name,
            recipe={"data": {"name": "breastmnist", "augment": augment}, **keys},
            seed=seed,
            judged=protocol | {"generated": count},
            measured=copies if searched else {},
        )

    plain, augmented = run("plain", ""), run("augmented", "flip,crop")
    yield Case({"plain": plain, "augmented": augmented}, "")
    yield Case({"a": run("rotated", "rotate"), "b": plain}, "")
    yield Case({"plain": plain}, "other-number")
    yield Case({"plain": plain, "augmented": run("again", "")}, "same-recipe")
    yield Case({"plain": run("flipped", "flip"), "augmented": augmented}, "both-augmented")
    yield Case({"plain": plain, "augmented": run("other-seed", "flip", seed=1)}, "other-seed")
    yield Case({"plain": plain, "augmented": run("other-count", "flip", count=100)}, "other-protocol")
    yield Case({"plain": plain, "augmented": run("unsearched", "flip", searched=False)}, "no-copies")
    yield Case({"plain": run("few", "", count=20), "augmented": run("few-augmented", "flip", count=20)}, "few-samples")
    short, other = run("short", "", steps=30), run("short-augmented", "flip", steps=30)
    yield Case({"plain": short, "augmented": other}, "few-steps")
    by_time = run("minutes", "", steps=0), run("minutes-augmented", "flip", steps=0)
    yield Case({"plain": by_time[0], "augmented": by_time[1]}, "")
    unjudged = left_behind(folder / "unjudged", recipe={"data": {"name": "breastmnist", "augment": "flip"}})
    yield Case({"plain": plain, "augmented": unjudged}, "not-evaluated")
