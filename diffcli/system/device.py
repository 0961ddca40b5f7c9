"""Which device computes, and in which precision."""

import torch

from diffcli.errors import EnvironmentProblem, UsageProblem


def pick(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" is the GPU where there is one. Raises EnvironmentProblem if it is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageProblem(f"unknown device '{name}'", "known: auto, cpu, cuda, cuda:0, mps") from None
    present = {
        "cpu": not device.index,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        raise EnvironmentProblem(f"there is no device '{name}' here", "use --device auto or --device cpu")
    return device


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether networks compute in bfloat16: as `precision` says, and for "auto" where the device has it in hardware."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
