"""What devices can compute in."""

import torch

NO_FLOAT64 = {"mps"}  # types of devices


def widest(device: torch.device) -> torch.dtype:
    """The widest floating-point numbers that a device has: float32 on Apple's GPUs, elsewhere float64."""
    return torch.float32 if device.type in NO_FLOAT64 else torch.float64
