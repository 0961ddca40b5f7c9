"""How images are damaged for a denoising autoencoder, and what is known of each damage. Images are in [-1, 1]."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

BLACK, WHITE = -1.0, 1.0


@dataclass(frozen=True)
class Corruption:
    """One kind of damage, of an amount [] or [B, 1, ..., 1]; each pixel is damaged on its own.

    Given the clean pixel x0 the damaged one has mean gain · x0 + offset and some variance, from which the best linear
    denoiser follows; see `diffcli.metrics.denoisers`.

    title:      what the amount is, with its unit
    least:      of an amount
    most:       of an amount
    trained:    the amounts between which a network is trained unless told
    damage:     (x0 [B, ...], amount, generator) -> x, like x0
    gain:       amount -> the factor of x0 in the mean of x
    offset:     amount -> what is added to it
    variance:   (amount, mean of x0, mean of x0²) -> the mean over x0 of the variance of x, per pixel
    log_snr:    amount -> what a network is told
    """

    title: str
    least: float
    most: float
    trained: tuple[float, float]
    damage: Callable[[Tensor, Tensor, Generator], Tensor]
    gain: Callable[[Tensor], Tensor]
    offset: Callable[[Tensor], Tensor]
    variance: Callable[[Tensor, Tensor, Tensor], Tensor]
    log_snr: Callable[[Tensor], Tensor]


def blurred(x0: Tensor, amount: Tensor, generator: Generator) -> Tensor:
    """x0 + sigma · eps: the forward process at the level (1, sigma) (Vincent et al. 2010, section 3.3)."""
    return x0 + amount * torch.randn(x0.shape, generator=generator, dtype=x0.dtype)


def masked(x0: Tensor, amount: Tensor, generator: Generator) -> Tensor:
    """Each pixel made black with probability `amount`, in all channels at once (Vincent et al. 2008, section 2.3)."""
    return torch.where(_lot(x0, generator) < amount, BLACK, x0)


def peppered(x0: Tensor, amount: Tensor, generator: Generator) -> Tensor:
    """Each pixel made black or white, evenly, with probability `amount` (Vincent et al. 2010, section 3.3)."""
    lot = _lot(x0, generator)
    return torch.where(lot < amount / 2, BLACK, torch.where(lot < amount, WHITE, x0))


def _lot(x0: Tensor, generator: Generator) -> Tensor:
    """A uniform number for each pixel, the same for its channels; broadcasting against x0."""
    shape = (len(x0), 1, *x0.shape[2:]) if x0.dim() == 4 else x0.shape
    return torch.rand(shape, generator=generator, dtype=x0.dtype)


def _logit(amount: Tensor) -> Tensor:
    """What is left against what is lost."""
    return ((1 - amount) / amount).log()


CORRUPTIONS: dict[str, Corruption] = {
    "gaussian": Corruption(
        "σ, in units where black is -1 and white is 1", 0.001, 20.0, (0.05, 2.0), blurred,
        gain=torch.ones_like, offset=torch.zeros_like,
        variance=lambda amount, mean, square: amount**2 * torch.ones_like(mean),
        log_snr=lambda amount: -2 * amount.log(),
    ),
    "masking": Corruption(
        "share of pixels made black", 0.001, 0.999, (0.05, 0.95), masked,
        gain=lambda amount: 1 - amount, offset=lambda amount: BLACK * amount,
        variance=lambda amount, mean, square: amount * (1 - amount) * (square - 2 * BLACK * mean + BLACK**2),
        log_snr=_logit,
    ),
    "salt-and-pepper": Corruption(
        "share of pixels made black or white", 0.001, 0.999, (0.05, 0.95), peppered,
        gain=lambda amount: 1 - amount, offset=torch.zeros_like,
        variance=lambda amount, mean, square: amount * (1 - amount) * square + amount,
        log_snr=_logit,
    ),
}  # fmt: skip
"""By name. One image's amount is a number in [least, most]."""
