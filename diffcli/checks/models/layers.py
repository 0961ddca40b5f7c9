"""The parts of the networks, each written out by the formula of its paper."""

import math
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.checks.check import Finding, check, near
from diffcli.core.models.layers import Attention, ChannelNorm, LevelEmbedding, ResBlock, zeroed

Module = TypeVar("Module", bound=nn.Module)


def shaken(module: Module, seed: int = 0, size: float = 0.3) -> Module:
    """The module in float64 with normal numbers for its weights: many of them begin as 0 and would show nothing."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.double().parameters():
        parameter.data = size * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return module.requires_grad_(False)


def numbers(*shape: int, seed: int = 1) -> Tensor:
    """Standard normal ones, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normalised(x: Tensor, layer: nn.LayerNorm, dim: int) -> Tensor:
    """Mean 0 and variance 1 along a dimension, then scaled and shifted (Ba et al. 2016, eq. 4)."""
    centred = x - x.mean(dim, keepdim=True)
    unit = centred / (centred.square().mean(dim, keepdim=True) + 1e-5).sqrt()
    shape = [-1 if i == dim % x.dim() else 1 for i in range(x.dim())]
    return unit * layer.weight.reshape(shape) + layer.bias.reshape(shape)


def silu(x: Tensor) -> Tensor:
    return x / (1 + (-x).exp())


def waves(log_snr: Tensor, size: int) -> Tensor:
    """Sines, then cosines, of frequencies that rise by equal factors from 0.05 to 5."""
    count = size // 2
    frequencies = [0.05 * 100 ** (k / (count - 1)) for k in range(count)]
    phases = [[value * frequency for frequency in frequencies] for value in log_snr.tolist()]
    rows = [[*map(math.sin, row), *map(math.cos, row)] for row in phases]
    return torch.tensor(rows, dtype=torch.float64)


def convolved(x: Tensor, layer: nn.Conv2d, *, stride: int = 1) -> Tensor:
    """A convolution with zeros around, as a sum over the places of its kernel; zeros keep the sides as they are."""
    side = layer.weight.shape[-1]
    height, width = x.shape[-2:]
    padded = F.pad(x, 4 * [side // 2])
    total = torch.zeros(len(x), len(layer.weight), height, width, dtype=x.dtype)
    if layer.bias is not None:
        total = total + layer.bias.reshape(-1, 1, 1)
    for i in range(side):
        for j in range(side):
            part = padded[..., i : i + height, j : j + width]
            total = total + torch.einsum("oc,bchw->bohw", layer.weight[..., i, j], part)
    return total[..., ::stride, ::stride]


def block_by_hand(block: ResBlock, x: Tensor, condition: Tensor) -> Tensor:
    """The residual block: two convolutions, the second one seeing (1 + scale) norm(h) + shift."""
    h = convolved(silu(normalised(x, block.norm1.norm, 1)), block.conv1)
    modulation = condition @ block.modulate.weight.T + block.modulate.bias
    scale, shift = modulation[:, : h.shape[1], None, None], modulation[:, h.shape[1] :, None, None]
    h = convolved(silu((1 + scale) * normalised(h, block.norm2.norm, 1) + shift), block.conv2)
    return h + (x if isinstance(block.skip, nn.Identity) else convolved(x, block.skip))


def attention_by_hand(layer: Attention, x: Tensor, heads: int) -> Tensor:
    """softmax(q kᵀ / √size) v for each head on its share of the channels, pixel by pixel (Vaswani et al. 2017)."""
    batch, channels, height, width = x.shape
    pixels = normalised(x, layer.norm, 1).flatten(2)  # [B, C, N]
    q, k, v = (layer.qkv.weight @ pixels + layer.qkv.bias.unsqueeze(1)).split(channels, dim=1)
    parts = []
    for own in torch.arange(channels).chunk(heads):
        scores = torch.einsum("bcn,bcm->bnm", q[:, own], k[:, own]) / math.sqrt(len(own))
        shares = scores.exp() / scores.exp().sum(2, keepdim=True)
        parts.append(torch.einsum("bnm,bcm->bcn", shares, v[:, own]))
    mixed = layer.out.weight @ torch.cat(parts, dim=1) + layer.out.bias.unsqueeze(1)
    return x + mixed.reshape(batch, channels, height, width)


@check("the level is told by sines and cosines of it, frequencies 0.05 to 5", "Vaswani et al. 2017, section 3.5")
def level_embedding() -> Iterator[Finding]:
    log_snr = torch.tensor([-9.0, -0.3, 0.0, 2.5, 20.0])
    for size in (6, 32):
        yield near(f"{size} numbers", waves(log_snr, size), LevelEmbedding(size)(log_snr), abs=1e-4)
    yield near("no part of the weights", 0, len(LevelEmbedding(6).state_dict()))


@check("the norm of channels is that of each pixel's own", "Ba et al. 2016, eq. 4")
def channel_norm() -> Iterator[Finding]:
    layer, x = shaken(ChannelNorm(5)), numbers(2, 5, 3, 4)
    yield near("two images", normalised(x, layer.norm, 1), layer(x), rel=1e-9, abs=1e-12)


@check(
    "a residual block is two convolutions around a skip, the second scaled and shifted by the condition",
    "Dhariwal & Nichol 2021, section 3; Perez et al. 2018, eq. 2",
)
def residual_block() -> Iterator[Finding]:
    condition = numbers(2, 7, seed=2)
    for wide, name in ((6, "as wide as before"), (4, "narrower")):
        x = numbers(2, 6, 5, 4)
        block = shaken(ResBlock(6, wide, 7, 0.0))
        yield near(name, block_by_hand(block, x, condition), block(x, condition), rel=1e-9, abs=1e-11)
    fresh = ResBlock(6, 6, 7, 0.0).double()
    yield near("it begins as nothing", x, fresh(x, condition))
    lost = shaken(ResBlock(6, 6, 7, 0.4)).train().dropout
    kept = lost(torch.ones(20_000, dtype=torch.float64, requires_grad=False))
    yield near("values dropped out", 0.4, (kept == 0).double().mean(), abs=4.5 * math.sqrt(0.24 / 20_000))


@check("attention: every head mixes the values of all pixels by softmax(q kᵀ / √size)", "Vaswani et al. 2017, eq. 1")
def attention_of_pixels() -> Iterator[Finding]:
    for channels, heads in ((8, 1), (48, 1), (62, 1), (64, 2), (96, 3), (100, 2), (128, 4)):
        layer, x = shaken(Attention(channels), size=0.1), numbers(2, channels, 2, 3)
        yield near(f"heads of {channels} channels", heads, layer.heads)
        yield near(f"{channels} channels", attention_by_hand(layer, x, heads), layer(x), rel=1e-9, abs=1e-11)
    yield near("it begins as nothing", x, Attention(128).double()(x))
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    moved = layer(x.flatten(2)[..., order].reshape(x.shape))
    yield near("pixels have no place", layer(x).flatten(2)[..., order], moved.flatten(2), rel=1e-9, abs=1e-11)
    yield near("zeroed", 0, sum(p.abs().sum() for p in zeroed(nn.Linear(3, 2)).parameters()))
