"""diffcli info"""

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.console import options
from diffcli.training.recipes.diffusion import RECIPES

if TYPE_CHECKING:
    from diffcli.core.diffusion.schedules import Schedule
    from diffcli.runs.loading import Trained
    from diffcli.training.recipes.diffusion import Recipe


def info(
    target: Annotated[
        Optional[str],
        typer.Argument(
            metavar="[RECIPE|RUN|FILE|exact:...]",
            help="What to describe; default the newest run, else the default recipe.",
        ),
    ] = None,
    data: options.Data = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """What a recipe, run, checkpoint or exact model is: shapes, size, cost, schedule, and how to sample it."""
    from diffcli.console.show import Show
    from diffcli.runs.listing import summaries

    show = Show(as_json=as_json, quiet=quiet)
    if target is None and not summaries()[0]:
        target = "default"
    if target is not None and (target in RECIPES or target.endswith(".toml")):
        document = _recipe(target, data)
    else:
        document = _model(target, data, show)
    show.result(document, _lines(document))


def _recipe(name: str, data: Any) -> dict[str, Any]:
    """Of a recipe: the network that it would train, on its data set."""
    import torch

    from diffcli import specs
    from diffcli.data import loading as datasets
    from diffcli.data.kinds import kind_of
    from diffcli.training import recipes
    from diffcli.training.setup import build

    recipe = recipes.load_recipe(name, RECIPES)
    recipe.check_core()
    dataset = datasets.load_dataset(recipe.dataset, data=data, size=recipe.size)
    denoiser: Any = build(recipe, dataset.shape, len(dataset.classes), torch.device("cpu"))
    return {
        "name": name,
        "kind": "recipe",
        "dataset": recipe.dataset,
        **_network(recipe, denoiser, dataset.shape),
        "shape": list(dataset.shape),
        "range": [-1, 1] if kind_of(dataset.shape).bounded else None,
        "classes": list(dataset.classes),
        "schedule": _schedule(recipe.schedule, specs.schedule(recipe.schedule)),
        "recipe": recipes.to_dict(recipe),
        "made_by": None,
        "next": f"diffcli train --recipe {name}",
    }


def _model(target: str | None, data: Any, show: Any) -> dict[str, Any]:
    """Of a run, a checkpoint or an exact model."""
    import torch

    from diffcli.data.kinds import kind_of
    from diffcli.runs.loading import load_trained
    from diffcli.sampling import exact_models, models

    cpu = torch.device("cpu")
    if target is None or not target.startswith(exact_models.PREFIX):
        trained = load_trained(target, device=cpu, family=None)
        if trained.recipe.family != "diffusion":
            for note in trained.notes:
                show.note(f"note: {note}")
            return _trained(trained)
    model = models.load_model(target, device=cpu, data=data)
    for note in model.notes:
        show.note(f"note: {note}")
    sampler = "--ddim" if model.exact is None else "--sampler heun"
    document: dict[str, Any] = {
        "name": model.name,
        "kind": "exact model" if model.exact else "checkpoint",
        "shape": list(model.shape),
        "range": [-1, 1] if kind_of(model.shape).bounded else None,
        "classes": list(model.classes),
        "schedule": _schedule(model.schedule_name, model.schedule),
        "next": f"diffcli sample {model.target} {sampler}" + (" --class all" if model.classes else ""),
    }
    if model.trained is None:
        return document
    return (
        document
        | _trained(model.trained)
        | _network(model.trained.recipe, model.trained.model, model.shape)
        | {
            "kind": "checkpoint",
            "classes": list(model.classes),
            "guidance": model.trained.recipe.guidance,
            "next": document["next"],
        }
    )


def _trained(trained: "Trained") -> dict[str, Any]:
    """What is known of any checkpoint."""
    from diffcli.data.kinds import kind_of
    from diffcli.runs.listing import made_by
    from diffcli.training.families import family_of

    about, recipe, family = trained.about, trained.recipe, family_of(trained.recipe)
    return {
        "name": str(trained.path),
        "kind": f"checkpoint of a {family.title}",
        "shape": list(trained.shape),
        "range": [-1, 1] if kind_of(trained.shape).bounded else None,
        "classes": list(trained.classes),
        "dataset": recipe.dataset,
        "described": family.describe(recipe),
        "parameters": sum(p.numel() for p in trained.model.parameters()),
        "step": about["step"],
        "images": about["step"] * recipe.batch,
        "training_seconds": about["seconds"],
        "validation_loss": about["validation_loss"],
        "linear_denoiser_loss": about.get("linear_denoiser_loss"),
        "file_bytes": trained.path.stat().st_size,
        "made_by": made_by(trained.path.parent),
        "recipe": about["recipe"],
        "next": family.next(trained.recipe, trained.path.parent, trained.classes),
    }


def _network(recipe: "Recipe", denoiser: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """Size, cost and shape of the network, and of what it corrects."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from diffcli.core.levels import Level

    network = denoiser.network
    level = Level(torch.tensor(0.6, dtype=torch.float64), torch.tensor(0.8, dtype=torch.float64))
    label = torch.zeros(1, dtype=torch.long) if network.classes else None
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        denoiser.eval()(torch.zeros(1, *shape), level, label=label)
    pyramid: list[int] = []
    if len(shape) == 3:
        side = -(-max(shape[1:]) // (recipe.fold * 2 ** (len(recipe.widths) - 1))) * 2 ** (len(recipe.widths) - 1)
        pyramid = [side // 2**i for i in range(len(recipe.widths))]
    return {
        "model": recipe.model,
        "predicts": recipe.predict,
        "parameters": sum(p.numel() for p in network.parameters()),
        "flops_per_item": counter.get_total_flops(),
        "pyramid": pyramid,
        "widths": list(recipe.widths) if pyramid else [],
    }


def _schedule(name: str, schedule: "Schedule") -> dict[str, Any]:
    """Its kind and its two ends."""
    import torch

    first, last = (schedule(torch.tensor(t, dtype=torch.float64)) for t in (schedule.first, 1.0))
    return {
        "name": name,
        "entries": schedule.length,
        "log_snr_first": first.log_snr.item(),
        "log_snr_last": last.log_snr.item(),
    }


def _lines(document: dict[str, Any]) -> list[str]:
    """The document for a reader, one fact a line."""
    from diffcli.system.text import duration, size

    d = document
    shape = "x".join(map(str, d["shape"]))
    unit = "image" if len(d["shape"]) == 3 else "point"
    rows = {
        "name": f"{d['name']} ({d['kind']})",
        "shape": f"{shape}" + (", values in [-1, 1]" if d["range"] else ""),
        "classes": f"{len(d['classes'])}: {', '.join(d['classes'])}" if d["classes"] else "none",
    }
    if "schedule" in d:
        schedule = d["schedule"]
        entries = f"{schedule['entries']} entries" if schedule["entries"] else "continuous"
        ends = f"log-SNR {schedule['log_snr_first']:.3g} to {schedule['log_snr_last']:.3g}"
        rows["schedule"] = f"{schedule['name']}, {entries}, {ends}"
    if "model" in d:
        cost = (
            f"{d['parameters'] / 1e6:.3g} M parameters, {d['flops_per_item'] / 1e9:.3g} GFLOP per {unit} and evaluation"
        )
        rows["network"] = f"{d['model']}, predicts {d['predicts']}, {cost}"
        rows["data"] = d["dataset"]
    elif "described" in d:
        rows["network"] = f"{d['described']}, {d['parameters'] / 1e6:.3g} M parameters"
        rows["data"] = d["dataset"]
    if d.get("pyramid"):
        steps = (f"{side}x{side} ({width} channels)" for side, width in zip(d["pyramid"], d["widths"], strict=True))
        rows["pyramid"] = f"{shape} folded to " + " > ".join(steps)
    if "step" in d:
        rows["trained"] = f"{d['step']} steps, {d['images']} {unit}s, {duration(d['training_seconds'])}"
        if d["validation_loss"] is not None:
            line = d["linear_denoiser_loss"]
            rows["loss"] = f"validation {d['validation_loss']:.4f}" + (
                "" if line is None else f", best linear denoiser {line:.4f}"
            )
        if d["classes"] and "guidance" in d:
            rows["guidance"] = f"{d['guidance']:g} with a class"
        rows["file"] = size(d["file_bytes"])
    if d.get("made_by"):
        rows["made by"] = d["made_by"]
    if d["kind"] == "recipe":
        recipe = d["recipe"]
        length = f"{recipe['steps']} steps" if recipe["steps"] else f"{recipe['minutes']:g} minutes"
        rows["trains"] = f"{length}, batch {recipe['batch']}, {recipe['optimizer']}"
    wide = max(map(len, rows))
    return [*(f"{name:<{wide}}  {text}" for name, text in rows.items()), f"next: {d['next']}"]
