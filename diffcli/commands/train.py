"""diffcli train"""

from diffcli.commands.training import train_command
from diffcli.commands.training_changes import dataset_of
from diffcli.training.recipes.diffusion import RECIPES, suited

train = train_command(
    "diffusion",
    "Train a diffusion model on MNIST or on images of your own. MNIST takes five minutes.",
    RECIPES,
    {
        "dataset": "A name (diffcli data lists them) or a folder of images.",
        "latent": "A run of vae train --latent: learn its latents.",
        "minutes": "Time budget; the run ends with it.",
        "steps": "Optimiser steps, instead of --minutes.",
        "schedule": "Noise schedule, e.g. linear.",
        "predict": "What the network predicts, e.g. eps.",
        "model": "Network.",
        "batch": "Images or points per step.",
        "lr": "Learning rate of AdamW.",
        "seed": "Of all randomness.",
    },
    lambda changes: suited(dataset_of(changes), changes.get("latent")),
)
