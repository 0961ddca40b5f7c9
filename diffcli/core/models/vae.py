"""Variational autoencoders of images: an encoder, a decoder, and the law of the pixels (Kingma & Welling 2014)."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.core.models.layers import ChannelNorm, zeroed
from diffcli.core.processes.laws.pixels import Pixels
from diffcli.core.processes.variational import LogLikelihood, Posterior, log_normal

NARROWEST = -7.0  # the least log of a posterior's standard deviation


class VAE(nn.Module):
    """p(z) = N(0, 1), p(x | z) by the decoder, q(z | x) by the encoder.

    pixels:   the law of x given the decoder's output
    encoder:  x [B, C, H, W] -> mean and log of the standard deviation, [B, 2 * latent]
    decoder:  z [B, latent] -> [B, pixels.count * C, H, W]
    bf16:     compute in bfloat16 (outputs are float32 all the same)
    """

    def __init__(
        self, latent: int, pixels: Pixels, encoder: nn.Module, decoder: nn.Module, *, bf16: bool = False
    ) -> None:
        super().__init__()
        self.latent, self.pixels, self.bf16 = latent, pixels, bf16
        self.encoder, self.decoder = encoder, decoder

    def encode(self, x: Tensor) -> Posterior:
        """q(z | x) of images [B, C, H, W]."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            out = self.encoder(x)
        mean, log_std = out.to(x.dtype).chunk(2, dim=1)
        return Posterior(mean, log_std.clamp(min=NARROWEST).exp())

    def decode(self, z: Tensor) -> Tensor:
        """The parameters of the pixels' law, [B, pixels.count * C, H, W]."""
        with torch.autocast(z.device.type, torch.bfloat16, enabled=self.bf16):
            return self.decoder(z).to(z.dtype)

    def log_likelihood(self, x: Tensor) -> LogLikelihood:
        """z [B, latent] -> log p(x | z) [B] for images x [B, C, H, W]."""
        return lambda z: self.pixels.log_prob(self.decode(z), x)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z) [B]."""
        return log_normal(z) + self.pixels.log_prob(self.decode(z), x)


class Residual(nn.Module):
    """x + two layers of it, the second of which begins as nothing."""

    def __init__(self, norm: nn.Module, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.norm, self.first, self.second = norm, first, zeroed(second)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(self.norm(x))))


Pair = tuple[nn.Module, nn.Module]
"""An encoder and a decoder."""


def linear(shape: Sequence[int], latent: int, numbers: int) -> Pair:
    """Affine maps both ways, and one posterior width per unit for all images: probabilistic PCA, if pixels are real."""
    size = torch.Size(shape).numel()
    return (
        nn.Sequential(nn.Flatten(), Spread(nn.Linear(size, latent), latent)),
        nn.Sequential(nn.Linear(latent, numbers * size), Picture(numbers, shape)),
    )


class Spread(nn.Module):
    """The output of a layer and, beside it, numbers that do not depend on the input."""

    def __init__(self, layer: nn.Module, count: int) -> None:
        super().__init__()
        self.layer, self.log_std = layer, nn.Parameter(torch.zeros(count))

    def forward(self, x: Tensor) -> Tensor:
        mean = self.layer(x)
        return torch.cat([mean, self.log_std.expand_as(mean)], dim=1)


class Picture(nn.Module):
    """[B, P * C * H * W] -> [B, P * C, H, W]."""

    def __init__(self, numbers: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = (numbers * shape[0], *shape[1:])

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, *self.shape)


def mlp(shape: Sequence[int], latent: int, numbers: int, *, width: int, depth: int, dropout: float = 0.0) -> Pair:
    """Residual layers over all pixels at once, `depth` blocks each way."""
    size = torch.Size(shape).numel()

    def blocks() -> list[nn.Module]:
        return [Residual(nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)) for _ in range(depth)]

    def end(count: int) -> list[nn.Module]:
        return [nn.LayerNorm(width), nn.SiLU(), nn.Dropout(dropout), zeroed(nn.Linear(width, count))]

    return (
        nn.Sequential(nn.Flatten(), nn.Linear(size, width), *blocks(), *end(2 * latent)),
        nn.Sequential(nn.Linear(latent, width), *blocks(), *end(numbers * size), Picture(numbers, shape)),
    )


def conv(shape: Sequence[int], latent: int, numbers: int, *, widths: Sequence[int], blocks: int) -> Pair:
    """Convolutions over pixels folded 2x2, halved between the widths; `blocks` residual blocks at each, both ways."""
    small = [math.ceil(side / 2 ** len(widths)) for side in shape[1:]]
    last = widths[-1]
    numbers_inside = last * math.prod(small)
    down, up = pyramid(shape, numbers, widths=widths, blocks=blocks)
    down += [ChannelNorm(last), nn.SiLU(), nn.Flatten(), nn.Linear(numbers_inside, 2 * latent)]
    up = [nn.Linear(latent, numbers_inside), nn.Unflatten(1, (last, *small)), *up]
    return nn.Sequential(*down), nn.Sequential(*up)


def pyramid(
    shape: Sequence[int], numbers: int, *, widths: Sequence[int], blocks: int
) -> tuple[list[nn.Module], list[nn.Module]]:
    """The layers from images to features [B, widths[-1], H / f, W / f] with f = 2 ** len(widths), and those back.

    shape:    of an image; sides that f does not divide are padded inside and cropped in the end
    numbers:  per pixel that come back
    """
    channels, *sides = shape

    def stage(width: int) -> list[nn.Module]:
        def layer() -> nn.Conv2d:
            return nn.Conv2d(width, width, 3, padding=1)

        return [Residual(ChannelNorm(width), layer(), layer()) for _ in range(blocks)]

    down: list[nn.Module] = [
        Padded(2 ** len(widths)), nn.PixelUnshuffle(2), nn.Conv2d(4 * channels, widths[0], 3, padding=1)
    ]  # fmt: skip
    up: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        down += [*stage(narrow), nn.Conv2d(narrow, wide, 3, stride=2, padding=1)]
        up = [nn.Upsample(scale_factor=2), nn.Conv2d(wide, narrow, 3, padding=1), *stage(narrow), *up]
    down += stage(widths[-1])
    up = [*stage(widths[-1]), *up]
    up += [ChannelNorm(widths[0]), nn.SiLU(), nn.Conv2d(widths[0], 4 * numbers * channels, 3, padding=1)]
    return down, [*up, nn.PixelShuffle(2), Cropped(sides)]


class Padded(nn.Module):
    """Images with their border's pixels repeated to sides that are multiples of a number."""

    def __init__(self, multiple: int) -> None:
        super().__init__()
        self.multiple = multiple

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        return F.pad(x, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")


class Cropped(nn.Module):
    """The upper left of images, of these sides."""

    def __init__(self, sides: Sequence[int]) -> None:
        super().__init__()
        self.sides = tuple(sides)

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : self.sides[0], : self.sides[1]]


NETWORKS: dict[str, Callable[..., Pair]] = {"conv": conv, "mlp": mlp, "linear": linear}
"""By name: (shape of an image, units of z, numbers per pixel, options) -> encoder and decoder."""
