"""The noise grows as a power of time: sigma = t^exponent, alpha² + sigma² = 1."""

import torch
from torch import Tensor

from diffcli import plugins
from diffcli.core.diffusion.schedules import Schedule


@plugins.schedule("power")
class Power(Schedule):
    """exponent:  above 1 stays longer near the data, below 1 longer near the noise"""

    def __init__(self, exponent: float = 1.0) -> None:
        if not exponent > 0:
            raise ValueError("exponent must be positive")
        self.exponent = exponent

    def alpha(self, t: Tensor) -> Tensor:
        return (1 - t ** (2 * self.exponent)).clamp(min=0).sqrt()

    def sigma(self, t: Tensor) -> Tensor:
        return torch.pow(t, self.exponent)
