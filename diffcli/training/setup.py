"""The beginning of a training: an untrained model, and the trainer of it."""

import torch
from torch import nn

from diffcli.system.device import use_bf16
from diffcli.training.families import family_of
from diffcli.training.fit import Plan, Trainer
from diffcli.training.optimizers import Optimizer
from diffcli.training.recipes import Training


def build(recipe: Training, shape: tuple[int, ...], classes: int, device: torch.device) -> nn.Module:
    """An untrained model for items of this shape, (C, H, W) or (D,), its weights drawn from the recipe's seed.

    Raises UsageProblem if the recipe's network does not take such items.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = family_of(recipe).build(recipe, shape, classes, use_bf16(recipe.precision, device))
    return model.to(device).to(memory_format=torch.channels_last)


def new_trainer(recipe: Training, model: nn.Module) -> Trainer:
    """A training run at its start; a run by the clock gets its plan later."""
    optimizer = Optimizer(
        model,
        name=recipe.optimizer,
        lr=recipe.lr,
        muon_lr=recipe.muon_lr,
        weight_decay=recipe.weight_decay,
    )
    return Trainer(model, optimizer, Plan(recipe.steps))
