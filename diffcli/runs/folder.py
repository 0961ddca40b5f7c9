"""The run folder: recipe, facts, metrics, previews and checkpoints; how it is written."""

import contextlib
import json
import math
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import filelock
import torch
from torch import Tensor

from diffcli.core.models.lora import additions_of
from diffcli.errors import BusyProblem, EnvironmentProblem
from diffcli.plugins import Plugin
from diffcli.runs.additions import FILE, write_additions
from diffcli.runs.checkpoint import write_checkpoint
from diffcli.runs.listing import ROOT, checkpoints
from diffcli.system.files import cannot_write, check_free, numbered, write_atomically
from diffcli.system.shell import argument
from diffcli.system.text import installed, json_text, utf8
from diffcli.training import recipes
from diffcli.training.recipes import Training
from diffcli.training.trainer import Trainer

BEGIN = "begin.safetensors"  # of a run that began with another one's weights: those
KEPT = 2  # checkpoints; the older one is the way back if the newer is damaged


def create(out: Path | None, name: str) -> Path:
    """A fresh folder for a run, `out` or checkpoints/<name>-<number>; raises BusyProblem if it is taken."""
    folder = out or numbered(ROOT, name)
    check_free(folder, f"go on with --resume {argument(folder)}, or choose another --out")
    try:
        (folder / "samples").mkdir(parents=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


@contextlib.contextmanager
def removed_if_empty(folder: Path) -> Iterator[None]:
    """Remove a fresh run whose training failed before its first checkpoint, for want of disk space perhaps."""
    try:
        yield
    except EnvironmentProblem:
        if not checkpoints(folder):
            shutil.rmtree(folder, ignore_errors=True)
        raise


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run for this process; raises BusyProblem if another one does."""
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise BusyProblem(f"{folder} is being trained by another process", "wait for it, or stop it") from None
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def describe(folder: Path, recipe: Training, facts: dict[str, Any]) -> None:
    """Write recipe.toml and run.json."""
    write_atomically(folder / "recipe.toml", utf8(recipes.to_toml(recipe)))
    about = {
        "argv": sys.argv[1:],
        "versions": {name: installed(name) for name in ("diffcli", "torch", "numpy")}
        | {"python": sys.version.split()[0]},
        "threads": torch.get_num_threads(),
        **facts,
    }
    write_atomically(folder / "run.json", json_text(about, indent=2).encode())


def keep(folder: Path, files: Iterable[Plugin]) -> None:
    """Keep a copy of every plug-in that a run is trained with."""
    for plugin in files:
        (folder / "impl").mkdir(exist_ok=True)
        write_atomically(folder / "impl" / plugin.path.name, plugin.text.encode())


def set_status(folder: Path, status: str) -> None:
    """Record in run.json what became of the run."""
    path = folder / "run.json"
    about = json.loads(path.read_text("utf-8")) | {"status": status}
    write_atomically(path, json_text(about, indent=2).encode())


def log(folder: Path, row: dict[str, Any]) -> None:
    """Append one object to metrics.jsonl."""
    path = folder / "metrics.jsonl"
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json_text(row) + "\n")
    except OSError as error:
        raise cannot_write(path, error) from error


def bytes_of_checkpoints(trainer: Trainer) -> int:
    """What the checkpoints of a run will take: weights, their average, and the moments of the optimiser."""
    weights = sum(p.numel() for p in trainer.model.parameters())
    return KEPT * 4 * (2 * weights + trainer.optimizer.moments)


def _name(step: int) -> str:
    """Of a checkpoint; names sort by step."""
    return f"step-{step:09d}.safetensors"


def save(folder: Path, trainer: Trainer, tensors: dict[str, Tensor], about: dict[str, Any]) -> Path:
    """Write a checkpoint of everything a resume needs; only then delete all but the newest two.

    tensors:  of the trainer, whole
    """
    path = folder / _name(trainer.step)
    plan = trainer.plan
    where = {"step": trainer.step, "plan": [plan.total, plan.step, plan.progress], "randomness": trainer.randomness}
    write_checkpoint(path, tensors, about | where)
    if additions := additions_of(trainer.ema):
        bare = {name.removeprefix("network."): addition for name, addition in additions.items()}
        write_additions(folder / FILE, bare)
    for old in checkpoints(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def save_begin(folder: Path, trainer: Trainer, tensors: dict[str, Tensor], about: dict[str, Any]) -> Path:
    """Write what a run upon another one began with: averaged weights only, which stay beside the checkpoints."""
    kept = {name: value for name, value in tensors.items() if name.startswith(("ema/", "codec/"))}
    where = {"step": 0, "exported": {"weights": "ema", "precision": "float32"}}
    write_checkpoint(folder / BEGIN, kept, about | where)
    return folder / BEGIN


def set_aside(folder: Path, after: int) -> None:
    """Rename the checkpoints of steps that will be taken again (they are damaged), so that they are not the newest.

    What a kill left half-written goes.
    """
    for part in folder.glob(".*.part"):
        part.unlink()
    for path in checkpoints(folder):
        if path.name > _name(after):
            path.rename(path.with_suffix(".damaged"))


def forget_rows(folder: Path, after: int) -> None:
    """Drop the rows of the metrics of steps that will be taken again."""
    path = folder / "metrics.jsonl"
    if path.exists():
        rows = [line for line in path.read_text("utf-8").splitlines() if _step(line) <= after]
        write_atomically(path, "".join(row + "\n" for row in rows).encode())


def _step(row: str) -> float:
    """The step of a row; infinite where it is half-written."""
    try:
        return json.loads(row)["step"]
    except ValueError:
        return math.inf
