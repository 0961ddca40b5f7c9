"""What a step makes of an accelerator: `meta` stands for one, as it has no numbers that could be looked at."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

META = torch.device("meta")


class Crossings(TorchDispatchMode):
    """Counts copies between devices, and fails for whatever else has tensors of two devices."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        flat = [leaf for arg in (*args, result) for leaf in (arg if isinstance(arg, list | tuple) else [arg])]
        devices = {leaf.device.type for leaf in flat if isinstance(leaf, Tensor)}
        if len(devices) > 1:
            assert func is torch.ops.aten._to_copy.default, f"{func} has tensors on {sorted(devices)}"
            self.count += 1
        return result
