"""diffcli info"""

from typing import Annotated, Any, Optional

import typer

from diffcli.console import options
from diffcli.training import recipes
from diffcli.training.recipes.diffusion import RECIPES


def info(
    target: Annotated[
        Optional[str],
        typer.Argument(
            metavar="[RECIPE|RUN|FILE|exact:...]",
            help="What to describe; default the newest run, else the shipped file, else the default recipe.",
        ),
    ] = None,
    impl: options.Impl = None,
    data: options.Data = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """What a recipe, run, checkpoint or exact model is. Shapes, size, cost, schedule, and how to sample it."""
    from diffcli import plugins
    from diffcli.console.show import Show
    from diffcli.evaluation import description
    from diffcli.runs.listing import SHIPPED, files, summaries

    show = Show(as_json=as_json, quiet=quiet)
    plugins.load([*(impl or ()), *(recipes.impl_of(target) if target else ())])
    if target is None and not summaries()[0] and SHIPPED not in files():
        target = "default"
    notes: tuple[str, ...] = ()
    if target is not None and (target in RECIPES or target.endswith(".toml")):
        document = description.of_recipe(target, data)
    else:
        document, notes = description.of_model(target, data)
    for note in notes:
        show.note(f"note: {note}")
    show.result(document, _lines(document))


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
    if d.get("base"):
        rows["begun with"] = f"{d['base']['from']}, digest {d['base']['digest'][:16]}"
    if d.get("hints"):
        shape = "x".join(map(str, d["hints"]["shape"]))
        rows["obeys"] = f"{d['hints']['condition']}, hints of {shape} ({d['hints']['name']})"
    if d.get("latents_of"):
        before = d["latents_of"]
        whole = "x".join(map(str, before["shape"]))
        rows["latents"] = f"of images {whole}, by {before['from']} (carried, digest {before['digest']})"
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
        if d.get("evaluation"):
            rows["judged"] = _judged(d["evaluation"])
        left = d["exported"]
        rows["file"] = size(d["file_bytes"]) + (f", averaged weights in {left['precision']}" if left else "")
    if d.get("made_by"):
        rows["made by"] = d["made_by"]
    if d["kind"] == "recipe":
        recipe = d["recipe"]
        length = f"{recipe['steps']} steps" if recipe["steps"] else f"{recipe['minutes']:g} minutes"
        rows["trains"] = f"{length}, batch {recipe['batch']}, {recipe['optimizer']['name']}"
    wide = max(map(len, rows))
    return [*(f"{name:<{wide}}  {text}" for name, text in rows.items()), f"next: {d['next']}"]


def _judged(found: dict[str, Any]) -> str:
    """The last evaluation in a line; whatever cannot be read of it is left out."""
    distance, protocol = found.get("frechet") or {}, found.get("protocol") or {}
    parts = []
    if distance.get("value") is not None:
        beside = f" (real images {distance['floor']:.3g})" if distance.get("floor") is not None else ""
        parts.append(f"{found.get('distance', 'distance')} {distance['value']:.3g}{beside}")
    if found.get("class_agreement") is not None:
        parts.append(f"{found['class_agreement']:.1%} read as asked")
    parts.append(f"{protocol.get('generated')} by {protocol.get('sampler')} in {protocol.get('steps')} steps")
    return ", ".join([*parts, str(found.get("written", ""))])
