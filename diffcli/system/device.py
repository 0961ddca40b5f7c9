"""Which device computes, and in which precision."""

import contextlib
import ctypes
import sys
from collections.abc import Iterator

import torch

from diffcli.errors import EnvironmentProblem, UsageProblem
from diffcli.system import limits


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
    if device.type == "cpu":
        _keep_memory()
    return device


def _keep_memory() -> None:
    """Let glibc keep what is freed: else it hands a network's memory back and fetches it again, page by page.

    Where it does so depends on what lies behind in the heap, and costs up to a fifth of the time of sampling.
    """
    if sys.platform == "linux":
        trim_threshold, mmap_threshold = -1, -3  # malloc.h
        with contextlib.suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL(None)
            libc.mallopt(mmap_threshold, 32 << 20)  # the most that glibc takes
            libc.mallopt(trim_threshold, 1 << 30)


def own_device(device: torch.device, local: int) -> torch.device:
    """The device of one of several processes: of GPUs each has the one with its number, everything else is shared.

    local:  number of the process on its machine, from 0

    Raises EnvironmentProblem where there is no such GPU.
    """
    if device.type != "cuda":
        return device
    if local >= (there := torch.cuda.device_count()):
        raise EnvironmentProblem(f"process {local} has no GPU: there are {there} here", f"use --devices {there}")
    return torch.device("cuda", local)


def free_memory(device: torch.device) -> int | None:
    """Bytes that may still be taken of a device's memory; None where nothing tells."""
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return limits.free_memory() if device.type == "cpu" else None


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether networks compute in bfloat16: as `precision` says, and for "auto" where the device has it in hardware.

    A processor's counts only where torch uses it: with ATEN_CPU_CAPABILITY=avx2 it has none.
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cpu":
        there = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return there and torch.backends.cpu.get_cpu_capability() not in ("DEFAULT", "AVX2")
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


@contextlib.contextmanager
def computing_threads(count: int) -> Iterator[None]:
    """Let torch compute with so many threads inside, and with as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def out_of_memory(error: BaseException) -> bool:
    """Whether this is what a device, or the processor's allocator, says when there is no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = ("out of memory", "not enough memory", "can't allocate memory")  # MPS; the CPU, by version
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def empty_cache(device: torch.device) -> None:
    """Give back what torch keeps of a device's memory for later, so that larger pieces fit."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
