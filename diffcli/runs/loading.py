"""Runs and checkpoints, found by name and read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffcli.data.kinds import KINDS
from diffcli.errors import CheckpointProblem, UsageProblem, one_of
from diffcli.runs.checkpoint import read_checkpoint
from diffcli.runs.listing import ROOT, checkpoints, family_name
from diffcli.system.files import is_dir, is_file
from diffcli.training.families import FAMILIES
from diffcli.training.fit import Plan, Trainer
from diffcli.training.recipes import Training
from diffcli.training.setup import build


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
        return path, *read_checkpoint(path), ()
    notes: list[str] = []
    for candidate in checkpoints(path):
        try:
            return candidate, *read_checkpoint(candidate), tuple(notes)
        except CheckpointProblem as problem:
            notes.append(f"{problem.message}; using the one before")
    if notes:
        raise CheckpointProblem(f"no checkpoint in {path} is whole", "train it again")
    raise CheckpointProblem(f"{path} has no checkpoint yet", "train longer, or wait for its first one")


def load_trained(
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
