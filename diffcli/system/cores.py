"""How many cores this process may use, and how busy others keep them. Imports nothing heavy."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from diffcli.system.limits import ROOT, processor_quota

INTERVAL = 0.2  # seconds


def physical_cores(root: Path = ROOT) -> int:
    """Cores with arithmetic of their own: of the processors that are allowed, by affinity and by the group's quota.

    Two threads of one core share its arithmetic, so they count once. At least 1.
    """
    allowed = _allowed()
    cores = {_core(root, processor) for processor in allowed}
    return max(1, min(len(cores), int(processor_quota(root) or len(cores))))


def busy_cores(root: Path = ROOT, interval: float = INTERVAL) -> float | None:
    """How many of the allowed processors others have kept busy during an interval; None where nothing tells."""
    tell = watch(root)
    time.sleep(interval)
    return tell()


def watch(root: Path = ROOT) -> Callable[[], float | None]:
    """Begin to watch the processors: what is returned tells how many of them others have kept busy since."""
    before, own, began = _times(root, _allowed()), time.process_time(), time.monotonic()

    def tell() -> float | None:
        after, spent = _times(root, _allowed()), time.monotonic() - began
        if before is None or after is None or after[1] <= before[1]:
            return None
        used = (after[0] - before[0]) / (after[1] - before[1]) * len(_allowed())
        return max(0.0, used - (time.process_time() - own) / spent)

    return tell


def processors() -> int:
    """How many this process may run on."""
    return len(_allowed())


def share_left(busy: float, root: Path = ROOT) -> float:
    """Of what this process may use of the processors, what others leave to it that keep so many busy; 0 to 1."""
    most = min(processors(), processor_quota(root) or processors())
    return max(0.0, min(most, processors() - busy)) / most


def _allowed() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _core(root: Path, processor: int) -> str:
    """A name of the core that a processor belongs to; its own number where nothing tells."""
    siblings = root / f"sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list"
    try:
        return siblings.read_text("utf-8").strip()
    except OSError:
        return str(processor)


def _times(root: Path, allowed: Iterable[int]) -> tuple[int, int] | None:
    """Ticks that the processors were busy, and all ticks, so far."""
    names = {f"cpu{processor}" for processor in allowed}
    busy = total = 0
    try:
        lines = (root / "proc/stat").read_text("utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        name, *numbers = line.split()
        if name in names:
            ticks = [int(n) for n in numbers[:8]]
            idle = ticks[1] + ticks[3] + ticks[4]  # niced work gives way; and who waits for a disk uses none
            total += sum(ticks)
            busy += sum(ticks) - idle
    return busy, total
