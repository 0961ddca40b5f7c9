"""The parts of the networks. Images are [B, C, H, W] in channels_last memory, conditions are [B, E]."""

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Module = TypeVar("Module", bound=nn.Module)


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of each pixel. In channels_last it is several times faster than GroupNorm in bf16."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class LevelEmbedding(nn.Module):
    """log-SNR [B] -> [B, E]: sines and cosines, slow ones and fast ones (Vaswani et al. 2017, section 3.5)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        frequencies = torch.exp(torch.linspace(math.log(0.05), math.log(5.0), size // 2))
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, log_snr: Tensor) -> Tensor:
        phase = log_snr.unsqueeze(1) * self.get_buffer("frequencies")
        return torch.cat([phase.sin(), phase.cos()], dim=1)


class ResBlock(nn.Module):
    """Two convolutions around a skip, scaled and shifted by the condition (Dhariwal & Nichol 2021, section 3)."""

    def __init__(self, channels_in: int, channels: int, condition: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.modulate = nn.Linear(condition, 2 * channels)
        self.norm2 = ChannelNorm(channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = zeroed(nn.Conv2d(channels, channels, 3, padding=1))
        self.skip = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.modulate(condition).unsqueeze(-1).unsqueeze(-1).chunk(2, dim=1)
        h = torch.addcmul(shift, self.norm2(h), 1 + scale)
        return self.skip(x) + self.conv2(self.dropout(F.silu(h)))


class Attention(nn.Module):
    """Self-attention over the pixels."""

    def __init__(self, channels: int, head_size: int = 32) -> None:
        super().__init__()
        self.heads = next(h for h in range(max(1, channels // head_size), 0, -1) if channels % h == 0)
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = zeroed(nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        pixels = self.norm(x.permute(0, 2, 3, 1).flatten(1, 2))  # [B, N, C]
        q, k, v = self.qkv(pixels).reshape(batch, height * width, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = self.out(attended(q, k, v).transpose(1, 2).reshape(pixels.shape))
        return x + mixed.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q kᵀ / √d) v, all [B, heads, N, d] (Vaswani et al. 2017, eq. 1)."""
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v)
    # in bf16 on a processor these products are the faster way, with their backward up to six times
    weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)  # [B, heads, N, N]
    return weights @ v


def zeroed(module: Module) -> Module:
    """The module with all parameters 0, so that the branch it ends starts as nothing."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module
