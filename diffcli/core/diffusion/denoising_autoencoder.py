"""The denoising autoencoder: a network that is told how much an image was corrupted, and undoes it."""

import torch
from torch import Tensor, nn

from diffcli.core.diffusion.denoiser import Denoiser
from diffcli.core.levels import Level
from diffcli.core.processes.corruption import Corruption, GaussianNoise, per_image


class Autoencoder(nn.Module):
    """forward(y [B, ...], amount [B]) -> the estimate of the clean images, like y.

    Under Gaussian noise it is a diffusion model's denoiser at the levels (1, sigma), and learns v. Where values are
    lost, the network's output is added to the image.

    network:  (x [B, ...], log_snr [B]) -> like x
    """

    def __init__(self, network: nn.Module, corruption: Corruption) -> None:
        super().__init__()
        self.denoiser, self.corruption = Denoiser(network, "v"), corruption

    def forward(self, y: Tensor, amount: Tensor) -> Tensor:
        if isinstance(self.corruption, GaussianNoise):
            return self.denoiser(y, _level(y, amount)).x0
        log_snr = self.corruption.log_snr(amount).to(y.device, y.dtype)
        return y + self.denoiser.network(y, log_snr)

    def loss(self, x: Tensor, y: Tensor, amount: Tensor) -> Tensor:
        """The mean squared error per image, [B]: of the clean image, or under Gaussian noise of v.

        The error of v is that of the clean image times 1 + 1 / sigma², so that no level drowns the others.
        """
        if isinstance(self.corruption, GaussianNoise):
            level = _level(y, amount)
            return self.denoiser.loss(x, level, (y - x) / level.sigma)
        return (self(y, amount) - x).square().flatten(1).mean(1)


def _level(y: Tensor, amount: Tensor) -> Level:
    """x + sigma eps, as a level."""
    sigma = per_image(amount, y).to(y.device)
    return Level(torch.ones_like(sigma), sigma)
