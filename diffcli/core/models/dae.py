"""The denoising autoencoder: a network that is told how damaged an image is, and gives the clean one."""

import torch
from torch import Generator, Tensor, nn

from diffcli.core.processes.corruption import CORRUPTIONS

Factors = tuple[Tensor, Tensor, Tensor]


class DAE(nn.Module):
    """forward(x [B, ...], amount [B]) -> the clean estimate r(x), like x.

    r(x) = skip · x + size · network(scale · x, log-SNR). For Gaussian noise these are the factors of Karras et al.
    (2022, table 1) for data of variance 1, under which the network's task is as hard at every level; else r(x) = x +
    network.

    network:     (x [B, ...], log_snr [B]) -> like x
    corruption:  one of CORRUPTIONS
    """

    def __init__(self, network: nn.Module, corruption: str) -> None:
        super().__init__()
        self.network, self.name = network, corruption
        self.corruption = CORRUPTIONS[corruption]

    def forward(self, x: Tensor, amount: Tensor) -> Tensor:
        skip, size, scale = self._factors(amount.reshape(-1, *[1] * (x.dim() - 1)))
        return skip * x + size * self.network(scale * x, self.corruption.log_snr(amount))

    def loss(self, x0: Tensor, amount: Tensor, generator: Generator) -> Tensor:
        """The mean squared error of the clean estimate per image, [B], in units of size²; x0 on the CPU.

        For Gaussian noise this is the loss of v-prediction in diffusion (Salimans & Ho 2022, appendix D).
        """
        device = next(self.parameters()).device
        broad = amount.reshape(-1, *[1] * (x0.dim() - 1))
        x = self.corruption.damage(x0, broad, generator).to(device)
        _, size, _ = self._factors(broad.to(device))
        error = (self(x, amount.to(device)) - x0.to(device)) / size
        return error.square().flatten(1).mean(1)

    def _factors(self, amount: Tensor) -> Factors:
        """skip, size and scale, broadcasting against x."""
        if self.name != "gaussian":
            one = torch.ones_like(amount)
            return one, one, one
        length = (1 + amount**2).sqrt()
        return 1 / length**2, amount / length, 1 / length


def amounts(count: int, least: float, most: float, generator: Generator, *, even: str) -> Tensor:
    """Amounts of damage for a batch, [count], evenly spread with one random shift (Kingma et al. 2021, appendix I.1).

    even:  "log": even in the logarithm; "plain": in the amount
    """
    share = (torch.rand((), generator=generator) + torch.arange(count) / count) % 1
    return least * (most / least) ** share if even == "log" else least + (most - least) * share
