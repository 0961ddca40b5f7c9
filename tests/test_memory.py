"""What a dry run says of memory, beside what a training takes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import Cli

from diffcli.commands import training_report
from diffcli.system import memory

MEASURED = """
import sys
from diffcli.cli import main
assert main(sys.argv[1:]) == 0
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def in_a_process(*arguments: object) -> tuple[dict[str, object], int]:
    """The document that a command prints, and the most bytes that its process had."""
    command = [sys.executable, "-c", MEASURED, *map(str, arguments), "--json", "--quiet"]
    *_, document, most = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return json.loads(document), 1024 * int(most)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read where Linux tells it")
@pytest.mark.parametrize("command", [("train",), ("vae", "train"), ("dae", "train")])
def test_a_dry_run_says_what_a_training_takes(tmp_path: Path, pictures: Path, command: tuple[str, ...]) -> None:
    how = (*command, "--recipe", "tiny", "--dataset", pictures, "--steps", 3, "--batch", 1000, "--devices", 1)
    said, _ = in_a_process(*how, "--dry-run")
    _, most = in_a_process(*how, "--out", tmp_path / "run")
    assert said["memory_bytes"] == pytest.approx(most, rel=0.1)


@pytest.mark.parametrize("command", [("train",), ("vae", "train"), ("dae", "train")])
def test_a_dry_run_states_it_in_words(cli: Cli, pictures: Path, command: tuple[str, ...]) -> None:
    result = cli(*command, "--recipe", "tiny", "--dataset", pictures, "--dry-run", "--devices", 1)
    assert result.code == 0, result.err
    (line,) = (line for line in result.out.splitlines() if line.startswith("# memory:"))
    assert line.split()[-1] in ("MB", "GB")


def test_where_nothing_tells_it_says_so(cli: Cli, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "most_in_use", lambda device: None)
    how = ("train", "--recipe", "tiny", "--dataset", pictures, "--dry-run", "--devices", 1)
    assert "# memory:     nothing tells on cpu" in cli(*how).out
    assert cli(*how, "--json").document["memory_bytes"] is None


class Session:
    """What a report asks of one."""

    def __init__(self, device: str, count: int) -> None:
        self.device = torch.device(device)
        self.group = type("Group", (), {"count": count})()
        self.family = type("Family", (), {"preview": lambda self, *_: None})()
        self.recipe = self.dataset = self.places = self.held = None


def test_processes_add_up_on_a_processor_and_not_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "most_in_use", lambda device: 500_000_000)
    found = {
        (device, count): training_report.memory_of(Session(device, count))  # type: ignore[arg-type]
        for device, count in (("cpu", 1), ("cpu", 4), ("cuda", 1), ("cuda", 4))
    }
    assert found == {
        ("cpu", 1): (500_000_000, "500.0 MB"),
        ("cpu", 4): (2_000_000_000, "2.0 GB, 4 processes of 500.0 MB"),
        ("cuda", 1): (500_000_000, "500.0 MB of cuda"),
        ("cuda", 4): (500_000_000, "500.0 MB of each of 4 devices"),
    }


def test_without_proc_the_system_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usual = memory.most_in_use(torch.device("cpu"))
    monkeypatch.setattr(memory, "STATUS", tmp_path / "none")
    asked = memory.most_in_use(torch.device("cpu"))
    assert usual
    assert asked
    assert asked >= 0.9 * usual
