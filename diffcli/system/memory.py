"""How much memory this process has taken at most, and how much a piece of work takes."""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

STATUS = Path("/proc/self/status")


def most_in_use(device: torch.device) -> int | None:
    """Bytes that this process has had at once, at most: its resident set, or of a GPU what torch took there.

    None where nothing tells.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()  # what was freed is kept there
    return _most_resident() if device.type == "cpu" else None


def _most_resident() -> int | None:
    # on Linux the rusage of a process begins with that of the one which started it
    with contextlib.suppress(OSError, StopIteration, ValueError):
        line = next(line for line in STATUS.read_text("utf-8").splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:  # there is none on Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def taken_by(work: Callable[[], Any]) -> int:
    """Bytes of the tensors that lived at once, at most, of those that the work made, whatever the device.

    What a function of torch takes for itself while it runs is not seen.
    """
    with _Watch() as watch:
        work()
    return watch.most


class _Watch(TorchFunctionMode):
    """Keeps count of the memory of tensors that functions of torch make.

    A mode of dispatch would see a little more of it, and imports 150 MB of symbolic mathematics to do so.
    """

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._alive: dict[StorageWeakRef, int] = {}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {StorageWeakRef(tensor.untyped_storage()) for tensor in _tensors((*args, *(kwargs or {}).values()))}
        found = function(*args, **(kwargs or {}))
        self._alive = {storage: size for storage, size in self._alive.items() if not storage.expired()}
        for tensor in _tensors([found]):
            storage = StorageWeakRef(tensor.untyped_storage())
            if storage not in given:  # else a view of it
                self._alive[storage] = tensor.untyped_storage().nbytes()
        self.most = max(self.most, sum(self._alive.values()))
        return found


def _tensors(values: Any) -> list[Tensor]:
    """The tensors among values, and in lists among them."""
    found = []
    for value in values:
        if isinstance(value, list | tuple):
            found += _tensors(value)
        elif isinstance(value, Tensor):
            found.append(value)
    return found
