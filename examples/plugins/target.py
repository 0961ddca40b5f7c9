"""A mixture of data and noise that turns with the level, half as far as v does."""

import torch
from torch import Tensor

from diffcli import plugins


@plugins.target("angle")
def angle(alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """The network outputs a x0 + b eps with (a, b) of length 1, between eps and v.

    The level is at the angle atan2(sigma, alpha); v is a quarter turn ahead of it, eps stays at a quarter turn.
    """
    turned = torch.atan2(sigma, alpha) / 2 + torch.pi / 2
    return turned.cos(), turned.sin()
