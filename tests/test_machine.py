"""What is known of the machine: cores, how busy they are, and memory, as Linux tells it in files."""

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from diffcli.system.cores import busy_cores, physical_cores
from diffcli.system.limits import free_memory, processor_quota

Machine = Callable[..., Path]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A root folder with these files; processors 0 to n - 1 are allowed."""

    def made(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return made


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def allow(*processors: int) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(processors), raising=False)

    return allow


def topology(*siblings: str) -> dict[str, str]:
    return {
        f"sys/devices/system/cpu/cpu{i}/topology/thread_siblings_list": f"{names}\n" for i, names in enumerate(siblings)
    }


# Cores


@pytest.mark.parametrize(
    ("processors", "files", "count"),
    [
        ((0, 1), {}, 2),
        ((0, 1, 2, 3), topology("0,2", "1,3", "0,2", "1,3"), 2),
        ((0, 1, 2, 3), topology("0-1", "0-1", "2-3", "2-3"), 2),
        ((0, 1), topology("0,2", "1,3", "0,2", "1,3"), 2),
        ((0, 2), topology("0,2", "1,3", "0,2", "1,3"), 1),  # both threads of one core
        ((5,), topology("0,2", "1,3", "0,2", "1,3"), 1),
        ((0, 1, 2), {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1),
        ((0, 1, 2), {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ((0, 1, 2), {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 2),
        ((0, 1, 2), {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 3),
        ((0, 1, 2), {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "800000 100000\n"}, 3),
    ],
)
def test_cores_that_a_process_may_use(
    machine: Machine, allowed: Callable[..., None], processors: tuple[int, ...], files: dict[str, str], count: int
) -> None:
    allowed(*processors)
    assert physical_cores(machine(files)) == count


def test_where_there_is_no_affinity_all_processors_count(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for found, count in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda found=found: found)
        assert physical_cores(machine({})) == count


def test_the_narrowest_quota_of_the_groups_above_counts(machine: Machine) -> None:
    group = "sys/fs/cgroup/a/b"
    root = machine(
        {"proc/self/cgroup": "0::/a/b\n", f"{group}/cpu.max": "max 100000", "sys/fs/cgroup/x/cpu.max": "1 1"}
    )
    assert processor_quota(root) is None
    machine({"sys/fs/cgroup/a/cpu.max": "300000 100000"})
    assert processor_quota(root) == 3
    machine({f"{group}/cpu.max": "120000 100000"})
    assert processor_quota(root) == 1.2
    machine({"proc/self/cgroup": "3:cpuset:/\n2:cpuacct,cpu:/job\n0::/\n"})
    machine({"sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n"})
    assert processor_quota(root) is None
    machine({"sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "400000\n"})
    assert processor_quota(root) == 4


# How busy they are


def stat(*ticks: tuple[int, ...]) -> str:
    rows = [f"cpu{i} " + " ".join(map(str, row)) for i, row in enumerate(ticks)]
    return "\n".join(["cpu  9 9 9 9 9 9 9 9 9 9", *rows, "intr 1 2 3", "ctxt 5"]) + "\n"


def busy(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, before: str, after: str, own: float = 0.0, interval: float = 1.0
) -> float | None:
    """What is found when a second passes between the two contents, of which this process computes `own`."""
    root, clock = machine({"proc/stat": before}), itertools.count(0, interval)
    used = iter((5.0, 5.0 + own))
    monkeypatch.setattr(time, "sleep", lambda _: machine({"proc/stat": after}))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(time, "process_time", lambda: next(used))
    return busy_cores(root)


IDLE = stat((100, 0, 50, 1000, 5, 0, 0, 0, 0, 0), (100, 0, 50, 1000, 5, 0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("after", "own", "found"),
    [
        (stat((100, 0, 50, 1100, 5, 0, 0, 0, 0, 0), (100, 0, 50, 1100, 5, 0, 0, 0, 0, 0)), 0.0, 0.0),
        (stat((180, 0, 70, 1000, 5, 0, 0, 0, 0, 0), (100, 0, 50, 1100, 5, 0, 0, 0, 0, 0)), 0.0, 1.0),
        (stat((180, 0, 70, 1000, 5, 0, 0, 0, 0, 0), (150, 0, 50, 1050, 5, 0, 0, 0, 0, 0)), 1.0, 0.5),
        (stat((180, 0, 70, 1000, 5, 0, 0, 0, 0, 0), (100, 0, 50, 1100, 5, 0, 0, 0, 0, 0)), 1.2, 0.0),
        (stat((100, 90, 50, 1010, 5, 0, 0, 0, 0, 0), (100, 0, 50, 1010, 95, 0, 0, 0, 0, 0)), 0.0, 0.0),  # nice; disk
        (stat((100, 0, 50, 1000, 5, 20, 30, 50, 0, 0), (100, 0, 50, 1100, 5, 0, 0, 0, 0, 0)), 0.0, 1.0),  # irq, steal
        (
            stat((160, 0, 50, 1040, 5, 0, 0, 0, 60, 0), (100, 0, 50, 1100, 5, 0, 0, 0, 0, 0)),
            0.0,
            0.6,
        ),  # guests are user
        (IDLE, 0.0, None),  # no tick has passed
    ],
)
def test_how_many_cores_others_keep_busy(
    machine: Machine,
    allowed: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    after: str,
    own: float,
    found: float | None,
) -> None:
    allowed(0, 1)
    assert busy(machine, monkeypatch, IDLE, after, own) == (None if found is None else pytest.approx(found))


def test_processors_that_are_not_allowed_may_be_as_busy_as_they_like(
    machine: Machine, allowed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed(1)
    after = stat((300, 0, 50, 1000, 5, 0, 0, 0, 0, 0), (150, 0, 50, 1150, 5, 0, 0, 0, 0, 0))
    assert busy(machine, monkeypatch, IDLE, after) == pytest.approx(0.25)


def test_where_nothing_tells_nothing_is_known(tmp_path: Path) -> None:
    assert busy_cores(tmp_path, interval=0.0) is None
    assert free_memory(tmp_path) is None
    assert processor_quota(tmp_path) is None


def test_this_machine_is_understood() -> None:
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)
    found = busy_cores(interval=0.05)
    assert found is None or 0 <= found <= (os.cpu_count() or 1)


# Memory

MIB = 1 << 20


def test_memory_that_is_free_of_the_machine_and_of_every_group_above(machine: Machine) -> None:
    root = machine({"proc/meminfo": "MemTotal:  9000 kB\nMemFree: 1 kB\nMemAvailable:    8192 kB\n"})
    assert free_memory(root) == 8 * MIB
    machine({
        "proc/self/cgroup": "0::/job/step\n",
        "sys/fs/cgroup/job/memory.max": f"{7 * MIB}\n",
        "sys/fs/cgroup/job/memory.current": f"{3 * MIB}\n",
        "sys/fs/cgroup/job/memory.stat": f"anon 5\ninactive_file {MIB}\nactive_file {MIB}\n",
        "sys/fs/cgroup/job/step/memory.max": "max\n",
        "sys/fs/cgroup/job/step/memory.current": "0\n",
        "sys/fs/cgroup/job/step/memory.stat": "inactive_file 0\n",
    })  # fmt: skip
    assert free_memory(root) == 5 * MIB  # what is cached of files is given back
    machine({"sys/fs/cgroup/job/memory.current": f"{30 * MIB}\n"})
    assert free_memory(root) == 0


def test_memory_under_the_first_version_of_control_groups(machine: Machine) -> None:
    group = "sys/fs/cgroup/memory/job"
    root = machine({
        "proc/meminfo": "MemAvailable:    8192 kB\n",
        "proc/self/cgroup": "4:memory:/job\n1:cpu:/elsewhere\n",
        f"{group}/memory.limit_in_bytes": f"{2**63 - 4096}\n",
        f"{group}/memory.usage_in_bytes": f"{3 * MIB}\n",
        f"{group}/memory.stat": f"cache 7\ntotal_inactive_file {MIB}\n",
    })  # fmt: skip
    assert free_memory(root) == 8 * MIB
    machine({f"{group}/memory.limit_in_bytes": f"{6 * MIB}\n"})
    assert free_memory(root) == 4 * MIB
