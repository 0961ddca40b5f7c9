"""Variational autoencoders in training: the networks, the bound, and a look at reconstructions and samples."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffcli.core.devices import sent
from diffcli.core.diffusion.guidance import Conditions
from diffcli.core.draws import Source, drawn_normal
from diffcli.core.models import vae
from diffcli.core.processes import variational
from diffcli.core.processes.laws.pixels import PIXELS, bits
from diffcli.core.randomness import image_noise
from diffcli.data.bits import binarised
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import Items
from diffcli.errors import UsageProblem
from diffcli.pictures.grid import grid
from diffcli.training.families.base import Family, Look
from diffcli.training.recipes.vae import RECIPES, VaeRecipe
from diffcli.training.trainer import Losses, Objective

BITS = ("dynamic", "static")  # what pixels are that are black or white
GREY = 0.25  # share of the pixels that are grey, from which on black and white lose too much; MNIST has 0.09
MIDDLE = 0.8  # |x| of what is grey, in [-1, 1]
LOOKED_AT = 100  # images
COLUMNS, SAMPLE_ROWS = 10, 3  # of a preview, below a row of images and a row of their reconstructions


def build(recipe: VaeRecipe, items: Items, bf16: bool) -> vae.VAE:
    """An untrained VAE of such images; raises UsageProblem for points and for colours in two values."""
    if items.kind.dimensions != 3:
        raise UsageProblem(f"{recipe.data.name} holds points; a VAE here is of images", "use --dataset mnist")
    if items.shape[0] != 1 and recipe.pixels.name in BITS:
        raise UsageProblem(f"the images of {recipe.data.name} have colours, not two values", "use --pixels 8bit")
    pixels = PIXELS[recipe.pixels.name](recipe.pixels.own().get("noise", 0.0))
    network = vae.NETWORKS[recipe.network.name](items.shape, recipe.latent, pixels.count, **recipe.network.own())
    return vae.VAE(recipe.latent, pixels, *network, bf16=bf16)


def objective(recipe: VaeRecipe, items: Items) -> Objective:
    """The bound with its sign turned, at one z per image; β and free bits as the recipe says."""

    def loss(model: vae.VAE, x0: Tensor, conditions: Conditions, source: Source) -> Losses:
        device = next(model.parameters()).device
        x = sent(x0, device)
        if recipe.pixels.name == "dynamic":
            x = bits(x, source)
        noise = drawn_normal(source, "latent", (len(x), model.latent))
        found = variational.terms(model.encode(x), model.log_likelihood(x), sent(noise, device))
        return Losses(variational.objective(found, recipe.objective.beta, recipe.objective.free_bits))

    return Objective(loss)


def view(recipe: VaeRecipe, dataset: Dataset) -> Dataset:
    """The data set in bits, where they are drawn once for all; with a note where greys are lost to bits."""
    if recipe.pixels.name not in BITS or dataset.items.kind.dimensions != 3:
        return dataset
    share = grey_share(dataset)
    if share > GREY:
        text = f"{share:.0%} of the pixels are grey, and --pixels {recipe.pixels.name} knows black and white only"
        dataset = dataclasses.replace(dataset, notes=(*dataset.notes, f"{text}: --pixels 8bit learns the greys"))
    return binarised(dataset) if recipe.pixels.name == "static" else dataset


def grey_share(dataset: Dataset) -> float:
    """Of the pixels, those further than a tenth of the range from black and from white; in some of the images."""
    x, _ = dataset.take(torch.linspace(0, len(dataset) - 1, min(LOOKED_AT, len(dataset))).long())
    return (x.abs() < MIDDLE).float().mean().item()


class VaePreview:
    """The bound on images held out with fixed noise, their reconstructions, and samples from fixed places."""

    def __init__(self, recipe: VaeRecipe, dataset: Dataset, places: Tensor, held: Tensor) -> None:
        fixed = binarised(dataset) if recipe.pixels.name == "dynamic" else dataset
        self.x, _ = fixed.take(held)
        self.noise = image_noise(recipe.seed, "validation", range(len(self.x)), (recipe.latent,))
        self.start = image_noise(recipe.seed, "start", range(COLUMNS * SAMPLE_ROWS), (recipe.latent,))

    @torch.no_grad()
    def look(self, model: vae.VAE, batch: int = 256) -> Look:
        """All of it on the averaged weights."""
        device = next(model.parameters()).device
        parts = []
        for x, noise in zip(self.x.split(batch), self.noise.split(batch), strict=True):
            x = x.to(device)
            parts.append(variational.terms(model.encode(x), model.log_likelihood(x), noise.to(device)))
        reconstruction = torch.cat([part.reconstruction for part in parts]).mean().item()
        kl = torch.cat([part.kl for part in parts]).mean(0)
        loss = kl.sum().item() - reconstruction
        top = self.x[:COLUMNS].to(device)
        shown = [top, *(model.pixels.mean(model.decode(z)) for z in (model.encode(top).mean, self.start.to(device)))]
        split = f"reconstruction {reconstruction:.2f}, KL {kl.sum().item():.2f}"
        return Look(
            loss,
            None,
            f"validation ELBO {-loss:.2f} nats per image ({split})",
            f"validation ELBO {-loss:.2f} nats ({split}, {int((kl > variational.ACTIVE).sum())} units above 0.01 nats)",
            grid(torch.cat(shown).cpu(), columns=COLUMNS),
            {"elbo": -loss, "reconstruction": reconstruction, "kl": kl.sum().item()},
        )

    def about(self, averaged: Callable[[], Any]) -> dict[str, object]:
        return {}


def describe(recipe: VaeRecipe) -> str:
    """The network and the choices."""
    wanted = recipe.objective
    twist = [f"β {wanted.beta:g}"] if wanted.beta != 1 else []
    twist += [f"{wanted.free_bits:g} free nats per unit"] if wanted.free_bits else []
    return ", ".join([recipe.network.name, f"{recipe.latent} units", f"{recipe.pixels.name} pixels", *twist])


VAE = Family(
    "vae", "variational autoencoder", "vae-", VaeRecipe, RECIPES, build, objective, VaePreview, describe,
    view,
)  # fmt: skip
