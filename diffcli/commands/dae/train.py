"""diffcli dae train"""

from typing import Annotated, Any, Optional

import typer

from diffcli.commands.training import Options, train_family
from diffcli.console import options
from diffcli.training.recipes.dae import RECIPES, DaeRecipe


def _option(key: str, text: str) -> Any:
    return options.recipe_option(key, text, DaeRecipe)


def train(
    dataset: Annotated[Optional[str], _option("dataset", "A name (diffcli data lists them) or a folder.")] = None,
    corruption: Annotated[Optional[str], _option("corruption", "gaussian, masking or salt-and-pepper.")] = None,
    minutes: Annotated[Optional[float], _option("minutes", "Time budget; the run ends with it.")] = None,
    steps: Annotated[Optional[int], typer.Option(help="Optimiser steps, instead of --minutes.")] = None,
    low: Annotated[
        Optional[float], typer.Option(help="Least amount trained on.  [0.05, as sigma of [-1, 1] or as share]")
    ] = None,
    high: Annotated[Optional[float], typer.Option(help="Largest amount trained on.  [sigma 2, share 0.95]")] = None,
    batch: Annotated[Optional[int], _option("batch", "Images per step.")] = None,
    lr: Annotated[Optional[float], _option("lr", "Learning rate of AdamW.")] = None,
    recipe: Annotated[
        str, typer.Option(metavar="NAME|FILE.toml", help=f"Where to start from: {', '.join(RECIPES)}.")
    ] = "default",
    settings: options.Settings = None,
    resume: options.Resume = None,
    dry_run: options.DryRun = False,
    seed: Annotated[Optional[int], _option("seed", "Of all randomness.")] = None,
    data: options.Data = None,
    device: options.Device = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a denoising autoencoder, told how much each image is corrupted: MNIST in three minutes."""
    keys = {
        "dataset": dataset, "corruption": corruption, "minutes": minutes, "steps": steps, "low": low, "high": high,
        "batch": batch, "lr": lr, "seed": seed,
    }  # fmt: skip
    start = None if recipe == "default" else recipe
    train_family("dae", Options(keys, start, settings or [], resume, dry_run, data, device, out, as_json, quiet))
