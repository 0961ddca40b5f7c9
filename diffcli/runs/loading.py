"""Runs and checkpoints, found by name and read."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffcli import plugins
from diffcli.data.kinds import KINDS, Items, kind_of_shape
from diffcli.data.reading import Reading
from diffcli.data.spans import Spans
from diffcli.errors import CheckpointProblem, UsageProblem, one_of
from diffcli.runs.checkpoint import read_checkpoint
from diffcli.runs.listing import ROOT, SHIPPED, checkpoints, family_name, files, run_of
from diffcli.system.files import is_dir, is_file
from diffcli.training.families import FAMILIES
from diffcli.training.recipes import from_dict
from diffcli.training.setup import build
from diffcli.training.trainer import BY_ITEM, BY_STEP, Plan, Trainer


@dataclass(frozen=True)
class Stored:
    """A checkpoint as it lies on the disk, understood.

    tensors:  model/..., ema/..., optimizer/<weight>/<quantity>, objective/...
    about:    the description in the file; of one that `runs export` made, `exported` says what is left
    notes:    what was odd about it
    """

    path: Path
    tensors: dict[str, Tensor]
    about: dict[str, Any]
    recipe: Any
    items: Items
    notes: tuple[str, ...] = ()

    @property
    def reading(self) -> Reading:
        """How its data are read, also where they lie elsewhere now."""
        return replace(self.recipe.data.reading, mark=self.about.get("data", ""))

    @property
    def by_class(self) -> bool:
        """Whether items were held out class by class."""
        return bool(self.about.get("holdout"))


@dataclass(frozen=True)
class Trained:
    """A model read from a checkpoint, ready to use, and where it comes from."""

    model: Any
    stored: Stored

    @property
    def recipe(self) -> Any:
        """That it was trained by."""
        return self.stored.recipe

    @property
    def items(self) -> Items:
        """What it was trained on, and makes."""
        return self.stored.items

    @property
    def path(self) -> Path:
        """Of the checkpoint."""
        return self.stored.path

    @cached_property
    def digest(self) -> str:
        """Of the weights, and of the codec where they are of latents."""
        found = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            found.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
        if codec := self.stored.about.get("codec"):
            found.update(codec["digest"].encode())
        return found.hexdigest()

    @property
    def run(self) -> Path | None:
        """That it is a checkpoint of, where more is remembered; None of a file that stands for itself."""
        return run_of(self.path)

    @property
    def target(self) -> str:
        """How a next command names it: the run, where there is one, rather than one of its checkpoints."""
        return str(self.run or self.path)


def find(target: str | None, family: str | None = None) -> Path:
    """The run folder or checkpoint file called `target`: a path, a run in checkpoints/, or a file there by its stem.

    None is the newest run; where there is none yet, of diffusion, the file that is shipped.

    family:  of models, that the newest run is looked for in and a name is corrected to; None is any
    """
    every = {p.parent.name: p.parent for p in ROOT.glob("*/step-*.safetensors")}
    runs = {name: run for name, run in every.items() if family in (None, family_name(run))}
    wanted = FAMILIES[family or "diffusion"]
    train = f"train one: {wanted.command} train{wanted.recipe.option}"
    named = files()
    if target is None and not runs and wanted.name == "diffusion" and SHIPPED in named:
        return named[SHIPPED]
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
    if target in named:
        return named[target]
    runs |= named if wanted.name == "diffusion" else {}
    if not runs:
        raise CheckpointProblem(f"unknown run '{target}'", f"there is none in checkpoints/; {train}")
    return ROOT / one_of(target, runs, "run", CheckpointProblem)


def read(path: Path) -> Stored:
    """The newest checkpoint of a run that is whole, or the file itself.

    Raises CheckpointProblem where there is none, and where its recipe is not understood.
    """
    if path.is_file():
        return understood(path, *read_checkpoint(path))
    notes: list[str] = []
    for candidate in checkpoints(path):
        try:
            tensors, about = read_checkpoint(candidate)
        except CheckpointProblem as problem:
            notes.append(f"{problem.message}; using the one before")
        else:
            return understood(candidate, tensors, about, tuple(notes))
    if notes:
        raise CheckpointProblem(f"no checkpoint in {path} is whole", "train it again")
    raise CheckpointProblem(f"{path} has no checkpoint yet", "train longer, or wait for its first one")


def understood(path: Path, tensors: dict[str, Tensor], about: dict[str, Any], notes: tuple[str, ...] = ()) -> Stored:
    """A checkpoint of today's form or an older one: they had no tables in the recipe, and no kind.

    In the oldest the history of losses is a part of the model, where it has no business.
    Raises CheckpointProblem for a recipe that is not understood.
    """
    notes += tuple(plugins.check_here(about.get("impl", ()), path))
    try:
        recipe = from_dict(FAMILIES[about.get("family", "diffusion")].recipe(), about["recipe"])
        recipe.check_core()
        shape = tuple(about["shape"])
        kind = KINDS[about["kind"]] if "kind" in about else kind_of_shape(shape)
        spans, patients = Spans.parsed(about.get("range", "")), bool(about.get("patients"))
        items = Items(kind, shape, tuple(about["classes"]), spans, patients)
    except (KeyError, TypeError, ValueError, UsageProblem) as error:
        raise CheckpointProblem(f"{path} holds a recipe that this diffcli cannot follow: {error}") from error
    old = "model/history."
    moved = {f"objective/{k.removeprefix(old)}" if k.startswith(old) else k: v for k, v in tensors.items()}
    tensors = {k: v for k, v in moved.items() if not k.startswith("ema/history.")}
    return Stored(path, tensors, about, recipe, items, notes)


def load_trained(
    target: str | None, *, weights: str = "ema", device: torch.device, family: str | None = "diffusion"
) -> Trained:
    """The model of a run or checkpoint file, ready to use.

    weights:  "ema" (the average) or "raw"
    family:   that it must be of; None is any

    Raises CheckpointProblem, for a model of another family too.
    """
    folder = {"ema": "ema", "raw": "model"}[one_of(weights, ("ema", "raw"), "weights")]
    path = find(target, family)
    stored = read(path)
    check_family(stored.path, stored.recipe.family, family)
    if target is None and path.is_file():
        own = f"there is no run of yours yet: this is the shipped {path.stem} checkpoint ({path})"
        stored = replace(stored, notes=(f"{own}; diffcli train makes your own", *stored.notes))
    if folder == "model" and "exported" in stored.about:
        raise UsageProblem(f"{stored.path} holds averaged weights only", "leave --weights out")
    try:
        model = build(stored.recipe, stored.items, device)
    except UsageProblem as problem:
        raise CheckpointProblem(f"{stored.path} holds a model that cannot be built: {problem.message}") from None
    fill(model, stored, folder)
    return Trained(model.eval().requires_grad_(False), stored)


def check_family(path: Path, name: str, family: str | None) -> None:
    """Raise CheckpointProblem, with the command that takes it, if a run of family `name` is not of the one wanted."""
    if family is not None and name != family:
        found, wanted = FAMILIES[one_of(name, FAMILIES, "family of models", CheckpointProblem)], FAMILIES[family]
        raise CheckpointProblem(
            f"{path} holds a {found.title}, not a {wanted.title}", f"{found.command} --help lists what it can do"
        )


def restore(trainer: Trainer, stored: Stored) -> None:
    """Put a trainer where the checkpoint was taken."""
    fill(trainer.model, stored, "model")
    fill(trainer.ema, stored, "ema")
    if trainer.objective.state:
        fill(trainer.objective.state, stored, "objective")
    trainer.optimizer.load(_below(stored, "optimizer"))
    trainer.step, trainer.plan = stored.about["step"], Plan(*stored.about["plan"])
    trainer.randomness = stored.about.get("randomness", BY_STEP)
    if trainer.randomness not in (BY_STEP, BY_ITEM):
        message = f"{stored.path} was trained with random numbers that this diffcli does not know: {trainer.randomness}"
        raise CheckpointProblem(message, "upgrade diffcli")


def fill(model: nn.Module, stored: Stored, folder: str) -> None:
    """Copy what is stored below `folder` into the model; raises CheckpointProblem unless it fits exactly."""
    state, own = _below(stored, folder), model.state_dict()
    if state.keys() != own.keys() or any(state[k].shape != own[k].shape for k in own):
        raise CheckpointProblem(f"the weights in {stored.path} are of another shape than its recipe says")
    model.load_state_dict({k: v.to(own[k].dtype) for k, v in state.items()})  # not every device has float64


def _below(stored: Stored, folder: str) -> dict[str, Tensor]:
    prefix = f"{folder}/"
    return {k.removeprefix(prefix): v for k, v in stored.tensors.items() if k.startswith(prefix)}
