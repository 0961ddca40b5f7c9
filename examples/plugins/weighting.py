"""Levels around one log-SNR count most, as a bell over log-SNR."""

import torch
from torch import Tensor

from diffcli import plugins

CENTRE, WIDTH = 1.0, 3.0


@plugins.weighting("bell")
def bell(log_snr: Tensor, rate: Tensor) -> Tensor:
    """The weight of the squared error of eps; `rate` is how fast log-SNR falls where levels are drawn evenly in t."""
    return torch.exp(-(((log_snr - CENTRE) / WIDTH) ** 2) / 2)
