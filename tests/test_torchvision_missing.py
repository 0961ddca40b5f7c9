"""torchvision is imported where it is needed and nowhere else, and without it everything else goes on working."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import Cli, assert_refused
from PIL import Image

from diffcli.data.images import read_image
from diffcli.data.pages import Pages
from diffcli.data.readers import Page
from diffcli.data.sources import ImageSource

NMS = "operator torchvision::nms does not exist"
TINY = ["--recipe", "tiny", "--steps", "2"]


@pytest.fixture
def unfit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A torchvision that was built for another torch, in this process and in those that it starts: its only line."""
    (tmp_path / "site" / "torchvision").mkdir(parents=True)
    line = f"raise RuntimeError({NMS!r})\n"
    (tmp_path / "site" / "torchvision" / "__init__.py").write_text(line)
    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    return line


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dataset", "torchvision:SVHN"], ["--dataset", "torchvision:FakeData,size=20"],
        ["--set", "augment=rotate"], ["--set", "augment=flip,color"],
    ],
    ids=str,
)  # fmt: skip
def test_what_needs_it_says_how_to_cure_it(cli: Cli, unfit: str, arguments: list[str]) -> None:
    result = cli("train", *TINY, *arguments)
    assert_refused(result, 5, NMS, "pip install --force-reinstall torch torchvision", "from the same index")


def test_where_it_is_not_installed_that_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert_refused(cli("data", "torchvision"), 5, "torchvision is not installed", "pip install torchvision")


def test_everything_else_works(cli: Cli, unfit: str) -> None:
    for arguments in (["--help"], ["data"], ["data", "mnist"]):
        assert cli(*arguments).code == 0
    trained = cli("train", *TINY, "--set", "augment=flip,vflip,crop", "--out", "run")
    assert trained.code == 0, trained.err
    assert cli("sample", "run", "--count", 1, "--steps", 2).code == 0


def test_many_photographs_are_read_without_it_to_the_same_pixels(tmp_path: Path, unfit: str) -> None:
    Image.effect_noise((64, 48), 90).convert("RGB").save(tmp_path / "a.jpg")
    path, shape = tmp_path / "a.jpg", (3, 16, 16)
    page = Page(ImageSource(path, path.name), 0, "RGB", (64, 48))
    assert torch.equal(Pages((page,), shape, None, True)[0], read_image(path, shape))


def test_training_and_sampling_do_not_import_it(tmp_path: Path) -> None:
    code = f"""
import sys
from diffcli.cli import main
assert main(["train", *{TINY}, "--set", "augment=flip", "--out", "run", "--quiet"]) == 0
assert main(["sample", "run", "--count", "1", "--steps", "2"]) == 0
assert main(["data"]) == 0
assert "torchvision" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True, env=os.environ)
    assert done.returncode == 0, done.stderr
