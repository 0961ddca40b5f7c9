"""A small smooth network for a field of vectors: it can be differentiated as often as one likes."""

import torch
from torch import Tensor, nn

OCTAVES = 2  # of sines and cosines of each coordinate


class FieldNet(nn.Module):
    """forward(x [B, D]) -> [B, D], in units of 1 / sigma; it begins as 0 everywhere.

    scale:  what x is divided by, the width of the data
    sigma:  the noise on the data: their score is of the order of 1 / sigma
    """

    def __init__(self, dimensions: int, *, scale: float, sigma: float, width: int = 96, depth: int = 3) -> None:
        super().__init__()
        self.scale, self.sigma = scale, sigma
        sizes = [dimensions * (1 + 2 * OCTAVES), *depth * [width]]
        layers = [nn.Sequential(nn.Linear(a, b), nn.SiLU()) for a, b in zip(sizes, sizes[1:], strict=False)]
        self.layers = nn.Sequential(*layers)
        self.leave = nn.Linear(width, dimensions)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x / self.scale
        waves = torch.cat([x * 2**octave for octave in range(OCTAVES)], dim=1)
        return self.leave(self.layers(torch.cat([x, waves.sin(), waves.cos()], dim=1))) / self.sigma
