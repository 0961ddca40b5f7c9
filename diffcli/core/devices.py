"""What devices can compute in, and how they are sent numbers."""

from collections.abc import Callable

import torch
from torch import Tensor

NO_FLOAT64 = {"mps"}  # types of devices
PINNED = {"cuda"}  # types of devices that copy from pinned memory beside what they compute


def widest(device: torch.device) -> torch.dtype:
    """The widest floating-point numbers that a device has: float32 on Apple's GPUs, elsewhere float64."""
    return torch.float32 if device.type in NO_FLOAT64 else torch.float64


def exact_on(device: torch.device | str) -> torch.device:
    """Where the numbers of a device are computed in float64: there, or by the CPU."""
    device = torch.device(device)
    return device if widest(device) == torch.float64 else torch.device("cpu")


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; on its way to a GPU while the caller goes on."""
    if device.type not in PINNED or tensor.device.type != "cpu":
        return tensor.to(device)
    pinned = tensor if tensor.is_pinned() else tensor.pin_memory()  # a copy from other memory is waited for
    return pinned.to(device, non_blocking=True)


def anywhere(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """function(x), by the CPU where the device of x lacks it."""
    try:
        return function(x)
    except NotImplementedError:
        return function(x.cpu()).to(x.device)
