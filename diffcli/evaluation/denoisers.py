"""Denoisers side by side: the median filter, the best linear one, the memorising one and a network."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.core.diffusion.exact import Mixture
from diffcli.core.levels import Level
from diffcli.core.processes.corruption import (
    LARGEST_LINEAR,
    Corruption,
    GaussianNoise,
    Replacing,
    best_affine,
    moments,
    recollection,
)
from diffcli.errors import UsageProblem

BLUR = 0.5  # of the images that the memorising denoiser knows, where values are lost
AT_ONCE = 64  # images
KNOWN = 6e7  # values of training images that are remembered

TITLES = {
    "noisy": "corrupted", "median": "median 3x3", "linear": "best linear", "memorising": "memorising",
    "network": "network",
}  # fmt: skip
"""The denoisers by name, and what to call them; the first leaves images as they are."""

Denoiser = Callable[[Tensor], Tensor]
"""Corrupted images [B, C, H, W] -> estimates in [-1, 1], alike."""


def check_amount(corruption: Corruption, amount: float) -> None:
    """Raise UsageProblem unless images can be corrupted by this amount."""
    if not 0 < amount <= corruption.most:
        unit = corruption.unit
        raise UsageProblem(
            f"--amount must be a {unit} above 0 and at most {corruption.most:g}, not {amount}",
            "sigma is that of images in [-1, 1]" if unit == "sigma" else "the share of values that are lost",
        )


def median_filter(images: Tensor) -> Tensor:
    """The median of the 3x3 values around each, of images [B, C, H, W]; beyond the border are its own values."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    height, width = images.shape[-2:]
    around = [padded[..., i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return torch.stack(around).median(0).values


@dataclass
class Baselines:
    """The denoisers that a network is held against, made from the training images [N, C, H, W]."""

    corruption: Corruption
    images: Tensor

    @functools.cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        return moments(self.images)

    @functools.cached_property
    def _law(self) -> Mixture:
        return Mixture(torch.ones(len(self.images)), self.images, torch.zeros(len(self.images)))

    def at(self, amount: float, model: Any) -> dict[str, Denoiser]:
        """All denoisers for this amount, by name, from the simplest on; `linear` only where images are small."""
        known: dict[str, Denoiser] = {"median": median_filter}
        if self.images[0].numel() <= LARGEST_LINEAR:
            known["linear"] = best_affine(self.corruption, *self._moments, amount).__call__
        known["memorising"] = lambda y: self._remembered(y, amount)
        known["network"] = lambda y: by_network(model, y, amount)
        return {name: functools.partial(_clipped, denoise) for name, denoise in known.items()}

    def _remembered(self, y: Tensor, amount: float) -> Tensor:
        if isinstance(self.corruption, GaussianNoise):
            return self._law(y, Level.of(1.0, amount)).x0
        assert isinstance(self.corruption, Replacing)
        return recollection(self.corruption, self.images, y, amount, BLUR)


def _clipped(denoise: Denoiser, y: Tensor) -> Tensor:
    return denoise(y).clamp(-1, 1)


@torch.no_grad()
def by_network(model: Any, y: Tensor, amount: float) -> Tensor:
    """The model's estimates of images [B, C, H, W], on the CPU."""
    device = next(model.parameters()).device
    parts = y.split(AT_ONCE)
    return torch.cat([model(part.to(device), torch.full((len(part),), amount, device=device)).cpu() for part in parts])
