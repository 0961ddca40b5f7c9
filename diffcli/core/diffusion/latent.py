"""Diffusion in the latents of an autoencoder (Rombach et al. 2022): their scale, and the way there and back."""

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from diffcli.core.processes.variational import Posterior

PIXELS_AT_ONCE = 1 << 18  # of images in a batch of an encoder or a decoder


class Coder(Protocol):
    """What maps images [B, C, H, W] to the laws of their latents, and latents to images.

    factor:  pixels of an image along one place of the latents
    """

    factor: int

    def encode(self, x: Tensor) -> Posterior: ...

    def decode(self, z: Tensor) -> Tensor: ...


class Codec(nn.Module):
    """A frozen autoencoder, its latents brought to mean 0 and standard deviation 1 in each channel.

    autoencoder:  an nn.Module that is a `Coder`
    mean, std:    of each channel of its latents, [c]: of z itself, the posterior's spread included

    Rombach et al. 2022, appendix G, divide by one number; with one for each channel no channel is drowned.
    """

    def __init__(self, autoencoder: Any, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.autoencoder: Coder = autoencoder
        self.register_buffer("mean", mean.float().reshape(-1, 1, 1))
        self.register_buffer("std", std.float().reshape(-1, 1, 1))
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Posterior:
        """The law of the latents of images [B, C, H, W] in [-1, 1]: mean and std, [B, c, h, w]."""
        parts = [self.autoencoder.encode(part) for part in self._parts(x, x[0, 0].numel())]
        mean, std = (torch.cat([part[i] for part in parts]) for i in (0, 1))
        return Posterior((mean - self.get_buffer("mean")) / self.get_buffer("std"), std / self.get_buffer("std"))

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Images [B, C, H, W] in [-1, 1] of latents [B, c, h, w]."""
        scaled = z * self.get_buffer("std") + self.get_buffer("mean")
        pixels = z[0, 0].numel() * self.autoencoder.factor**2
        parts = [self.autoencoder.decode(part) for part in self._parts(scaled, pixels)]
        return torch.cat(parts).clamp(-1, 1)

    @staticmethod
    def _parts(x: Tensor, pixels: int) -> Iterator[Tensor]:
        yield from x.split(max(1, PIXELS_AT_ONCE // pixels))


def paired(posterior: Posterior) -> Tensor:
    """Mean and std of latents in one tensor, [B, 2 c, h, w], as they are stored."""
    return torch.cat(posterior, 1)


def drawn_latents(stored: Tensor, noise: Tensor) -> Tensor:
    """Latents [B, c, h, w] drawn from laws that are stored as [B, 2 c, h, w]; noise is standard normal [B, c, h, w]."""
    return Posterior(*stored.chunk(2, dim=1)).at(noise)
