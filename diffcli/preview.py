"""A look at a model in training: samples from fixed noise, their health, and the loss on fixed noise and levels."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoiser
from diffcli.core.diffusion.exact import covariance_spectrum
from diffcli.core.diffusion.grids import levels
from diffcli.core.diffusion.guidance import clipped
from diffcli.core.diffusion.samplers import ddim
from diffcli.core.diffusion.schedules import Schedule
from diffcli.dataset import Dataset
from diffcli.metrics.health import Brightness
from diffcli.sampling import Job, last
from diffcli.training import Validation

STEPS = 20
COVARIANCE_IMAGES = 10_000
COVARIANCE_IMAGES_LARGE = 2_000  # of more than 2,000 numbers each: the work grows with the cube of the smaller count


class Look(NamedTuple):
    """What a preview saw. The linear denoiser's loss is of the same images, levels and units as the validation loss."""

    images: Tensor
    brightness: Brightness
    validation_loss: float
    linear_loss: float


class Preview:
    """All that previews compare with, computed once per session."""

    def __init__(
        self, dataset: Dataset, places: Tensor, held: Tensor, schedule: Schedule, predicts: str, seed: int
    ) -> None:
        self.schedule, self.seed, self.shape = schedule, seed, dataset.shape
        numbers = torch.Size(dataset.shape).numel()
        images, _ = dataset.take(places[: COVARIANCE_IMAGES if numbers <= 2000 else COVARIANCE_IMAGES_LARGE])
        self.data = Brightness.of(images)
        self.validation = Validation.fixed(*dataset.take(held), schedule, seed)
        self.linear_loss = self.validation.linear_loss(covariance_spectrum(images), predicts)
        self.numbers: Sequence[int] = range(40 if numbers <= 1024 else 16)
        classes = len(dataset.classes)
        self.labels = torch.tensor([i % classes for i in self.numbers]) if classes else None

    def look(self, denoiser: Denoiser) -> Look:
        """Sample with DDIM from the same noise and classes as ever, and take the validation loss."""
        device = next(denoiser.parameters()).device
        steps = min(STEPS, self.schedule.length or STEPS)
        job = Job(clipped(denoiser), levels(self.schedule, steps), ddim, self.shape, self.seed, self.labels, device)
        images = last(job.walk(self.numbers)).cpu()
        return Look(images, Brightness.of(images), self.validation.loss(denoiser), self.linear_loss)
