"""Experiments, graded by what they leave behind: runs, evaluations and comparisons in folders that a learner names.

The file of such an exercise holds

    def schedules() -> dict[str, str]:                  what a learner writes: names of folders, beside the file
    def examined(found: dict[str, Path]) -> Fault | None:   what is wrong with what lies there
    def cases(folder: Path) -> Iterator[Case]:          what the doctor tries: folders, and the fault that they have

Where numbers are to be found out as well, CLAIMS = ("share",) names them: a learner's dict has them beside the folders,
and `examined` gets them in a second dict.
"""

import json
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from diffcli.learn.catalogue import Exercise
from diffcli.runs.listing import checkpoints, facts_of, summary
from diffcli.runs.records import comparison, evaluation
from diffcli.system.shell import argument


class Fault(NamedTuple):
    """A mistake of an experiment: its name, and what to say of it."""

    name: str
    text: str


class Case(NamedTuple):
    """For the doctor: what a learner might name and claim, and the name of the fault in it, "" for none."""

    found: dict[str, Path]
    fault: str
    claimed: Mapping[str, float] | None = None


class Experiment(NamedTuple):
    """What the file of an exercise holds; `claims` names the numbers that are asked for beside folders."""

    examined: Callable[..., Fault | None]
    cases: Callable[[Path], Iterator[Case]]
    claims: tuple[str, ...] = ()

    def fault(self, found: Mapping[str, Path], claimed: Mapping[str, float] | None) -> Fault | None:
        """What is wrong with what was named and claimed."""
        return self.examined(found, claimed or {}) if self.claims else self.examined(found)


IDLE = ("dial", "checkpoint_every", "seed")  # keys that change nothing, and one that has a fault of its own
USUAL = {"steps": 300, "schedule": "cosine", "network": {"name": "unet", "widths": [24, 48]}}  # for cases


def recipe(run: Path) -> dict[str, Any]:
    """The recipe of a run, its keys with their tables: network.widths."""
    document = tomllib.loads((run / "recipe.toml").read_text("utf-8"))
    return dict(_flat(document))


def _flat(document: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield before + key, value


def runs_there(found: Mapping[str, Path]) -> Fault | None:
    """Each is a run that has ended as it should, and no two are the same one."""
    for name, path in found.items():
        if not path.is_dir():
            return Fault("missing", f"{name}: there is no folder {path}: diffcli train --out makes it")
        if not (path / "run.json").is_file():
            return Fault("not-a-run", f"{name}: {path} is no run: name the folder that `diffcli train --out` was given")
        state = summary(path).state
        if state != "complete":
            return Fault(
                "unfinished", f"{name}: {path.name} is {state}; diffcli train --resume {argument(path)} ends it"
            )
    if len({path.resolve() for path in found.values()}) < len(found):
        return Fault("same-run", "one run is named twice: nothing can be compared with itself")
    return None


def one_key_differs(found: Mapping[str, Path], keys: Collection[str]) -> Fault | None:
    """All runs differ in one of these keys, in nothing else, and have the same data and seed."""
    if fault := runs_there(found):
        return fault
    recipes = {name: recipe(path) for name, path in found.items()}
    every = dict.fromkeys(key for one in recipes.values() for key in one)
    differing = [key for key in every if len({json.dumps(one.get(key)) for one in recipes.values()}) > 1]
    wanted = [key for key in differing if key in keys]
    if not wanted:
        return Fault("same-recipe", f"the runs do not differ in {' or '.join(keys)}, which is what is asked")
    others = [key for key in differing if key not in (*keys, *IDLE)] + wanted[1:]
    facts = {name: facts_of(path) for name, path in found.items()}
    if len({one.get("data") for one in facts.values()}) > 1:
        return Fault("other-data", "the runs were trained on different data, which explains a difference as well")
    if len({one.get("seed") for one in facts.values()}) > 1:
        return Fault(
            "other-seed", "the runs have different seeds: give --seed 0 to each, or repeat both with several seeds"
        )
    if others:
        differences = ", ".join([wanted[0], *others])
        return Fault(
            "more-differs",
            f"the runs differ in {differences}: only one may, or nobody can say what made the difference",
        )
    return None


def evaluated(found: Mapping[str, Path]) -> Fault | None:
    """Each run has been evaluated, all in the same way."""
    documents = {name: evaluation(path) for name, path in found.items()}
    lacking = next((name for name, one in documents.items() if one is None), None)
    if lacking:
        return Fault("not-evaluated", f"{lacking} has not been evaluated: diffcli evaluate {argument(found[lacking])}")
    protocols = {json.dumps(_protocol(one), sort_keys=True) for one in documents.values() if one}
    if len(protocols) > 1:
        return Fault(
            "other-protocol", "the runs were evaluated in different ways: the same --count, sampler and steps for all"
        )
    return None


def _protocol(document: dict[str, Any]) -> dict[str, Any]:
    protocol = document.get("protocol")
    kept = ("features", "generated", "real", "sampler", "steps", "guidance", "grid", "weights")
    return {key: protocol.get(key) for key in kept} if isinstance(protocol, dict) else {}


def settings_compared(folder: Path) -> list[dict[str, Any]]:
    """What a comparison of samplers looked at: sampler, steps, evaluations, frechet and the rest; [] without one.

    folder: a run, which keeps its last comparison, or what `diffcli compare --out` was given
    """
    document = comparison(folder) or evaluation(folder)
    rows = document.get("settings") if document else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def judged_by(run: Path, folder: Path, numbers: Collection[str]) -> Fault | dict[str, Any]:
    """What an evaluation that was written to a folder by --out says of a run, as it is now.

    numbers:  that it has to hold, beside the `checkpoint` by which it is known whose it is
    """
    document = evaluation(folder)
    if document is None or not all(isinstance(document.get(name), int | float) for name in numbers):
        return Fault("not-judged", f"{folder.name} holds no such evaluation: name the folder that --out was given")
    place = PurePath(str(document.get("checkpoint", "")).replace("\\", "/"))
    if place.parent.name != run.name:
        other = place.parent.name or "something else"
        return Fault("judged-another", f"{folder.name} is an evaluation of {other}, not of {run.name}")
    newest = next((path.name for path in checkpoints(run)), "")
    if place.name != newest:
        return Fault(
            "judged-before",
            f"{folder.name} judged {place.name}, and {run.name} has {newest or 'none'} now: judge it again",
        )
    return document


def claim(
    name: str, claimed: float, wanted: float, within: float, mistaken: Mapping[str, tuple[float, str]], look: str
) -> Fault | None:
    """What is wrong with a number that was claimed; None if it lies within so much of what is wanted.

    mistaken:  usual wrong numbers by the name of the mistake, with what each is
    look:      where the right one is found; completes "look at ..."
    """
    if abs(claimed - wanted) <= within:
        return None
    for fault, (value, text) in mistaken.items():
        if abs(claimed - value) <= within:
            return Fault(fault, f"{name} is {claimed:g}, which is {text}; look at {look}")
    return Fault(
        f"other-{name.replace('_', '-')}", f"{name} is {claimed:g}, the files say something else; look at {look}"
    )


def examiner(exercise: Exercise) -> Experiment:
    """What an exercise's file holds."""
    from diffcli.learn.exercise import module_of

    module = module_of(exercise.file)
    return Experiment(module.examined, module.cases, tuple(getattr(module, "CLAIMS", ())))


def left_behind(
    folder: Path, *, recipe: Mapping[str, Any], status: str = "complete", seed: int = 0, data: str = "d",
    judged: Mapping[str, Any] | None = None, measured: Mapping[str, Any] | None = None,
    compared: Collection[tuple[str, int]] = (), family: str = "diffusion",
) -> Path:  # fmt: skip
    """For cases: a folder as a training leaves it, without weights.

    recipe:    keys that differ from USUAL
    judged:    the protocol of an evaluation, if there is one
    measured:  what it measured besides a Fréchet distance
    compared:  samplers and steps of a comparison, if there is one
    """
    import tomlkit

    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(tomlkit.dumps({**USUAL, **recipe}), "utf-8")
    facts = {"argv": ["train"], "family": family, "seed": seed, "data": data, "status": status}
    (folder / "run.json").write_text(json.dumps(facts), "utf-8")
    if judged is not None:
        document = {"protocol": dict(judged), "frechet": {"value": 1.0, "floor": 0.5}, **(measured or {})}
        (folder / "metrics.json").write_text(json.dumps(document), "utf-8")
    if compared:
        rows = [{"sampler": sampler, "steps": steps, "frechet": 1.0} for sampler, steps in compared]
        (folder / "comparison.json").write_text(json.dumps({"settings": rows}), "utf-8")
    return folder
