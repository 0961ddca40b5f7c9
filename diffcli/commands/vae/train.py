"""diffcli vae train"""

from diffcli.commands.training import train_command
from diffcli.training.recipes.vae import RECIPES

train = train_command(
    "vae",
    "Train one on MNIST or on images of your own. MNIST takes three minutes.",
    RECIPES,
    {
        "dataset": "A name (diffcli data lists them) or a folder.",
        "minutes": "Time budget; the run ends with it.",
        "steps": "Optimiser steps, instead of --minutes.",
        "pixels": "dynamic or static bits, 8bit or real.",
        "model": "conv, mlp or linear.",
        "latent": "Units of z.",
        "beta": "Weight of the KL.",
        "free_bits": "Nats of KL per unit that cost nothing.",
        "batch": "Images per step.",
        "lr": "Learning rate of AdamW.",
        "seed": "Of all randomness.",
    },
)
