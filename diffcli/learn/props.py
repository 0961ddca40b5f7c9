"""What exercises hand to a learner's functions that has to be there where they run: small networks, and no truths."""

import torch
from torch import Tensor, nn


class Mlp(nn.Module):
    """(x [B, D], t [B] or a number) -> [B, outputs]: a small network whose weights are those of a seed."""

    def __init__(self, dimensions: int, outputs: int | None = None, width: int = 16, seed: int = 0) -> None:
        super().__init__()
        kept = torch.random.get_rng_state()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(
            nn.Linear(dimensions + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, dimensions if outputs is None else outputs),
        )  # fmt: skip
        torch.random.set_rng_state(kept)

    def forward(self, x: Tensor, t: Tensor | float) -> Tensor:
        time = torch.as_tensor(t, dtype=x.dtype).expand(len(x)).unsqueeze(1)
        return self.layers(torch.cat([x, time], dim=1))
