"""What the control groups of Linux, versions 1 and 2, leave to this process. Imports nothing heavy."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
UNLIMITED = 1 << 60  # version 1 writes "no limit" as a number near 2^63


def processor_quota(root: Path = ROOT) -> float | None:
    """Processors that the groups of this process may keep busy; None without a limit."""
    found = []
    for folder in _folders(root, "cpu"):
        with contextlib.suppress(OSError, ValueError):  # version 2; "max" is no number
            most, period = (folder / "cpu.max").read_text("utf-8").split()
            found.append(int(most) / int(period))
        with contextlib.suppress(OSError, ValueError):  # version 1; -1 is no limit
            most, period = ((folder / f"cpu.cfs_{name}_us").read_text("utf-8") for name in ("quota", "period"))
            found += [int(most) / int(period)] if int(most) > 0 else []
    return min(found, default=None)


def free_memory(root: Path = ROOT) -> int | None:
    """Bytes that this process may still take, of the machine's and of its groups' memory; None where nothing tells."""
    found = []
    with contextlib.suppress(OSError, KeyError, ValueError):
        found.append(1024 * _table(root / "proc/meminfo")["MemAvailable:"])
    for folder in _folders(root, "memory"):
        for most, used, cached in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            with contextlib.suppress(OSError, KeyError, ValueError):
                limit = int((folder / most).read_text("utf-8"))
                given_back = _table(folder / "memory.stat")[cached]  # files that are cached go first
                if limit < UNLIMITED:
                    found.append(max(0, limit - int((folder / used).read_text("utf-8")) + given_back))
    return min(found, default=None)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the groups of this process that a controller may have limits in, each with those above it."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        own = top / path.lstrip("/")
        yield own
        yield from (above for above in own.parents if above == top or top in above.parents)


def _table(path: Path) -> dict[str, int]:
    """Lines of a name, a number and perhaps a unit."""
    rows = (line.split() for line in path.read_text("utf-8").splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1}
