"""Autoencoders with latents that are pictures, in training: network, loss, and a look at reconstructions."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffcli.core.devices import sent
from diffcli.core.diffusion.guidance import Conditions
from diffcli.core.draws import Source, drawn_normal
from diffcli.core.models.autoencoder import LatentAutoencoder, perceptual_distance
from diffcli.core.randomness import image_noise
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import Items
from diffcli.errors import UsageProblem
from diffcli.metrics.linear_code import EXACT, linear_code
from diffcli.metrics.quality import psnr
from diffcli.pictures.grid import grid
from diffcli.training.families.base import Family, Look
from diffcli.training.recipes.codec import RECIPES, CodecRecipe
from diffcli.training.trainer import Losses, Objective

COLUMNS = 10  # of a preview: images above their reconstructions
KNOWN_IMAGES = 10_000  # that the linear code is found on
MEASURED = 1000  # images that the mean and std of the latents are measured on


def build(recipe: CodecRecipe, items: Items, bf16: bool) -> LatentAutoencoder:
    """An untrained autoencoder of such images; raises UsageProblem for points, and for latents that are not smaller."""
    if items.kind.dimensions != 3:
        raise UsageProblem(f"{recipe.data.name} holds points; latents here are of images", "use --dataset mnist")
    model = LatentAutoencoder(items.shape, bf16=bf16, **recipe.network.own())
    numbers = torch.Size(model.latent_shape).numel()
    if numbers >= items.numbers:
        size = " x ".join(map(str, model.latent_shape))
        raise UsageProblem(
            f"latents of {size} have {numbers} numbers, no fewer than the {items.numbers} of an image",
            "use a smaller --set channels=..., or more --set widths=...",
        )
    return model


def objective(recipe: CodecRecipe, items: Items) -> Objective:
    """Squared error at one z per image, with the KL per pixel number and the distance of features as weighted."""
    keys = recipe.objective

    def loss(model: LatentAutoencoder, x0: Tensor, conditions: Conditions, source: Source) -> Losses:
        device = next(model.parameters()).device
        noise = drawn_normal(source, "latent", (len(x0), *model.latent_shape))
        parts = terms(model, sent(x0, device), sent(noise, device), keys.kl, keys.perceptual)
        return Losses(torch.stack(parts).sum(0))

    return Objective(loss)


def terms(model: LatentAutoencoder, x: Tensor, noise: Tensor, kl: float, perceptual: float) -> tuple[Tensor, ...]:
    """The loss of images [B, C, H, W] in its parts, [B] each: squared error per number, KL per number, features.

    Rombach et al. 2022, section 3.1 and appendix G, without an adversary. noise: standard normal, like the latents
    """
    posterior = model.encode(x)
    found = model.decode(posterior.at(noise))
    parts = [(found - x).square().flatten(1).mean(1), kl * posterior.kl().flatten(1).sum(1) / x[0].numel()]
    return (*parts, perceptual * perceptual_distance(model, found, x)) if perceptual else tuple(parts)


class CodecPreview:
    """Images held out and what becomes of them, beside the best linear code; and the size of the latents."""

    def __init__(self, recipe: CodecRecipe, dataset: Dataset, places: Tensor, held: Tensor) -> None:
        self.x, _ = dataset.take(held)
        self.known, _ = dataset.take(places[:MEASURED])
        self.keys, self.seed = recipe.objective, recipe.seed
        self.linear: float | None = None
        self.fitted = (dataset, places[:KNOWN_IMAGES]) if dataset.items.numbers <= EXACT else None

    @torch.no_grad()
    def look(self, model: LatentAutoencoder, batch: int = 128) -> Look:
        """The loss with fixed noise, and the reconstructions of the latents' means, on the averaged weights."""
        device = next(model.parameters()).device
        noise = image_noise(self.seed, "validation", range(len(self.x)), model.latent_shape)
        losses, images = [], []
        for x, drawn in zip(self.x.split(batch), noise.split(batch), strict=True):
            x = x.to(device)
            parts = terms(model, x, drawn.to(device), self.keys.kl, self.keys.perceptual)
            losses.append(torch.stack(parts).sum(0).cpu())
            images.append(model.decode(model.encode(x).mean).clamp(-1, 1).cpu())
        found, loss = torch.cat(images), torch.cat(losses).mean().item()
        quality = psnr(found, self.x).mean().item()
        text = f"PSNR {quality:.2f} dB"
        linear = self._linear(model)
        if linear is not None:
            text += f", best linear code of as many numbers {linear:.2f} dB"
        return Look(
            loss, None, f"validation {text}", f"validation loss {loss:.5f}; {text}",
            grid(torch.cat([self.x[:COLUMNS], found[:COLUMNS]]), columns=min(COLUMNS, len(self.x))),
            {"psnr": quality, "psnr_linear": linear},
        )  # fmt: skip

    def _linear(self, model: LatentAutoencoder) -> float | None:
        """PSNR of the best linear code with as many numbers, of images small enough for it to be found at once."""
        if self.linear is None and self.fitted is not None:
            code = linear_code(*self.fitted, torch.Size(model.latent_shape).numel())
            self.linear = psnr(code.restored(self.x).clamp(-1, 1), self.x).mean().item()
        return self.linear

    def about(self, averaged: Callable[[], Any]) -> dict[str, object]:
        return {"latents": scale_of(averaged(), self.known)}


@torch.no_grad()
def scale_of(model: Any, images: Tensor, batch: int = 128) -> dict[str, list[float]]:
    """Mean and standard deviation of each channel of the latents of images, drawn from their posteriors.

    model:  what encodes: an autoencoder, or a codec
    """
    device = next(model.parameters()).device
    means, squares = [], []
    for x in images.split(batch):
        found = model.encode(x.to(device))
        means.append(found.mean.cpu().double())
        squares.append((found.mean.square() + found.std.square()).cpu().double())
    mean = torch.cat(means).mean((0, 2, 3))
    variance = torch.cat(squares).mean((0, 2, 3)) - mean.square()
    return {"mean": mean.tolist(), "std": variance.clamp(min=0).sqrt().tolist()}


def describe(recipe: CodecRecipe) -> str:
    """The factor and the channels."""
    return f"sides divided by {2 ** len(recipe.network.widths)}, {recipe.network.channels} channels"


CODEC = Family(
    "codec", "latent autoencoder", "codec-", CodecRecipe, RECIPES, build, objective, CodecPreview, describe,
)  # fmt: skip
