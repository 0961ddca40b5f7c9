"""What is to be trained, and the session that does it: a fresh run, or one that is gone on with."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from diffcli import plugins
from diffcli.errors import DataProblem, UsageProblem
from diffcli.runs import folder as runs
from diffcli.runs import loading
from diffcli.runs.basing import based_on
from diffcli.runs.codecs import codec_in
from diffcli.runs.listing import family_name
from diffcli.runs.session import Session, Setting
from diffcli.system.files import check_free
from diffcli.system.shell import argument
from diffcli.training.recipes import Training, override
from diffcli.training.trainer import Plan


@dataclass(frozen=True)
class Assignment:
    """What is to be trained: a recipe, or a run to go on with.

    recipe:   with its changes made; None with `resume`
    resume:   a run; only `steps` or `minutes`, which count from the run's beginning, `shard`, and where the very same
              data lie may change
    changes:  of keys, for a resume
    follows:  whether another process leads, which holds the run and writes it
    base:     the checkpoint that a fresh run begins with; None is random weights
    """

    family: str
    setting: Setting
    recipe: Training | None = None
    resume: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    follows: bool = False
    base: str | None = None


@contextlib.contextmanager
def opened(wanted: Assignment) -> Iterator["Session"]:
    """The session that does what is wanted; a run is held against other processes until the end.

    Raises UsageProblem, DataProblem, CheckpointProblem, BusyProblem.
    """
    with contextlib.ExitStack() as held:
        if wanted.resume is None:
            out = wanted.setting.out
            if out is not None and not wanted.follows:
                check_free(out, f"go on with --resume {argument(out)}, or choose another --out")
            assert wanted.recipe is not None
            basis, codec = based_on(wanted.base, wanted.setting.device) if wanted.base else (None, None)
            yield Session(wanted.recipe, wanted.setting, held, codec=codec, basis=basis)
            return
        folder = loading.find(wanted.resume, wanted.family)
        if folder.is_file() and "exported" in loading.read(folder).about:
            raise UsageProblem(
                f"{folder} holds averaged weights only: no optimiser, no position to go on from",
                "diffcli train makes a run of your own",
            )
        if folder.is_file():
            hint = f"try --resume {argument(folder.parent)}"
            raise UsageProblem(f"--resume takes a run, not a file: {wanted.resume}", hint)
        loading.check_family(folder, family_name(folder), wanted.family)
        if not wanted.follows:
            held.enter_context(runs.locked(folder))
        yield _resumed(folder, wanted, held)


def _resumed(folder: Path, wanted: Assignment, held: contextlib.ExitStack) -> "Session":
    """The session that goes on with a run from its newest whole checkpoint."""
    stored = loading.read(folder)
    if refused := sorted(set(wanted.changes) - {"steps", "minutes", "shard", "dataset"}):
        raise UsageProblem(f"a resume cannot change {', '.join(refused)}", "start a new run for that")
    torch.set_num_threads(stored.about["threads"])
    codec = codec_in(stored, wanted.setting.device)
    recipe = override(stored.recipe, wanted.changes)
    session = Session(recipe, wanted.setting, held, stored.about.get("holdout", ""), codec, known=stored.items.classes)
    here = {plugin.digest for plugin in plugins.loaded()}
    if changed := [d["file"] for d in stored.about.get("impl", ()) if d["digest"] not in here]:
        copy = folder / "impl" / changed[0]
        raise DataProblem(f"{changed[0]} has changed since the run began", f"use the copy: --impl {argument(copy)}")
    if session.dataset.fingerprint != stored.about["data"]:
        raise _other_data(stored.recipe.data.name, wanted.changes.get("dataset"))
    loading.restore(session.trainer, stored)
    session.folder, session.notes, session.used = folder, stored.notes, stored.about["seconds"]
    session.based = stored.about.get("base")
    session.ranks_before = stored.about.get("ranks", 1)
    trainer = session.trainer
    longer = bool(wanted.changes.keys() & {"steps", "minutes"})
    if longer:
        trainer.plan = Plan(session.recipe.steps)
    spent = session.recipe.steps == 0 and session.used >= session.recipe.minutes * 60
    if session.complete or (longer and spent):
        done = f"{trainer.step} steps in {session.used / 60:.1f} minutes"
        raise UsageProblem(f"{folder} is complete: {done}", "go on to more --steps or --minutes in all")
    return session


def _other_data(name: str, moved: str | None) -> DataProblem:
    """The problem for data that are not those that the run began with."""
    if moved is None:
        return DataProblem(f"{name} has changed since the run began", "start a new run")
    return DataProblem(f"{moved} does not hold the very images that the run began with, in {name}", "start a new run")
