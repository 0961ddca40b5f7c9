"""Diffusion models in training: the network, the loss, and a look at their samples, their health and their loss."""

import inspect
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from diffcli import specs
from diffcli.core.diffusion.denoiser import Denoiser
from diffcli.core.diffusion.exact import covariance_spectrum
from diffcli.core.diffusion.exact_pixels import PixelHistogram
from diffcli.core.diffusion.grids import levels
from diffcli.core.diffusion.guidance import clipped
from diffcli.core.diffusion.job import Job, last
from diffcli.core.diffusion.samplers import ddim
from diffcli.core.diffusion.times import LossHistory
from diffcli.core.models import MODELS
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import kind_of, models_for
from diffcli.errors import UsageProblem
from diffcli.metrics.health import line
from diffcli.training.families.base import Family, Look
from diffcli.training.fit import Validation
from diffcli.training.objectives import objective
from diffcli.training.recipes.diffusion import RECIPES, Recipe

STEPS = 20
COVARIANCE_IMAGES = 10_000
COVARIANCE_IMAGES_LARGE = 2_000  # of more than 2,000 numbers each: the work grows with the cube of the smaller count


def build(recipe: Recipe, shape: tuple[int, ...], classes: int, bf16: bool) -> Denoiser:
    """An untrained denoiser for items of this shape; raises UsageProblem if the network does not take such items."""
    model = MODELS[recipe.model]
    if model.dimensions != len(shape):
        raise UsageProblem(
            f"the network {recipe.model} does not take {kind_of(shape).name}, which {recipe.dataset} holds",
            f"use --model {models_for(shape)[0]}, or leave --recipe and --model out",
        )
    wanted = set(inspect.signature(model).parameters)
    options = {k: v for k, v in vars(recipe).items() if k in wanted}
    prior, learned = recipe.prior == "pixels", recipe.variance == "learned"
    if prior:
        options["inputs"] = 3  # the images, and the prior's mean and standard deviation
    if learned:
        options["outputs"] = 2
    return Denoiser(
        model(shape[0], classes, bf16=bf16, **options),
        recipe.predict,
        prior=PixelHistogram() if prior else None,
        learned=learned,
        history=LossHistory() if recipe.draws == "importance" else None,
    )


def begin(denoiser: Denoiser, dataset: Dataset, places: Tensor) -> None:
    """The histogram of the data, where the network corrects the denoiser that knows it."""
    if isinstance(denoiser.prior, PixelHistogram):
        denoiser.prior.count(dataset.take(places[:COVARIANCE_IMAGES])[0])


class DiffusionPreview:
    """Samples from fixed noise, their health, and the loss on fixed images, noise and levels."""

    def __init__(self, recipe: Recipe, dataset: Dataset, places: Tensor, held: Tensor) -> None:
        self.schedule, self.seed = specs.schedule(recipe.schedule), recipe.seed
        self.shape, self.kind = dataset.shape, kind_of(dataset.shape)
        numbers = torch.Size(dataset.shape).numel()
        known, _ = dataset.take(places[: COVARIANCE_IMAGES if numbers <= 2000 else COVARIANCE_IMAGES_LARGE])
        self.known, self.data = known, self.kind.health.of(known)
        x0, labels = dataset.take(held)
        told = recipe.label_drop < 1  # else the network has never seen a class
        self.validation = Validation.fixed(x0, labels if told else None, self.schedule, recipe.seed)
        self.linear_loss = self.validation.linear_loss(covariance_spectrum(known), recipe.predict)
        self.numbers: Sequence[int] = range(self.kind.previewed(numbers))
        classes = len(dataset.classes) if told else 0
        self.labels = torch.tensor([i % classes for i in self.numbers]) if classes else None

    def look(self, denoiser: Denoiser) -> Look:
        """Sample with DDIM from the same noise and classes as ever, and take the validation loss."""
        device = next(denoiser.parameters()).device
        steps = min(STEPS, self.schedule.length or STEPS)
        denoise = clipped(denoiser) if self.kind.bounded else denoiser
        job = Job(denoise, levels(self.schedule, steps), ddim, self.shape, self.seed, self.labels, device)
        samples = last(job.walk(self.numbers)).cpu()
        health, loss = self.kind.health.of(samples), self.validation.loss(denoiser)
        return Look(
            loss,
            self.linear_loss,
            f"validation loss {loss:.4f}, best linear denoiser {self.linear_loss:.4f}",
            f"validation loss {loss:.4f} (best linear denoiser {self.linear_loss:.4f}); {line(health, self.data)}",
            self.kind.picture(samples, self.known),  # beside data where that helps the eye
            {"samples": health._asdict(), "data": self.data._asdict()},
        )

    def about(self) -> dict[str, object]:
        return {self.kind.health.__name__.lower(): list(self.data), "linear_denoiser_loss": self.linear_loss}


def then(recipe: Recipe, folder: Path, classes: Sequence[str]) -> str:
    """The next command after training."""
    if recipe.objective == "vlb":
        return f"diffcli vlb {folder}"
    return f"diffcli sample {folder} --ddim" + (" --class all" if classes and recipe.label_drop < 1 else "")


DIFFUSION = Family(
    "diffusion", "diffusion model", "", "diffcli", Recipe, RECIPES, build, objective, DiffusionPreview,
    lambda recipe: f"{recipe.model}, {recipe.schedule} schedule, predicts {recipe.predict}", then, begin=begin,
)  # fmt: skip
