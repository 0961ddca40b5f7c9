"""The model that a run begins with: read from its checkpoint, and what a recipe upon it looks like."""

from dataclasses import replace
from typing import Any

import torch

from diffcli.core.models.lora import additions_of, merged
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import POINTS
from diffcli.errors import UsageProblem
from diffcli.runs.codecs import Carried, codec_in
from diffcli.runs.loading import Trained, check_family, find, load_trained, read
from diffcli.training.families.base import Basis
from diffcli.training.hinting import settled_hint
from diffcli.training.recipes import DataKeys, Training, override
from diffcli.training.recipes.adaptation import NoAdaptationKeys
from diffcli.training.recipes.optimizers import MuonKeys

MINUTES = 5.0
SLOWER = 2.0  # rates are this much lower than those that the base was trained with
LORA_RATE = 1e-2  # of AdamW, for additions of low rank
EMA, WARMUP, BATCH = 0.995, 30, 64  # at most: averages over long trainings would never leave the base


def based_on(target: str | None, device: torch.device) -> tuple[Basis, Carried | None]:
    """The averaged weights of a run or checkpoint for another run to begin with, and the codec that goes along.

    Raises CheckpointProblem, and UsageProblem for a model of points.
    """
    trained = load_trained(target, device=device)
    if trained.items.kind is POINTS:
        raise UsageProblem(f"{trained.target} is a model of points, and this begins with models of images")
    return basis_of(trained), codec_in(trained.stored, device)


def basis_of(trained: Trained) -> Basis:
    """A model that is loaded, as what another run begins with; its own additions are merged into its weights."""
    model = trained.model
    added = {f"network.{name}": addition for name, addition in additions_of(model.network).items()}
    state = merged(model.state_dict(), added)
    return Basis(state, trained.recipe, trained.items, trained.digest, trained.target)


def recipe_upon(recipe: Any, dataset: str = "") -> Any:
    """The recipe of a run that begins with a run of this recipe: its network and objective, slower, for five minutes.

    dataset:  that it is trained on; "" is that of the base
    """
    keys = MuonKeys() if recipe.adaptation.name == "lora" else recipe.optimizer  # additions had rates of their own
    rates = {name: getattr(keys, name) / SLOWER for name in ("lr", "muon_lr") if name in keys.own()}
    data = DataKeys(dataset) if dataset else recipe.data
    length = {
        "minutes": MINUTES,
        "steps": 0,
        "checkpoint_every": 0,
        "micro_batch": 0,
        "batch": min(recipe.batch, BATCH),
    }
    optimizer = replace(keys, **rates, ema=min(keys.ema, EMA), warmup=min(keys.warmup, WARMUP))
    recipe = replace(recipe, adaptation=NoAdaptationKeys(), dial=(), shard=False, **length)
    return replace(recipe, data=data, optimizer=optimizer)


def begun_with(target: str | None, changes: dict[str, Any]) -> tuple[Any, str]:
    """The recipe of a run that begins with another run, with changes of keys, and the checkpoint of that.

    Additions are trained by AdamW unless the changes say otherwise. Raises CheckpointProblem and UsageProblem.
    """
    stored = read(find(target, "diffusion"))
    check_family(stored.path, stored.recipe.family, "diffusion")
    if stored.items.kind is POINTS:
        raise UsageProblem(f"{stored.path} is a model of points, and this begins with models of images")
    recipe = recipe_upon(stored.recipe, changes.get("dataset", ""))
    if changes.get("adaptation") == "lora" and "optimizer" not in changes:
        recipe = override(recipe, {"optimizer": "adamw", "optimizer.lr": LORA_RATE})
    return override(recipe, changes), str(stored.path)


def from_scratch(recipe: Any, base: str, seconds: float) -> Any:
    """The recipe of a run that begins with nothing, for so many seconds, to be held beside one upon a base.

    Its rates are the base's own; data, batch and seed are those of the other.
    """
    own = read(find(base, "diffusion")).recipe
    optimizer = replace(own.optimizer, ema=min(own.optimizer.ema, EMA), warmup=min(own.optimizer.warmup, WARMUP))
    length = {"minutes": seconds / 60, "steps": 0, "checkpoint_every": 0, "dial": ()}
    own = replace(own, adaptation=NoAdaptationKeys(), data=recipe.data, optimizer=optimizer, **length)
    return replace(own, batch=recipe.batch, seed=recipe.seed)


def settled_upon(recipe: Training, basis: Basis, dataset: Dataset) -> Training:
    """The recipe once the data are known: `labels` of additions is auto no more.

    Raises UsageProblem where the recipe has another network than the basis.
    """
    network, own = basis.recipe.own() | vars(basis.recipe), vars(recipe)
    if network["network"] != own["network"]:
        raise UsageProblem(
            f"the network of {basis.place} is what this begins with: its keys cannot change", "leave them out"
        )
    if recipe.family == "diffusion" and own["control"].name != "none":
        recipe = override(recipe, {"control.hint": settled_hint(recipe, dataset)})
    if recipe.family == "diffusion" and getattr(own["adaptation"], "labels", "") == "auto":
        same = basis.items.classes == dataset.classes
        return override(recipe, {"adaptation.labels": "no" if same else "yes"})
    return recipe
