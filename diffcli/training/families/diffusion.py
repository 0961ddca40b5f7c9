"""Diffusion models in training: the network, the loss, and a look at their samples, their health and their loss."""

from collections.abc import Callable
from typing import Any

from PIL import Image
from torch import Tensor

from diffcli import specs
from diffcli.core.diffusion.denoiser import Corrector, Denoiser
from diffcli.core.diffusion.exact import covariance_spectrum
from diffcli.core.diffusion.exact_pixels import PixelHistogram
from diffcli.core.diffusion.grids import levels
from diffcli.core.diffusion.guidance import clipped
from diffcli.core.diffusion.job import Job
from diffcli.core.diffusion.latent import drawn_latents
from diffcli.core.diffusion.samplers import ddim
from diffcli.core.models import MODELS
from diffcli.core.randomness import image_noise
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import CLASS, HINT, IMAGES, Items
from diffcli.errors import UsageProblem
from diffcli.metrics.health import HEALTH, line
from diffcli.pictures.grid import layered, shown_hints, single
from diffcli.pictures.samples import preview
from diffcli.training.adapting import adapt, fill_upon
from diffcli.training.families.base import Family, Look
from diffcli.training.hinting import add_branch, beside, hinted, is_told, viewed
from diffcli.training.obeying import HintsInSight
from diffcli.training.objectives import objective
from diffcli.training.recipes.diffusion import RECIPES, Recipe
from diffcli.training.validation import Validation

STEPS = 20
DECODED = 500  # latents that become images, to be compared with
COVARIANCE_IMAGES = 10_000
COVARIANCE_IMAGES_LARGE = 2_000  # of more than 2,000 numbers each: the work grows with the cube of the smaller count


def build(recipe: Recipe, items: Items, bf16: bool) -> Denoiser | Corrector:
    """An untrained denoiser of such items; raises UsageProblem if the network does not take them."""
    network, kind = MODELS[recipe.network.name], items.kind
    if network.dimensions != kind.dimensions:
        takers = [name for name, other in MODELS.items() if other.dimensions == kind.dimensions]
        raise UsageProblem(
            f"the network {recipe.network.name} does not take {kind.name}, which {recipe.data.name} holds",
            f"use --model {takers[0]}, or leave --recipe and --model out",
        )
    prior, learned = recipe.objective.prior == "pixels", recipe.objective.variance == "learned"
    options = recipe.network.own()
    if prior:
        options["inputs"] = 3  # the images, and the prior's mean and standard deviation
    if learned:
        options["outputs"] = 2
    made = network(items.shape[0], len(items.classes), bf16=bf16, **options, **beside(recipe, items))
    add_branch(recipe, made, items)
    adapt(recipe, made)
    if prior:
        return Corrector(made, PixelHistogram(), recipe.objective.predict, learned=learned)
    return Denoiser(made, recipe.objective.predict, learned=learned)


def begin(denoiser: Denoiser | Corrector, dataset: Dataset, places: Tensor) -> None:
    """The histogram of the data, where the network corrects the denoiser that knows it."""
    if isinstance(denoiser, Corrector) and isinstance(denoiser.prior, PixelHistogram):
        denoiser.prior.count(dataset.take(places[:COVARIANCE_IMAGES])[0])


class DiffusionPreview:
    """Samples from fixed noise, their health, and the loss on fixed images, noise and levels."""

    def __init__(self, recipe: Recipe, dataset: Dataset, places: Tensor, held: Tensor) -> None:
        self.schedule, self.seed = specs.schedule(recipe.schedule), recipe.seed
        self.items, self.codec = dataset.items, dataset.codec
        self.health = HEALTH[IMAGES.name if self.codec else dataset.items.kind.name]
        numbers, kind = dataset.items.numbers, dataset.items.kind
        known, _ = drawn_items(dataset, places[: COVARIANCE_IMAGES if numbers <= 2000 else COVARIANCE_IMAGES_LARGE])
        self.known = self._pictured(known[:DECODED]) if self.codec else known
        self.data = self.health.of(self.known)
        x0, conditions = drawn_items(dataset, held)
        told = recipe.conditional  # else the network has never seen a class
        if not told:
            conditions.pop(CLASS, None)
        self.validation = Validation.fixed(x0, hinted(recipe, x0, conditions), self.schedule, recipe.seed)
        self.linear_loss = self.validation.linear_loss(covariance_spectrum(known), recipe.objective.predict)
        self.count = kind.previewed(numbers)
        self.conditions, self.hints = dataset.items.in_turn(self.count) if told else {}, None
        if is_told(recipe):
            self.count = min(self.count, len(x0))
            few = {name: value[: self.count] for name, value in conditions.items()}
            self.hints = HintsInSight(recipe, x0[: self.count], self._pictured(x0[: self.count]), few)
            self.conditions = self.hints.conditions

    def look(self, denoiser: Denoiser | Corrector) -> Look:
        """Sample with DDIM from the same noise and conditions as ever, and take the validation loss."""
        device = next(denoiser.parameters()).device
        steps = min(STEPS, self.schedule.length or STEPS)
        denoise = clipped(denoiser) if self.items.kind.bounded else denoiser
        walk = levels(self.schedule, steps)

        def draw(conditions: dict[str, Tensor]) -> Tensor:
            job = Job(denoise, walk, ddim, self.items.shape, self.seed, conditions, device)
            return self._pictured(job.drawn(self.count, self.count))

        samples = draw(self.conditions)
        health, loss = self.health.of(samples), self.validation.loss(denoiser)
        obeyed, row = self.hints.look(samples, draw) if self.hints else ("", {})
        return Look(
            loss,
            self.linear_loss,
            f"validation loss {loss:.4f}, best linear denoiser {self.linear_loss:.4f}{obeyed and f'; {obeyed}'}",
            f"validation loss {loss:.4f} (best linear denoiser {self.linear_loss:.4f}); "
            + (obeyed or line(health, self.data)),
            self._picture(samples),
            {"samples": health._asdict(), "data": self.data._asdict(), **row},
        )

    def _picture(self, samples: Tensor) -> Image.Image:
        """Samples, under their hints where they have some, beside data where that helps the eye."""
        if self.hints:
            return single(layered([shown_hints(self.conditions[HINT], samples), samples]))
        return preview(IMAGES.name if self.codec else self.items.kind.name, samples, self.known)

    def _pictured(self, items: Tensor) -> Tensor:
        """Items as they are looked at: latents as images."""
        if self.codec is None:
            return items
        return self.codec.decode(items.to(self.codec.get_buffer("std").device)).cpu()

    def about(self, averaged: Callable[[], Any]) -> dict[str, object]:
        return {"health": list(self.data), "linear_denoiser_loss": self.linear_loss}


def drawn_items(dataset: Dataset, places: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Items at these places as a model sees them, [B, ...], and their conditions; latents are drawn, always alike."""
    x0, conditions = dataset.take(places)
    if dataset.codec is not None:
        x0 = drawn_latents(x0, image_noise(0, "latent", places.tolist(), dataset.shape))
    return x0, conditions


DIFFUSION = Family(
    "diffusion", "diffusion model", "", Recipe, RECIPES, build, objective, DiffusionPreview,
    lambda recipe: f"{recipe.network.name}, {recipe.schedule} schedule, predicts {recipe.objective.predict}",
    view=viewed, begin=begin, upon=fill_upon,
)  # fmt: skip
