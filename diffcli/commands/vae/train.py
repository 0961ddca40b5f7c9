"""diffcli vae train"""

from typing import Any

from typer.core import TyperCommand

from diffcli.commands.training import train_command
from diffcli.training.recipes import codec
from diffcli.training.recipes.vae import RECIPES

train = train_command(
    "vae",
    "Train one on MNIST or on images of your own. MNIST takes three minutes.",
    {**RECIPES, **codec.RECIPES},
    {
        "dataset": "A name (diffcli data lists them) or a folder.",
        "minutes": "Time budget; the run ends with it.",
        "steps": "Optimiser steps, instead of --minutes.",
        "pixels": "dynamic or static bits, 8bit or real.",
        "model": "conv, mlp or linear.",
        "latent": "Units of z; without a number, --recipe kl-f4.",
        "beta": "Weight of the KL.",
        "free_bits": "Nats of KL per unit that cost nothing.",
        "batch": "Images per step.",
        "lr": "Learning rate of AdamW.",
        "seed": "Of all randomness.",
    },
    also=("codec",),
)


class WithBareLatent(TyperCommand):
    """`--latent` without a number of units: latents that are pictures, by the recipe kl-f4 unless another is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        after = [*args[1:], "-"]
        for place in [i for i, word in enumerate(args) if word == "--latent" and after[i].startswith("-")][::-1]:
            named = any(word.partition("=")[0] in ("--recipe", "--resume") for word in args)
            args[place : place + 1] = [] if named else ["--recipe", "kl-f4"]
        return super().parse_args(ctx, args)
