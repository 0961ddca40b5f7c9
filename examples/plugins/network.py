"""Plain convolutions at full resolution, told the level and the class: a network that fits on a page."""

import torch
from torch import Tensor, nn

from diffcli import plugins
from diffcli.core.models.layers import LevelEmbedding


@plugins.network("convnet")
class ConvNet(nn.Module):
    """forward(x [B, C, H, W], log_snr [B], *, label [B] or None) -> like x.

    width:  channels inside
    depth:  hidden layers
    """

    dimensions = 3  # it takes images; 1 would be points

    def __init__(
        self, channels: int, classes: int = 0, *, outputs: int = 1, width: int = 24, depth: int = 3, bf16: bool = False
    ) -> None:
        super().__init__()
        self.nulls, self.bf16 = {"label": classes}, bf16  # what it is told, and which value means "not given"
        self.level = nn.Sequential(LevelEmbedding(32), nn.Linear(32, width))
        self.label = nn.Embedding(classes + 1, width)
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.leave = nn.Conv2d(width, outputs * channels, 3, padding=1)

    def forward(self, x: Tensor, log_snr: Tensor, *, label: Tensor | None = None) -> Tensor:
        if label is None:
            label = torch.full((len(x),), self.nulls["label"], device=x.device)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            told = (self.level(log_snr) + self.label(label))[:, :, None, None]
            h = self.enter(x)
            for layer in self.layers:
                h = h + layer(torch.nn.functional.silu(h + told))
            return self.leave(h).float()
