"""What the commands that everyone runs need not wait for."""

import subprocess
import sys

import pytest

SLOW = ("scipy", "matplotlib", "torchvision", "sympy", "torch._dynamo")  # each takes up to a second
ROOMS = {
    "sample": "diffcli.sampling.draw, diffcli.sampling.auto, diffcli.sampling.from_images, diffcli.sampling.write",
    "train": "diffcli.runs.assignment, diffcli.runs.session, diffcli.training.families",
}


@pytest.mark.parametrize("command", ROOMS)
def test_neither_drawing_nor_training_imports_what_only_judges_and_figures_need(command: str) -> None:
    report = f"import sys, {ROOMS[command]}; print(*(name for name in {SLOW} if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
