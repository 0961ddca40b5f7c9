"""What a recipe, a checkpoint or an exact model is: shapes, size, cost, schedule, and where it comes from."""

from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from diffcli import specs
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.levels import Level
from diffcli.data import loading as datasets
from diffcli.data.kinds import Items
from diffcli.runs.listing import facts_of, made_by
from diffcli.runs.loading import Trained, load_trained
from diffcli.runs.records import evaluation
from diffcli.sampling import exact_models
from diffcli.sampling.models import load_model
from diffcli.system.shell import argument
from diffcli.training import recipes
from diffcli.training.families import family_of
from diffcli.training.recipes.diffusion import RECIPES, Recipe
from diffcli.training.setup import build

CPU = torch.device("cpu")


def of_recipe(name: str, data: Path | None) -> dict[str, Any]:
    """The network that a recipe would train, on its data set."""
    recipe = recipes.load_recipe(name, RECIPES)
    recipe.check_core()
    items = datasets.load_dataset(recipe.data.name, data=data, reading=recipe.data.reading).items
    return {
        "name": name,
        "kind": "recipe",
        "dataset": recipe.data.name,
        **_network(recipe, build(recipe, items, CPU), items),
        **_items(items),
        "schedule": _schedule(recipe.schedule, specs.schedule(recipe.schedule)),
        "recipe": recipes.to_dict(recipe),
        "made_by": None,
        "next": f"diffcli train --recipe {argument(name)}",
    }


def of_model(target: str | None, data: Path | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A run, a checkpoint or an exact model, and notes on it."""
    if target is None or not target.startswith(exact_models.PREFIX):
        trained = load_trained(target, device=CPU, family=None)
        if trained.recipe.family != "diffusion":
            return _trained(trained), trained.stored.notes
    model = load_model(target, device=CPU, data=data)
    sampler = "--ddim" if model.exact is None else "--sampler heun"
    document: dict[str, Any] = {
        "name": model.name,
        "kind": "exact model" if model.exact else "checkpoint",
        **_items(model.items),
        "schedule": _schedule(model.schedule_name, model.schedule),
        "next": f"diffcli sample {argument(model.target)} {sampler}" + (" --class all" if model.items.classes else ""),
    }
    if model.trained is None:
        return document, model.notes
    recipe = model.trained.recipe
    own = {**document, "guidance": recipe.sampling.guidance}
    return _trained(model.trained) | _network(recipe, model.trained.model, model.walked) | own, model.notes


def _items(items: Items) -> dict[str, Any]:
    """What the data are."""
    return {
        "shape": list(items.shape),
        "range": [-1, 1] if items.kind.bounded else None,
        "classes": list(items.classes),
    }


def _trained(trained: Trained) -> dict[str, Any]:
    """What is known of any checkpoint."""
    about, recipe, family = trained.stored.about, trained.recipe, family_of(trained.recipe)
    return {
        "name": str(trained.path),
        "kind": f"checkpoint of a {family.title}",
        **_items(trained.items),
        "dataset": recipe.data.name,
        "described": family.describe(recipe),
        "parameters": sum(p.numel() for p in trained.model.parameters()),
        "step": about["step"],
        "images": about["step"] * recipe.batch,
        "training_seconds": about["seconds"],
        "validation_loss": about["validation_loss"],
        "linear_denoiser_loss": about.get("linear_denoiser_loss"),
        "evaluation": evaluation(trained.run) if trained.run else None,
        "file_bytes": trained.path.stat().st_size,
        "exported": about.get("exported"),
        "latents_of": about.get("codec"),
        "base": about.get("base"),
        "hints": _hints(recipe),
        "made_by": made_by(about.get("made") or facts_of(trained.run)),
        "recipe": recipes.to_dict(recipe),
        "next": recipe.next_command(argument(trained.target), classes=bool(trained.items.classes)),
    }


def _network(recipe: Recipe, denoiser: Any, items: Items) -> dict[str, Any]:
    """Size, cost and shape of the network, and of what it corrects."""
    network, level = denoiser.network, Level.of(0.6, 0.8)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        denoiser.eval()(torch.zeros(1, *items.shape), level, **items.in_turn(1))
    pyramid, widths = [], list(recipe.network.own().get("widths", ()))
    if widths:
        coarsest = 2 ** (len(widths) - 1)
        side = -(-max(items.shape[1:]) // (recipe.network.fold * coarsest)) * coarsest
        pyramid = [side // 2**i for i in range(len(widths))]
    return {
        "model": recipe.network.name,
        "predicts": recipe.objective.predict,
        "parameters": sum(p.numel() for p in network.parameters()),
        "flops_per_item": counter.get_total_flops(),
        "pyramid": pyramid,
        "widths": widths,
    }


def _schedule(name: str, schedule: Schedule) -> dict[str, Any]:
    """The kind of a schedule, and its two ends."""
    first, last = (schedule(torch.tensor(t, dtype=torch.float64)) for t in (schedule.first, 1.0))
    return {
        "name": name,
        "entries": schedule.length,
        "log_snr_first": first.log_snr.item(),
        "log_snr_last": last.log_snr.item(),
    }


def _hints(recipe: Any) -> dict[str, Any] | None:
    """What pictures a model obeys; None where it obeys none."""
    keys = getattr(recipe, "control", None)
    if keys is None or keys.name == "none":
        return None
    return {"name": keys.name, "condition": keys.condition, "shape": list(keys.hint)}
