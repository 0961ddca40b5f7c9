"""The beginning of a training: an untrained model, and the trainer of it."""

from typing import Any

import torch
from torch import nn

from diffcli.core.devices import widest
from diffcli.data.kinds import Items
from diffcli.system.device import use_bf16
from diffcli.training.compiling import compile_networks
from diffcli.training.families import family_of
from diffcli.training.optimizers import Optimizer
from diffcli.training.recipes import Training
from diffcli.training.trainer import Plan, Trainer


def build(recipe: Training, items: Items, device: torch.device, *, on: torch.device | None = None) -> Any:
    """An untrained model of such items, its weights drawn from the recipe's seed.

    device:  that will compute
    on:      where it lies until then, if somewhere else

    Raises UsageProblem if the recipe's network does not take them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = family_of(recipe).build(recipe, items, use_bf16(recipe.precision, device))
    return model.to(on or device).to(memory_format=torch.channels_last)


def new_trainer(recipe: Training, items: Items, model: nn.Module) -> Trainer:
    """A training run at its start; a run by the clock gets its plan later. Raises EnvironmentProblem."""
    keys = recipe.optimizer
    rates = {"lr": keys.lr, "muon_lr": keys.own().get("muon_lr", 0.0), "weight_decay": keys.weight_decay}
    optimizer = Optimizer(model, name=keys.name, **rates)
    objective, device = family_of(recipe).objective(recipe, items), next(model.parameters()).device
    if objective.state is not None:
        objective.state.to(device, widest(device))
    if recipe.compile:
        compile_networks(model)
    return Trainer(model, optimizer, objective, Plan(recipe.steps), micro=recipe.micro_batch)
