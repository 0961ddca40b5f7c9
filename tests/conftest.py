"""What the tests of the command line share: the command in process, a folder of pictures, and a trained run."""

import contextlib
import functools
import gc
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import many_pictures
import numpy as np
import pytest
import torch
import typer.main
from filelock import FileLock
from matplotlib.figure import Figure
from PIL import Image

from diffcli.cli import main
from diffcli.console.interrupts import ENDING
from diffcli.data import published
from diffcli.ranks import launch
from diffcli.ranks.launch import Team
from diffcli.runs import listing
from diffcli.runs.session import Session
from diffcli.training.families import diffusion

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start

gc.set_threshold(100_000, 50, 100)  # torch and matplotlib are a million objects to look through, again and again


def pytest_configure() -> None:
    """Let processes that tests start hear signals: a shell has what is in the background ignore some."""
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """What is imported stays to the end."""
    gc.collect()
    gc.freeze()


typer.main.get_command = functools.cache(typer.main.get_command)  # it is built anew for every command otherwise

Session.probe.__defaults__ = (1,)  # no test needs a speed that can be relied on


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """A resume computes with the threads of its run, for good: other tests want bits that those would change."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def followers_find_tests() -> Iterator[None]:
    """So that other processes can be handed functions of a test file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}")
        yield


@pytest.fixture(scope="module")
def team(followers_find_tests: None) -> Iterator[Team]:
    """Two processes, of which this is one."""
    with launch.team(2) as found:
        yield found


SHAPES = ("circle", "cross", "stripe")
EACH = 500  # pictures of each shape


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        return json.loads(self.out)


Cli = Callable[..., Result]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file and folder below, and what is in it; but for locks, which are made to be left behind."""
    found = sorted(p for p in folder.rglob("*") if p.name != ".lock")
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in found}


def assert_refused(result: Result, code: int, *words: str) -> None:
    """One error line, at most one hint line, no traceback, no result; every word is said."""
    lines = result.err.splitlines()
    kinds = [line.split(":")[0] for line in lines]
    assert result.code == code, result.err
    assert kinds.count("error") == 1, result.err
    assert kinds[kinds.index("error") :] in (["error"], ["error", "hint"]), result.err
    assert "Traceback" not in result.err
    assert result.out == ""
    for word in words:
        assert word in result.err


def refuses(cli: Cli, tmp_path: Path, code: int, *arguments: object, words: tuple[str, ...] = ()) -> None:
    """The command fails as it should and leaves the folder that it works in as it was."""
    before = tree(tmp_path)
    assert_refused(cli(*arguments), code, *words)
    assert tree(tmp_path) == before


def start(*arguments: object, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "diffcli", *map(str, arguments)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(command, cwd=cwd, text=True, **pipes)


def steps_kept(run: Path) -> list[int]:
    """The steps of the checkpoints of a run."""
    return sorted(int(p.stem.removeprefix("step-")) for p in run.glob("step-*.safetensors"))


def checkpoint_of(run: Path, step: int) -> Path:
    """The checkpoint of this step."""
    (path,) = (p for p in run.glob("step-*.safetensors") if int(p.stem.removeprefix("step-")) == step)
    return path


def rewrite_about(path: Path, **changes: Any) -> None:
    """Write a checkpoint again with another description; its digest is right."""
    from diffcli.runs import checkpoint

    tensors, about = checkpoint.read_checkpoint(path)
    checkpoint.write_checkpoint(path, tensors, about | changes)


@pytest.fixture(autouse=True)
def restored(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a command changes in its process, and keep it from the user's cache and data."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("DIFFCLI_DATA", raising=False)
    monkeypatch.setattr(listing, "BESIDE", Path("checkpoints"))  # the file that is shipped is no part of most tests
    before = {s: signal.getsignal(s) for s in ENDING}
    yield
    torch.set_num_threads(1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def unrendered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are composed but stay blank, which saves most of their time, unless a test is marked `rendered`."""
    if request.node.get_closest_marker("rendered") is None:
        monkeypatch.setattr(Figure, "draw", lambda figure, renderer: None)


READ: dict[tuple[object, ...], Any] = {}
"""What has been read or computed in this process, by what it was made of."""


@pytest.fixture(scope="session", autouse=True)
def read_once() -> Iterator[None]:
    """Published files are checked and unpacked once while they do not change; so is the spectrum of some data."""
    original, spectrum = published.Source.read, diffusion.covariance_spectrum

    def read(source: published.Source, split: str, extra: Path | None) -> Any:
        paths = [source.find(name, extra) for name in source.format.names(split)]
        if None in paths:
            return original(source, split, extra)
        stamps = [(path, path.stat().st_mtime_ns, path.stat().st_size) for path in paths if path]
        return remembered(("read", source.title, split, *stamps), lambda: original(source, split, extra))

    def computed(data: torch.Tensor) -> torch.Tensor:
        digest = hashlib.blake2b(data.contiguous().numpy().tobytes()).digest()
        return remembered(("spectrum", tuple(data.shape), digest), lambda: spectrum(data))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published.Source, "read", read)
        patch.setattr(diffusion, "covariance_spectrum", computed)
        yield


def remembered(key: tuple[object, ...], make: Callable[[], Any]) -> Any:
    if key not in READ:
        READ[key] = make()
    return READ[key]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs `diffcli ARGUMENTS` in this process, in a fresh folder (tmp_path)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 3 classes of 20 grey pictures, 8x8."""
    return made_once(tmp_path_factory, "data", lambda root: drawn_pictures(root / "shapes")) / "shapes"


def drawn_pictures(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:8, :8] - 3.5
    masks = (np.hypot(x, y) < 3, (abs(x) < 1) | (abs(y) < 1), (np.arange(8) % 4 < 2) & (x > -9))
    for name, mask in zip(SHAPES, masks, strict=True):
        (folder / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.where(mask, rng.integers(170, 256), rng.integers(0, 60)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:02d}.png")
    return folder


def trained_here(folder: Path, *arguments: object) -> Path:
    """Train at session scope, where the fixture `cli` is not to be had; the run."""
    out, err = io.StringIO(), io.StringIO()
    command = ["train", "--recipe", "tiny", "--steps", "12", "--quiet", "--out", folder, *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(a) for a in command])
    torch.set_num_threads(1)
    assert code == 0, err.getvalue()
    return folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Path]) -> Path:
    """A folder that all processes of the tests share: the first that needs it makes it, and the others wait."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    with FileLock(root / f"{name}.lock"):
        if not (root / f"{name}.made").exists():
            make(root / name)
            (root / f"{name}.made").touch()
    return root / name


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on MNIST. Read it only."""
    return made_once(tmp_path_factory, "digits", lambda root: trained_here(root / "run")) / "run"


@pytest.fixture(scope="session")
def shapes_run(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """A run on the pictures with checkpoints at steps 6 and 12. Read it only."""
    options = ("--dataset", pictures, "--set", "checkpoint_every=6")
    return made_once(tmp_path_factory, "shapes-run", lambda root: trained_here(root / "run", *options)) / "run"


@pytest.fixture
def run(shapes_run: Path, tmp_path: Path) -> Path:
    """A copy of the trained run, in checkpoints/ of the folder that `cli` works in: `shapes-1`."""
    return Path(shutil.copytree(shapes_run, tmp_path / "checkpoints" / "shapes-1"))


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 1,500 pictures. Read it only."""

    def make(root: Path) -> Path:
        return many_pictures.write(root / "shapes", *many_pictures.pixels(EACH, seed=0))

    return made_once(tmp_path_factory, "many", make) / "shapes"


@pytest.fixture(scope="session")
def many_run(tmp_path_factory: pytest.TempPathFactory, many: Path) -> Path:
    """A run on them. Read it only."""
    return made_once(tmp_path_factory, "many-run", lambda root: trained_here(root / "run", "--dataset", many)) / "run"
