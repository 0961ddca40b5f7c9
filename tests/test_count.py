"""How many processes a command gets: as told, as torchrun has started, or as the machine suggests."""

from pathlib import Path

import pytest

from diffcli.errors import UsageProblem
from diffcli.ranks import count
from diffcli.ranks.count import processes, threads_each


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "physical_cores", lambda: 8)
    monkeypatch.setattr(count, "_gpus", lambda: [])
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def torchrun(monkeypatch: pytest.MonkeyPatch, world: int, local: int) -> None:
    told = {"RANK": 0, "WORLD_SIZE": world, "MASTER_ADDR": "here", "MASTER_PORT": 1, "LOCAL_WORLD_SIZE": local}
    for name, value in told.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize(
    ("wanted", "device", "more", "found"),
    [
        ("auto", "auto", {}, (4, True)),  # no more than four by itself, and only if a trial finds them faster
        ("auto", "cpu", {"worth": False}, (1, False)),
        ("auto", "mps", {}, (1, False)),
        ("auto", "cpu", {"before": 3}, (3, False)),
        ("auto", "cpu", {"before": 1}, (1, False)),
        ("6", "auto", {"before": 3}, (6, False)),
        ("1", "auto", {}, (1, False)),
    ],
)
def test_one_machine_without_gpus(wanted: str, device: str, more: dict[str, int], found: tuple[int, bool]) -> None:
    assert processes(wanted, device, **more) == found  # type: ignore[arg-type]


def test_each_gpu_gets_one_unless_the_processor_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "_gpus", lambda: ["nvidia0", "nvidia1"])
    assert processes("auto", "auto") == (2, False)
    assert processes("auto", "cuda") == (2, False)
    assert processes("auto", "cpu") == (4, True)


def test_gpus_are_those_that_are_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    assert count._gpus() == ["0", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert count._gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert len(count._gpus()) == len(list(Path("/dev").glob("nvidia[0-9]*")))


def test_torchrun_has_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    torchrun(monkeypatch, 16, 4)
    assert processes("auto", "auto") == (16, False)
    assert processes("16", "auto") == (16, False)
    assert threads_each(16) == 2  # eight cores, four processes on this machine
    with pytest.raises(UsageProblem, match="torchrun has started 16 processes, not 2"):
        processes("2", "auto")


def test_processes_share_the_cores() -> None:
    assert [threads_each(n) for n in (1, 2, 3, 16)] == [8, 4, 2, 1]


@pytest.mark.parametrize("wanted", ["0", "-2", "100000", "two", "1.5", ""])
def test_nonsense_is_refused(wanted: str) -> None:
    with pytest.raises(UsageProblem):
        processes(wanted, "auto")
