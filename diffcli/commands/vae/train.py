"""diffcli vae train"""

from typing import Annotated, Optional

import typer

from diffcli.commands.training import Options, train_family
from diffcli.console import options
from diffcli.training.recipes.vae import RECIPES, VaeRecipe


def _option(key: str, text: str) -> "typer.models.OptionInfo":
    return options.recipe_option(key, text, VaeRecipe)


def train(
    dataset: Annotated[Optional[str], _option("dataset", "A name (diffcli data lists them) or a folder.")] = None,
    minutes: Annotated[Optional[float], _option("minutes", "Time budget; the run ends with it.")] = None,
    steps: Annotated[Optional[int], typer.Option(help="Optimiser steps, instead of --minutes.")] = None,
    pixels: Annotated[Optional[str], _option("pixels", "dynamic or static bits, 8bit or real.")] = None,
    model: Annotated[Optional[str], _option("model", "conv, mlp or linear.")] = None,
    latent: Annotated[Optional[int], _option("latent", "Units of z.")] = None,
    beta: Annotated[Optional[float], _option("beta", "Weight of the KL.")] = None,
    free_bits: Annotated[Optional[float], _option("free_bits", "Nats of KL per unit that cost nothing.")] = None,
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
    """Train a variational autoencoder: MNIST in three minutes, or your own images."""
    keys = {
        "dataset": dataset, "minutes": minutes, "steps": steps, "pixels": pixels, "model": model, "latent": latent,
        "beta": beta, "free_bits": free_bits, "batch": batch, "lr": lr, "seed": seed,
    }  # fmt: skip
    start = None if recipe == "default" else recipe
    train_family("vae", Options(keys, start, settings or [], resume, dry_run, data, device, out, as_json, quiet))
