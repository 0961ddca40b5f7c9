"""What the options of a `train` change in its recipe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffcli.errors import Problem, UsageProblem
from diffcli.runs.listing import ROOT, family_name
from diffcli.system.text import flag
from diffcli.training import recipes
from diffcli.training.recipes import Training

LONG = 1000  # steps


def dataset_of(changes: dict[str, Any]) -> Any:
    """The data set that the options name, if they do."""
    return changes.get("dataset") or changes.get("data.name", "")


def family_wanted(
    families: Sequence[str], recipe: str | None, resume: str | None, known: Mapping[str, Training]
) -> str:
    """Which of the families that a command trains is meant: that of the run or the recipe, else the first."""
    if resume is not None:
        found = {family_name(folder) for folder in (Path(resume), ROOT / resume)} & set(families)
        return next((family for family in families[1:] if family in found), families[0])
    if recipe is not None and recipe.endswith(".toml"):
        for family in families[1:]:
            usual = next(one for one in known.values() if one.family == family)
            try:
                recipes.load_recipe(recipe, {"default": usual})
            except Problem:
                continue
            return family
    return known[recipe].family if recipe is not None and recipe in known else families[0]


def is_long(usual: Training, changes: dict[str, Any]) -> bool:
    """Whether a run with these changes will take so long that other processes are worth their start."""
    by_clock = "minutes" in changes or not changes.get("steps", usual.steps)
    try:
        return float(changes.get("minutes", usual.minutes)) >= 1 if by_clock else int(changes["steps"]) >= LONG
    except (KeyError, TypeError, ValueError):
        return usual.steps >= LONG


def changes_of(keys: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """The keys of the recipe that the options replace."""
    given = {k: v for k, v in keys.items() if v is not None}
    changes = recipes.parse_settings(settings) | given
    written = [(key, f"{flag(key)} {value}") for key, value in given.items()]
    written += [(text.partition("=")[0].strip(), f"--set {text}") for text in settings]
    for key in changes:
        _check_one([how for other, how in written if other == key], "one of them would be ignored")
    if "steps" in given or changes.get("steps"):  # steps=0 says that it is minutes
        _check_one([how for key, how in written if key in ("minutes", "steps")], "a training ends by one of them")
    if changes.get("steps", 1) == 0 and "minutes" not in changes:
        raise UsageProblem("--steps must be at least 1", "or give --minutes")
    return changes


def _check_one(written: list[str], why: str) -> None:
    """Raise UsageProblem where more was written than can count."""
    if len(written) > 1:
        raise UsageProblem(f"{' and '.join(written)}: {why}", "leave one out")
