"""diffcli dae train"""

from diffcli.commands.training import train_command
from diffcli.training.recipes.dae import RECIPES

train = train_command(
    "dae",
    "Train one on MNIST or on images of your own. MNIST takes three minutes.",
    RECIPES,
    {
        "dataset": "A name (diffcli data lists them) or a folder.",
        "corruption": "gaussian, masking or salt-and-pepper.",
        "minutes": "Time budget; the run ends with it.",
        "steps": "Optimiser steps, instead of --minutes.",
        "low": "Least amount trained on.  [0.05, as sigma of [-1, 1] or as share]",
        "high": "Largest amount trained on.  [sigma 2, share 0.95]",
        "batch": "Images per step.",
        "lr": "Learning rate of AdamW.",
        "seed": "Of all randomness.",
    },
)
