"""The run folder: recipe, facts, metrics, previews and checkpoints; how it is written, and found again."""

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import filelock
import tomli_w
import torch
from torch import Tensor, nn

from diffcli import checkpoint, recipes
from diffcli.device import use_bf16
from diffcli.errors import BusyProblem, CheckpointProblem, EnvironmentProblem, UsageProblem, one_of
from diffcli.families import FAMILIES, family_of
from diffcli.files import cannot_write, check_free, is_dir, is_file, numbered, write_atomically
from diffcli.history import ROOT, checkpoints, family_name
from diffcli.kinds import KINDS
from diffcli.optimizers import Optimizer
from diffcli.recipes import Training
from diffcli.show import finite
from diffcli.training import Plan, Trainer

KEPT = 2  # checkpoints; the older one is the way back if the newer is damaged


@dataclass(frozen=True)
class Trained:
    """A model read from a checkpoint, and all that is known of it."""

    model: Any
    recipe: Any
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    path: Path
    about: dict[str, Any]
    notes: tuple[str, ...]


def build(recipe: Training, shape: tuple[int, ...], classes: int, device: torch.device) -> nn.Module:
    """An untrained model for items of this shape, (C, H, W) or (D,), its weights drawn from the recipe's seed.

    Raises UsageProblem if the recipe's network does not take such items.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = family_of(recipe).build(recipe, shape, classes, use_bf16(recipe.precision, device))
    return model.to(device).to(memory_format=torch.channels_last)


def trainer(recipe: Training, model: nn.Module) -> Trainer:
    """A training run at its start; a run by the clock gets its plan later."""
    optimizer = Optimizer(
        model,
        name=recipe.optimizer,
        lr=recipe.lr,
        muon_lr=recipe.muon_lr,
        weight_decay=recipe.weight_decay,
    )
    return Trainer(model, optimizer, Plan(recipe.steps))


# Writing


def create(out: Path | None, name: str) -> Path:
    """A fresh folder for a run, `out` or checkpoints/<name>-<number>; raises BusyProblem if it is taken."""
    folder = out or numbered(ROOT, name)
    check_free(folder, f"go on with --resume {folder}, or choose another --out")
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
    write_atomically(folder / "recipe.toml", tomli_w.dumps(recipes.to_dict(recipe)).encode())
    about = {
        "argv": sys.argv[1:],
        "versions": {name: version(name) for name in ("diffcli", "torch", "numpy")}
        | {"python": sys.version.split()[0]},
        "threads": torch.get_num_threads(),
        **facts,
    }
    write_atomically(folder / "run.json", json.dumps(about, indent=2).encode())


def set_status(folder: Path, status: str) -> None:
    """Record in run.json what became of the run."""
    path = folder / "run.json"
    about = json.loads(path.read_text()) | {"status": status}
    write_atomically(path, json.dumps(about, indent=2).encode())


def log(folder: Path, row: dict[str, Any]) -> None:
    """Append one object to metrics.jsonl."""
    path = folder / "metrics.jsonl"
    try:
        with path.open("a") as file:
            file.write(json.dumps(finite(row)) + "\n")
    except OSError as error:
        raise cannot_write(path, error) from error


def _name(step: int) -> str:
    """Of a checkpoint; names sort by step."""
    return f"step-{step:09d}.safetensors"


def save(folder: Path, trainer: Trainer, about: dict[str, Any]) -> Path:
    """Write a checkpoint of everything a resume needs; only then delete all but the newest two."""
    tensors = {f"model/{k}": v for k, v in trainer.model.state_dict().items()}
    tensors |= {f"ema/{k}": v for k, v in trainer.ema.state_dict().items()}
    tensors |= {f"optimizer/{k}": v for k, v in trainer.optimizer.state().items()}
    path = folder / _name(trainer.step)
    plan = trainer.plan
    checkpoint.save(path, tensors, about | {"step": trainer.step, "plan": [plan.total, plan.step, plan.progress]})
    for old in checkpoints(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


# Reading


def find(target: str | None, family: str | None = None) -> Path:
    """The run folder or checkpoint file called `target`: a path, or a run in checkpoints/; None is the newest.

    family:  of models, that the newest run is looked for in and a name is corrected to; None is any
    """
    every = {p.parent.name: p.parent for p in ROOT.glob("*/step-*.safetensors")}
    runs = {name: run for name, run in every.items() if family in (None, family_name(run))}
    wanted = FAMILIES[family or "diffusion"]
    train = f"train one: {wanted.command} train"
    if target is None:
        if not runs:
            what = "trained model" if family in (None, "diffusion") else f"trained {wanted.title}"
            raise CheckpointProblem(f"there is no {what} in checkpoints/", train)
        return max(runs.values(), key=lambda run: checkpoints(run)[0].stat().st_mtime)
    for path in (Path(target), ROOT / target):
        if is_file(path) or (is_dir(path) and (path / "run.json").exists()):
            return path
    if is_dir(Path(target)):
        raise CheckpointProblem(
            f"{target} is not a run: it has no run.json", f"name the folder that {wanted.command} train wrote"
        )
    if not runs:
        raise CheckpointProblem(f"unknown run '{target}'", f"there is none in checkpoints/; {train}")
    return ROOT / one_of(target, runs, "run", CheckpointProblem)


def read(path: Path) -> tuple[Path, dict[str, Tensor], dict[str, Any], tuple[str, ...]]:
    """The newest checkpoint of a run that is whole, or the file itself: its path, tensors, description, and notes."""
    if path.is_file():
        return path, *checkpoint.load(path), ()
    notes: list[str] = []
    for candidate in checkpoints(path):
        try:
            return candidate, *checkpoint.load(candidate), tuple(notes)
        except CheckpointProblem as problem:
            notes.append(f"{problem.message}; using the one before")
    if notes:
        raise CheckpointProblem(f"no checkpoint in {path} is whole", "train it again")
    raise CheckpointProblem(f"{path} has no checkpoint yet", "train longer, or wait for its first one")


def load(
    target: str | None, *, weights: str = "ema", device: torch.device, family: str | None = "diffusion"
) -> Trained:
    """The model of a run or checkpoint file, ready to use.

    weights:  "ema" (the average) or "raw"
    family:   that it must be of; None is any

    Raises CheckpointProblem, for a model of another family too.
    """
    folder = {"ema": "ema", "raw": "model"}[one_of(weights, ("ema", "raw"), "weights")]
    path, tensors, about, notes = read(find(target, family))
    recipe, shape, classes = understood(path, about)
    check_family(path, about.get("family", "diffusion"), family)
    model = build(recipe, shape, len(classes), device)
    fill(model, tensors, folder, path)
    return Trained(model.eval().requires_grad_(False), recipe, shape, classes, path, about, notes)


def check_family(path: Path, name: str, family: str | None) -> None:
    """Raise CheckpointProblem, with the command that takes it, if a run of family `name` is not of the one wanted."""
    if family is not None and name != family:
        found, wanted = FAMILIES[one_of(name, FAMILIES, "family of models", CheckpointProblem)], FAMILIES[family]
        raise CheckpointProblem(
            f"{path} holds a {found.title}, not a {wanted.title}", f"{found.command} --help lists what it can do"
        )


def set_aside(folder: Path, after: int) -> None:
    """Rename the checkpoints of steps that will be taken again (they are damaged), so that they are not the newest.

    What a kill left half-written goes.
    """
    for part in folder.glob(".*.part"):
        part.unlink()
    for path in checkpoints(folder):
        if path.name > _name(after):
            path.rename(path.with_suffix(".damaged"))


def restore(trainer: Trainer, path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Put a trainer where the checkpoint was taken."""
    fill(trainer.model, tensors, "model", path)
    fill(trainer.ema, tensors, "ema", path)
    prefix = "optimizer/"
    device = next(trainer.model.parameters()).device
    state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    trainer.optimizer.load({k: v.to(device) if v.dim() else v for k, v in state.items()})  # step counts stay here
    trainer.step, trainer.plan = about["step"], Plan(*about["plan"])


def understood(path: Path, about: dict[str, Any]) -> tuple[Training, tuple[int, ...], tuple[str, ...]]:
    """Recipe, shape and classes of a checkpoint; raises CheckpointProblem if they are not understood."""
    try:
        recipe = FAMILIES[about.get("family", "diffusion")].recipe(**about["recipe"])
        recipe.check_core()
        shape = tuple(about["shape"])
        if len(shape) not in KINDS or not all(isinstance(n, int) and n > 0 for n in shape):
            raise ValueError(f"items of shape {about['shape']}")
        return recipe, shape, tuple(about["classes"])
    except (KeyError, TypeError, ValueError, UsageProblem) as error:
        raise CheckpointProblem(f"{path} holds a recipe that this diffcli cannot follow: {error}") from error


def fill(model: nn.Module, tensors: dict[str, Tensor], folder: str, path: Path) -> None:
    """Copy the weights stored below `folder` into the model; raises CheckpointProblem unless they fit exactly."""
    prefix = f"{folder}/"
    state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    own = model.state_dict()
    if state.keys() != own.keys() or any(state[k].shape != own[k].shape for k in own):
        raise CheckpointProblem(f"the weights in {path} are of another shape than its recipe says")
    model.load_state_dict(state)
