"""diffcli train"""

from typing import Annotated, Optional

import typer

from diffcli.commands.training import Options, train_family
from diffcli.console import options
from diffcli.console.options import recipe_option
from diffcli.training.recipes.diffusion import suited


def train(
    dataset: Annotated[
        Optional[str], typer.Option(help="A name (diffcli data lists them) or a folder of images.")
    ] = None,
    minutes: Annotated[Optional[float], recipe_option("minutes", "Time budget; the run ends with it.")] = None,
    steps: Annotated[Optional[int], typer.Option(help="Optimiser steps, instead of --minutes.")] = None,
    schedule: Annotated[Optional[str], recipe_option("schedule", "Noise schedule, e.g. linear.")] = None,
    predict: Annotated[Optional[str], recipe_option("predict", "What the network predicts, e.g. eps.")] = None,
    model: Annotated[Optional[str], recipe_option("model", "Network.")] = None,
    batch: Annotated[Optional[int], recipe_option("batch", "Images or points per step.")] = None,
    lr: Annotated[Optional[float], recipe_option("lr", "Learning rate of AdamW.")] = None,
    recipe: Annotated[
        Optional[str],
        typer.Option(metavar="NAME|FILE.toml", help="Where to start from.  [what suits the data]"),
    ] = None,
    settings: options.Settings = None,
    resume: options.Resume = None,
    dry_run: options.DryRun = False,
    seed: Annotated[Optional[int], recipe_option("seed", "Of all randomness.")] = None,
    data: options.Data = None,
    device: options.Device = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a diffusion model: MNIST in five minutes, or your own images."""
    keys = {
        "dataset": dataset, "minutes": minutes, "steps": steps, "schedule": schedule, "predict": predict,
        "model": model, "batch": batch, "lr": lr, "seed": seed,
    }  # fmt: skip
    wish = Options(keys, recipe, settings or [], resume, dry_run, data, device, out, as_json, quiet)
    train_family("diffusion", wish, suited)
