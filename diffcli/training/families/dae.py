"""Denoising autoencoders in training: the network, the loss, and a look at what they make of corrupted images."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffcli.core.devices import sent
from diffcli.core.diffusion.denoising_autoencoder import Autoencoder
from diffcli.core.diffusion.guidance import Conditions
from diffcli.core.draws import Source
from diffcli.core.models.unet import UNet
from diffcli.core.processes.corruption import CORRUPTIONS, LARGEST_LINEAR, best_affine, draw_amounts, moments
from diffcli.core.randomness import keyed
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import Items
from diffcli.errors import UsageProblem
from diffcli.metrics.quality import psnr
from diffcli.pictures.grid import grid
from diffcli.training.families.base import Family, Look
from diffcli.training.recipes.dae import RECIPES, DaeRecipe
from diffcli.training.trainer import Losses, Objective

COLUMNS = 10  # of a preview: images, corrupted, denoised
AMOUNT = 0.5  # that previews are at
COVARIANCE_IMAGES = 10_000


def build(recipe: DaeRecipe, items: Items, bf16: bool) -> Autoencoder:
    """An untrained autoencoder of such images, which are denoised without regard to their class."""
    if items.kind.dimensions != 3:
        raise UsageProblem(f"{recipe.data.name} holds points; a DAE here is of images", "use --dataset mnist")
    network = UNet(items.shape[0], 0, bf16=bf16, **recipe.network.own())
    return Autoencoder(network, CORRUPTIONS[recipe.corruption.name])


def objective(recipe: DaeRecipe, items: Items) -> Objective:
    """The loss at random amounts."""
    corruption = CORRUPTIONS[recipe.corruption.name]

    def loss(model: Autoencoder, x0: Tensor, conditions: Conditions, source: Source) -> Losses:
        device = next(model.parameters()).device
        amount = draw_amounts(corruption, len(x0), source, recipe.corruption.low, recipe.corruption.high).float()
        amount = sent(amount, x0.device)
        y = corruption.apply(x0, amount, source)
        return Losses(model.loss(*(sent(part, device) for part in (x0, y, amount))))

    return Objective(loss)


class DaePreview:
    """What becomes of images held out, corrupted once for all by the amount 0.5."""

    def __init__(self, recipe: DaeRecipe, dataset: Dataset, places: Tensor, held: Tensor) -> None:
        corruption = CORRUPTIONS[recipe.corruption.name]
        self.x, _ = dataset.take(held)
        self.amount = torch.full((len(self.x),), AMOUNT)
        self.y = corruption.apply(self.x, self.amount, keyed(recipe.seed, "validation"))
        self.linear = None
        if self.x[0].numel() <= LARGEST_LINEAR:
            known, _ = dataset.take(places[:COVARIANCE_IMAGES])
            self.linear = best_affine(corruption, *moments(known), AMOUNT)(self.y).clamp(-1, 1)
        self.title = f"{corruption.unit} {AMOUNT}"

    @torch.no_grad()
    def look(self, model: Autoencoder, batch: int = 256) -> Look:
        """Mean squared error and PSNR on the averaged weights."""
        device = next(model.parameters()).device
        pairs = zip(self.y.split(batch), self.amount.split(batch), strict=True)
        found = torch.cat([model(y.to(device), amount.to(device)).cpu() for y, amount in pairs]).clamp(-1, 1)
        loss, quality = _error(found, self.x), psnr(found, self.x).mean().item()
        text, linear_loss = f"PSNR {quality:.2f} dB at {self.title}", None
        if self.linear is not None:
            linear_loss = _error(self.linear, self.x)
            text += f", best linear denoiser {psnr(self.linear, self.x).mean():.2f} dB"
        rows = torch.cat([part[:COLUMNS].clamp(-1, 1) for part in (self.x, self.y, found)])
        picture = grid(rows, columns=min(COLUMNS, len(self.x)))
        return Look(loss, linear_loss, f"validation {text}", text, picture, {"psnr": quality})

    def about(self, averaged: Callable[[], Any]) -> dict[str, object]:
        return {}


def _error(found: Tensor, truth: Tensor) -> float:
    return (found - truth).square().mean().item()


DAE = Family(
    "dae", "denoising autoencoder", "dae-", DaeRecipe, RECIPES, build, objective, DaePreview,
    lambda recipe: f"unet, {recipe.corruption.name} corruption",
)  # fmt: skip
