"""A residual multilayer perceptron, for points: every layer sees the whole point."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.core.models.layers import LevelEmbedding, zeroed

OCTAVES = 3  # of sines and cosines of each coordinate: edges are sharper with them (Tancik et al. 2020)


class MLP(nn.Module):
    """forward(x [B, D], log_snr [B], *, label [B] or None) -> [B, outputs * D].

    channels:  D
    classes:   number of classes; label `classes` (or None) is the null label, "no class given"
    width:     numbers in each layer
    depth:     residual blocks
    bf16:      compute in bfloat16 (the output is float32 all the same)
    """

    dimensions = 1  # of an item: [D]

    def __init__(
        self,
        channels: int,
        classes: int = 0,
        *,
        outputs: int = 1,
        width: int = 128,
        depth: int = 4,
        dropout: float = 0.0,
        bf16: bool = False,
    ) -> None:
        super().__init__()
        self.nulls, self.bf16 = {"label": classes}, bf16
        condition = max(32, width // 4)  # every point has its own level, so a wide one would cost as much as the rest
        self.embed_level = nn.Sequential(LevelEmbedding(condition), nn.Linear(condition, condition))
        self.embed_label = nn.Embedding(classes + 1, condition)
        self.condition = nn.Sequential(nn.SiLU(), nn.Linear(condition, condition), nn.SiLU())
        self.enter = nn.Linear(channels * (1 + 2 * OCTAVES), width)
        self.blocks = nn.ModuleList(Block(width, condition, dropout) for _ in range(depth))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), zeroed(nn.Linear(width, outputs * channels)))

    def forward(self, x: Tensor, log_snr: Tensor, *, label: Tensor | None = None) -> Tensor:
        if label is None:
            label = torch.full((len(x),), self.nulls["label"], device=x.device)
        waves = torch.cat([x * 2**octave for octave in range(OCTAVES)], dim=1)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            condition = self.condition(self.embed_level(log_snr) + self.embed_label(label))
            h = self.enter(torch.cat([x, waves.sin(), waves.cos()], dim=1))
            for block in self.blocks:
                h = block(h, condition)
            return self.leave(h).float()


class Block(nn.Module):
    """Two layers around a skip, scaled and shifted by the condition (Dhariwal & Nichol 2021, section 3)."""

    def __init__(self, width: int, condition: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.modulate = zeroed(nn.Linear(condition, 2 * width))
        self.layer1 = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.layer2 = zeroed(nn.Linear(width, width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.modulate(condition).chunk(2, dim=1)
        h = self.layer1(torch.addcmul(shift, self.norm(x), 1 + scale))
        return x + self.layer2(self.dropout(F.silu(h)))
