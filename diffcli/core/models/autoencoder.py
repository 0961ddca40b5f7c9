"""Autoencoders whose latents are pictures, smaller than the image (Rombach et al. 2022, section 3.1)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from diffcli.core.models.layers import ChannelNorm
from diffcli.core.models.tiles import by_tiles
from diffcli.core.models.vae import NARROWEST, Residual, pyramid
from diffcli.core.processes.variational import Posterior

TILE = 512  # pixels along a side; larger images are encoded and decoded in squares of so many


class LatentAutoencoder(nn.Module):
    """q(z | x) = N(mean, std²) with z [B, c, h, w], h = H / f rounded up, and images of such z.

    shape:     of an image, (C, H, W)
    channels:  c, numbers at each place of the latents
    widths:    of the convolutions at each resolution, from half the image's on; f = 2 ** len(widths)
    blocks:    residual blocks at each resolution, both ways
    bf16:      compute in bfloat16 (outputs are float32 all the same)

    There is no attention, and norms look at one pixel: what a place becomes depends on its surroundings alone, `reach`
    latents on each side. So large images go through it in tiles, and come out as they would at once.
    """

    def __init__(
        self, shape: Sequence[int], *, channels: int, widths: Sequence[int], blocks: int, bf16: bool = False
    ) -> None:
        super().__init__()
        self.bf16, self.factor, self.reach = bf16, 2 ** len(widths), _reach(len(widths), blocks)
        self.latent_shape = (channels, *(-(-side // self.factor) for side in shape[1:]))
        down, (*up, self.cropped) = pyramid(shape, 1, widths=widths, blocks=blocks)
        last = widths[-1]
        self.encoder = nn.Sequential(*down, ChannelNorm(last), nn.SiLU(), nn.Conv2d(last, 2 * channels, 3, padding=1))
        self.decoder = nn.Sequential(nn.Conv2d(channels, last, 3, padding=1), *up)

    def encode(self, x: Tensor) -> Posterior:
        """q(z | x) of images [B, C, H, W]; mean and std [B, c, h, w]."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            out = self._in_tiles(self.encoder, x.contiguous(memory_format=torch.channels_last), enter=self.factor)
        mean, log_std = out.to(x.dtype).chunk(2, dim=1)
        return Posterior(mean, log_std.clamp(NARROWEST, -NARROWEST).exp())

    def decode(self, z: Tensor) -> Tensor:
        """Images [B, C, H, W] of latents [B, c, h, w]; they may leave [-1, 1] a little."""
        with torch.autocast(z.device.type, torch.bfloat16, enabled=self.bf16):
            whole = self._in_tiles(self.decoder, z.contiguous(memory_format=torch.channels_last), leave=self.factor)
        return self.cropped(whole).to(z.dtype)

    def _in_tiles(self, act: nn.Module, x: Tensor, enter: int = 1, leave: int = 1) -> Tensor:
        tile = max(1, TILE // self.factor)
        return by_tiles(act, x, tile=tile, overlap=self.reach, enter=enter, leave=leave)

    def perceived(self, x: Tensor) -> list[Tensor]:
        """The encoder's features of images after each residual block, of length 1 at each place, [B, width, h, w].

        No gradient reaches the encoder's weights by this way, so it cannot make images alike by looking away; that the
        model's own features serve as a perceptual metric is the idea of Lin & Yang 2024 (arXiv 2401.00110).
        """
        found = []
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            h = x.contiguous(memory_format=torch.channels_last)
            for layer in self.encoder:
                h = functional_call(layer, {name: weight.detach() for name, weight in layer.named_parameters()}, (h,))
                if isinstance(layer, Residual):
                    found.append(F.normalize(h.float(), dim=1))
        return found


def _reach(halvings: int, blocks: int) -> int:
    """How many latents on each side anything depends on, the same both ways, rounded up to a whole one.

    At each resolution residual blocks see two pixels each, s in all, and one other convolution sees one more; at the
    finest, half the image's, there are two of these. A pixel is half of one of the next: (1 + s)(1 + 1/2 + 1/4 + ...)
    and once more the finest pixel are 2 (1 + s) - s / 2^(halvings - 1).
    """
    stage = 2 * blocks
    return 2 * (1 + stage) - stage // 2 ** (halvings - 1)


def perceptual_distance(model: LatentAutoencoder, images: Tensor, truth: Tensor) -> Tensor:
    """Mean squared distance of the encoder's features of two sets of images, over the blocks, [B].

    Zhang et al. 2018, section 3, with the model's own features instead of a network that would have to be downloaded.
    """
    with torch.no_grad():
        wanted = model.perceived(truth)
    pairs = zip(model.perceived(images), wanted, strict=True)
    return torch.stack([(a - b).square().sum(1).flatten(1).mean(1) for a, b in pairs]).mean(0)
