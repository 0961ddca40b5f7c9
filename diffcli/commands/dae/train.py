"""diffcli dae train"""

from typing import Annotated, Optional

import typer

from diffcli import options
from diffcli.commands.training import Options, train_family
from diffcli.options import recipe_option
from diffcli.recipes.dae import DaeRecipe


def train(
    dataset: Annotated[
        Optional[str], typer.Option(help="A name (diffcli data lists them) or a folder of images.")
    ] = None,
    corruption: Annotated[
        Optional[str], recipe_option("corruption", "gaussian, masking or salt-and-pepper.", DaeRecipe)
    ] = None,
    minutes: Annotated[
        Optional[float], recipe_option("minutes", "Time budget; the run ends with it.", DaeRecipe)
    ] = None,
    steps: Annotated[Optional[int], typer.Option(help="Optimiser steps, instead of --minutes.")] = None,
    batch: Annotated[Optional[int], recipe_option("batch", "Images per step.", DaeRecipe)] = None,
    lr: Annotated[Optional[float], recipe_option("lr", "Learning rate of AdamW.", DaeRecipe)] = None,
    recipe: Annotated[
        Optional[str], typer.Option(metavar="NAME|FILE.toml", help="Where to start from.  [default]")
    ] = None,
    settings: options.Settings = None,
    resume: options.Resume = None,
    dry_run: options.DryRun = False,
    seed: Annotated[Optional[int], recipe_option("seed", "Of all randomness.", DaeRecipe)] = None,
    data: options.Data = None,
    device: options.Device = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a denoising autoencoder that is told how damaged an image is: three minutes for MNIST."""
    keys = {
        "dataset": dataset, "corruption": corruption, "minutes": minutes, "steps": steps, "batch": batch, "lr": lr,
        "seed": seed,
    }  # fmt: skip
    train_family("dae", Options(keys, recipe, settings or [], resume, dry_run, data, device, out, as_json, quiet))
