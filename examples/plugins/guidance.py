"""Guidance that fades: as strong as asked for at high noise, and none where the image is nearly there."""

from typing import Any

from torch import Tensor

from diffcli import plugins
from diffcli.core.diffusion.denoiser import Denoise, Prediction
from diffcli.core.diffusion.guidance import guided
from diffcli.core.levels import Level


@plugins.guidance("faded")
def faded(denoise: Denoise, scale: float, *, middle: float = 1.0) -> Denoise:
    """middle:  the noise sigma / alpha at which half of the guidance is left"""

    def mixed(x: Tensor, level: Level, **cond: Any) -> Prediction:
        ratio = (level.sigma / level.alpha).item() if level.alpha > 0 else float("inf")
        left = 1.0 if ratio == float("inf") else ratio / (ratio + middle)
        return guided(denoise, 1 + (scale - 1) * left)(x, level, **cond)

    return mixed
