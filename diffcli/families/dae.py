"""Denoising autoencoders in training: the network, the loss, and a look at what they make of damaged images."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from diffcli.core.models.dae import DAE, amounts
from diffcli.core.models.unet import UNet
from diffcli.core.processes.corruption import CORRUPTIONS
from diffcli.core.randomness import keyed
from diffcli.dataset import Dataset
from diffcli.errors import UsageProblem
from diffcli.families.base import Family, Look, Objective
from diffcli.kinds import kind_of
from diffcli.metrics.denoisers import Linear, Moments
from diffcli.metrics.quality import psnr
from diffcli.pictures.grid import grid
from diffcli.recipes.dae import RECIPES, DaeRecipe

MEASURED = 256  # images held out
COVARIANCE_IMAGES = 10_000
LARGEST = 4096  # numbers in an image of which the covariance is taken
SHOWN = 10


def build(recipe: DaeRecipe, shape: tuple[int, ...], classes: int, bf16: bool) -> DAE:
    """An untrained network for images of this shape; raises UsageProblem for points."""
    if len(shape) != 3:
        raise UsageProblem(
            f"a denoising autoencoder takes images, and {recipe.dataset} holds {kind_of(shape).name}",
            "diffcli dae score shows one on points",
        )
    network = UNet(
        shape[0], widths=recipe.widths, blocks=recipe.blocks, attention=recipe.attention, fold=recipe.fold,
        dropout=recipe.dropout, bf16=bf16,
    )  # fmt: skip
    return DAE(network, recipe.corruption)


def objective(recipe: DaeRecipe) -> Objective:
    """The error of the clean estimate at a random amount of damage (Vincent et al. 2008, eq. 5)."""
    low, high = recipe.amounts
    even = "log" if recipe.corruption == "gaussian" else "plain"

    def loss(model: DAE, x0: Tensor, label: Tensor | None, generator: Generator) -> Tensor:
        return model.loss(x0, amounts(len(x0), low, high, generator, even=even), generator)

    return loss


class Preview:
    """Held-out images with one fixed damage each: the error and the PSNR beside those of the best linear denoiser."""

    def __init__(self, recipe: DaeRecipe, dataset: Dataset, places: Tensor, held: Tensor) -> None:
        self.kind = CORRUPTIONS[recipe.corruption]
        low, high = recipe.amounts
        self.amount = math.sqrt(low * high) if recipe.corruption == "gaussian" else (low + high) / 2
        if low <= 0.5 <= high:
            self.amount = 0.5
        self.x0, _ = dataset.take(held[:MEASURED])
        self.amounts = torch.full((len(self.x0),), self.amount)
        self.x = self.kind.damage(self.x0, torch.tensor(self.amount), keyed(recipe.seed, "validation"))
        self.linear: Tensor | None = None
        if self.x0[0].numel() <= LARGEST:
            known, _ = dataset.take(places[:COVARIANCE_IMAGES])
            self.linear = Linear(Moments.of(known), recipe.corruption, self.amount)(self.x).clamp(-1, 1)

    @torch.no_grad()
    def look(self, model: DAE) -> Look:
        device = next(model.parameters()).device
        found = model(self.x.to(device), self.amounts.to(device)).clamp(-1, 1).cpu()
        loss = _error(found, self.x0)
        quality, noisy = _decibels(found, self.x0), _decibels(self.x.clamp(-1, 1), self.x0)
        line = None if self.linear is None else _error(self.linear, self.x0)
        beside = "" if self.linear is None else f", best linear {_decibels(self.linear, self.x0):.2f}"
        text = f"PSNR {quality:.2f} dB at damage {self.amount:.2g} (damaged {noisy:.2f}{beside})"
        rows = [self.x0, self.x.clamp(-1, 1), *([] if self.linear is None else [self.linear]), found]
        picture = grid(torch.cat([row[:SHOWN] for row in rows]), columns=len(self.x0[:SHOWN]))
        return Look(loss, line, text, text, picture, {"psnr": quality, "psnr_noisy": noisy})

    def about(self) -> dict[str, Any]:
        return {"validation_amount": self.amount}


def _error(images: Tensor, truth: Tensor) -> float:
    return (images - truth).square().mean().item()


def _decibels(images: Tensor, truth: Tensor) -> float:
    return psnr(images, truth).mean().item()


def then(folder: Path, classes: Sequence[str]) -> str:
    """The next command after training."""
    return f"diffcli dae evaluate {folder}"


def describe(recipe: DaeRecipe) -> str:
    low, high = recipe.amounts
    return f"unet, {recipe.corruption} {low:g} to {high:g}"


FAMILY = Family(
    "dae", "denoising autoencoder", "dae-", "diffcli dae", DaeRecipe, RECIPES, build, objective, Preview, describe, then
)
