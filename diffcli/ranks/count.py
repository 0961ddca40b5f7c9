"""How many processes a command is to have. Imports nothing heavy: they are started before torch is imported."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from diffcli.errors import UsageProblem
from diffcli.ranks.launch import MOST, Team, place, team
from diffcli.system.cores import physical_cores

MOST_ON_CORES = 4  # by itself: the parts of a batch of 64 would be too small for the arithmetic to be fast


def processes(wanted: str, device: str, *, worth: bool = True, before: int = 0) -> tuple[int, bool]:
    """How many, and whether that is only a proposal, to be tried against one process.

    wanted:  a number, or auto
    device:  auto, cpu, cuda, ...
    worth:   whether there is so much to do that others are worth their start
    before:  how many have begun what is gone on with; 0 if nothing is

    Raises UsageProblem.
    """
    here = place()
    if wanted == "auto":
        if here.launched or not worth:
            return here.count, False
        if before:
            return before, False
        if device in ("auto", "cuda") and (gpus := len(_gpus())):
            return gpus, False
        return (min(physical_cores(), MOST_ON_CORES), True) if device in ("auto", "cpu") else (1, False)
    try:
        count = int(wanted)
    except ValueError:
        raise UsageProblem(f"--devices must be a number or auto, not '{wanted}'", "as in --devices 2") from None
    if not 1 <= count <= MOST:
        raise UsageProblem(f"--devices must be from 1 to {MOST}, not {count}", "or auto")
    if here.launched and count != here.count:
        raise UsageProblem(f"torchrun has started {here.count} processes, not {count}", "leave --devices out")
    return count, False


@contextlib.contextmanager
def gathered(count: int, early: str) -> Iterator[Team | None]:
    """The team of so many processes, each with its share of the cores; None for one. early: what they import first"""
    if count == 1:
        yield None
        return
    with team(count, threads=threads_each(count), early=early) as found:
        yield found


def threads_each(count: int) -> int:
    """The threads of each of so many processes on this machine."""
    here = place()
    local = int(os.environ.get("LOCAL_WORLD_SIZE", count)) if here.launched else count
    return max(1, physical_cores() // local)


def _gpus() -> list[str]:
    """The GPUs of NVIDIA's that this process may use, found without torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [path.name for path in Path("/dev").glob("nvidia[0-9]*")]
