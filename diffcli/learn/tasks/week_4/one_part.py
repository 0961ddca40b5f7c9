"""Graded by what two trainings have left behind: networks that differ in one key."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffcli.learn.experiments import Case, Fault, evaluated, left_behind, one_key_differs

KEYS = ("network.widths", "network.blocks", "network.attention", "network.fold", "network.dropout")


def one_part() -> dict[str, str]:
    """Two runs whose networks differ in one key of [network] only, both evaluated in the same way.

    As in diffcli train --steps 300 --seed 0 --out runs/plain, and --set network.attention=1 for the other. Every other
    key has to be the same, the steps too.

    Returns {name: folder}, two of them, beside this file.
    """
    return {"plain": "runs/plain", "attention": "runs/attention"}


def examined(found: dict[str, Path]) -> Fault | None:
    if len(found) != 2:
        return Fault("other-number", f"it names {len(found)} run{'s' * (len(found) != 1)}, two are wanted")
    return one_key_differs(found, KEYS) or evaluated(found)


def cases(folder: Path) -> Iterator[Case]:
    protocol = {"features": "judge", "generated": 1000, "sampler": "ddim", "steps": 50}

    def run(name: str, network: dict[str, Any], **keys: Any) -> Path:
        known = {"name": "unet", "widths": [24, 48], "blocks": 1, "attention": []}
        return left_behind(folder / name, recipe={"network": known | network, **keys}, judged=protocol)

    plain, attentive = run("plain", {}), run("attention", {"attention": [1]})
    yield Case({"plain": plain, "attention": attentive}, "")
    yield Case({"plain": plain, "attention": run("again", {})}, "same-recipe")
    yield Case({"plain": plain, "attention": run("both", {"attention": [1], "blocks": 2})}, "more-differs")
    yield Case({"plain": plain, "attention": run("longer", {"attention": [1]}, steps=500)}, "more-differs")
    yield Case({"plain": plain, "attention": attentive, "third": run("third", {"blocks": 2})}, "other-number")
    yield Case({"plain": plain, "attention": folder}, "not-a-run")
