"""A look at a model in training: samples from fixed noise, their health, and the loss on fixed noise and levels."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoiser
from diffcli.core.diffusion.exact import covariance_spectrum
from diffcli.core.diffusion.grids import levels
from diffcli.core.diffusion.guidance import clipped
from diffcli.core.diffusion.samplers import ddim
from diffcli.core.diffusion.schedules import Schedule
from diffcli.dataset import Dataset
from diffcli.kinds import kind_of
from diffcli.metrics.health import Health
from diffcli.sampling import Job, last
from diffcli.training import Validation

STEPS = 20
COVARIANCE_IMAGES = 10_000
COVARIANCE_IMAGES_LARGE = 2_000  # of more than 2,000 numbers each: the work grows with the cube of the smaller count


class Look(NamedTuple):
    """What a preview saw. The linear denoiser's loss is of the same data, levels and units as the validation loss."""

    samples: Tensor
    health: Health
    validation_loss: float
    linear_loss: float


class Preview:
    """All that previews compare with, computed once per session."""

    def __init__(
        self, dataset: Dataset, places: Tensor, held: Tensor, schedule: Schedule, predicts: str, seed: int
    ) -> None:
        self.schedule, self.seed, self.shape, self.kind = schedule, seed, dataset.shape, kind_of(dataset.shape)
        numbers = torch.Size(dataset.shape).numel()
        known, _ = dataset.take(places[: COVARIANCE_IMAGES if numbers <= 2000 else COVARIANCE_IMAGES_LARGE])
        self.known, self.data = known, self.kind.health.of(known)
        self.validation = Validation.fixed(*dataset.take(held), schedule, seed)
        self.linear_loss = self.validation.linear_loss(covariance_spectrum(known), predicts)
        self.numbers: Sequence[int] = range(self.kind.previewed(numbers))
        classes = len(dataset.classes)
        self.labels = torch.tensor([i % classes for i in self.numbers]) if classes else None

    def look(self, denoiser: Denoiser) -> Look:
        """Sample with DDIM from the same noise and classes as ever, and take the validation loss."""
        device = next(denoiser.parameters()).device
        steps = min(STEPS, self.schedule.length or STEPS)
        denoise = clipped(denoiser) if self.kind.bounded else denoiser
        job = Job(denoise, levels(self.schedule, steps), ddim, self.shape, self.seed, self.labels, device)
        samples = last(job.walk(self.numbers)).cpu()
        return Look(samples, self.kind.health.of(samples), self.validation.loss(denoiser), self.linear_loss)

    def picture(self, look: Look) -> Image.Image:
        """The samples, beside data where that helps the eye."""
        return self.kind.picture(look.samples, self.known)
