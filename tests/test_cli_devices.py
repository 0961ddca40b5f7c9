"""Commands whose work several processes share: what one process makes, and an end for all."""

import contextlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli, refuses, start
from PIL import Image

from diffcli import plugins
from diffcli.console.show import Show
from diffcli.core.diffusion.job import Drawing, Job
from diffcli.data.reading import Reading
from diffcli.errors import CheckpointProblem
from diffcli.evaluation.features import keeping
from diffcli.evaluation.features.encoders import encoder
from diffcli.ranks import sharing
from diffcli.ranks.launch import Place
from diffcli.ranks.pieces import Do, Shareable
from diffcli.ranks.sharing import Crew, Shared
from diffcli.sampling.from_images import varied
from diffcli.sampling.options import SamplingOptions, Variation
from diffcli.sampling.prepare import Prepared, prepare
from diffcli.sampling.sharing import DrawnPart, JobElsewhere, SharedDrawing, elsewhere, parts_of

recalled = keeping.recalled
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "diffcli"]
SAMPLE = ("sample", "shapes-1", "--count", 40, "--batch", 10, "--steps", 20, "--class", "all")
OWN = """
from diffcli import plugins
from diffcli.core.diffusion.samplers import ddim

@plugins.sampler("late")
def late(denoise, x, levels, noise, **conditions):
    yield from ddim(denoise, x, levels, noise=noise, eta=0.5, **conditions)
"""


@contextlib.contextmanager
def slow_here() -> Iterator[list[int]]:
    """Rank 0 takes its time inside, two seconds for a batch, so that others get their part; the batches it begins."""
    begun: list[int] = []
    draw = Job.draw_batch

    def slowly(job: Job, items: range) -> Iterator[Drawing]:
        begun.append(items.start)
        for part in draw(job, items):
            time.sleep(2 / job.steps)
            yield part

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, "draw_batch", slowly)
        yield begun


@pytest.mark.usefixtures("run")
def test_two_processes_draw_the_images_of_one(cli: Cli, tmp_path: Path) -> None:
    """By a sampler of one's own, with all frames."""
    (tmp_path / "late.py").write_text(OWN)
    how = ("--impl", "late.py", "--sampler", "late", "--animate", "--guidance", 1.5, "--seed", 3)
    with slow_here() as begun:
        two = cli(*SAMPLE, *how, "--devices", 2, "--array", "two.npy", "--out", "two.png", "--json")
    assert two.code == 0, two.err
    assert 1 <= len(begun) < 4
    one = cli(*SAMPLE, *how, "--array", "one.npy", "--out", "one.png", "--json")
    assert np.array_equal(np.load("two.npy"), np.load("one.npy"))
    assert two.document["evaluations"] == one.document["evaluations"]
    assert Path("two.png").read_bytes() == Path("one.png").read_bytes()
    assert Path("two.gif").read_bytes() == Path("one.gif").read_bytes()
    for plugin in plugins.loaded():
        plugins.forget(plugin)


def parts(do: Do[DrawnPart], count: int) -> list[DrawnPart]:
    return [found for piece in range(count) for _, found in do(piece) if found is not None]


def assert_drawn_alike_elsewhere(prepared: Prepared) -> None:
    work = SharedDrawing(JobElsewhere.of(prepared), 3, (0, 2))
    there = pickle.loads(pickle.dumps(work)).begin(Place(1, 2, 1))
    for ours, theirs in zip(parts(parts_of(prepared, 3, (0, 2)), 2), parts(there, 2), strict=True):
        assert torch.equal(ours.x, theirs.x)
        assert ours.evaluations == theirs.evaluations
        assert len(ours.frames) == 2
        assert all(map(torch.equal, ours.frames, theirs.frames))


@pytest.mark.parametrize(
    "changes",
    [
        {"label": "all", "guidance": 2.0, "guidance_interval": "0.1,20", "weights": "raw"},
        {"sampler": "edm,churn=3", "threshold": 0.99, "schedule": "cosine"},
        {"sampler": "ddim", "options": {"eta": 0.3}, "start": "linear,at=5"},
        {"sampler": "ode"},
    ],
)
def test_another_process_prepares_the_same_job(run: Path, changes: dict[str, Any]) -> None:
    assert_drawn_alike_elsewhere(prepare(str(run), SamplingOptions(**{"steps": 6, "count": 5, "seed": 2} | changes)))


@pytest.mark.parametrize("target", ["exact:gaussian,dim=3", "exact:mixture"])
def test_another_process_knows_exact_models(target: str) -> None:
    assert_drawn_alike_elsewhere(prepare(target, SamplingOptions(steps=4, count=5, schedule="cosine")))


def test_another_process_reads_the_same_pictures(run: Path, pictures: Path, tmp_path: Path) -> None:
    where = np.zeros((8, 8), np.uint8)
    where[3:] = 255
    Image.fromarray(where).save(tmp_path / "mask.png")
    photo = pictures / "circle" / "00.png"
    plain = prepare(str(run), SamplingOptions(sampler="ddim", steps=6, count=5))
    for variation in (
        Variation(begin=photo, strength=0.5), Variation(interpolate=True),
        Variation(inpaint=photo, mask=tmp_path / "mask.png", resample=2),
    ):  # fmt: skip
        assert_drawn_alike_elsewhere(varied(plain, variation))


def test_another_model_there_is_noticed(run: Path) -> None:
    prepared = prepare(str(run), SamplingOptions(steps=3, count=2))
    told = elsewhere(prepared.model, prepared.wanted)
    assert told.loaded(Place(1, 2, 1)).digest == prepared.model.digest
    with pytest.raises(CheckpointProblem, match="not the same file"):
        replace(told, digest="another").loaded(Place(1, 2, 1))


class Elsewhere(Crew):
    """Everything as another process does it, the last piece first."""

    def shared(self, work: Callable[[], Shareable], do: Do[Any], pieces: int) -> Iterator[Shared[Any]]:
        there = pickle.loads(pickle.dumps(work())).begin(Place(1, 2, 1))
        for number, piece in enumerate(reversed(range(pieces)), 1):
            *_, (share, found) = there(piece)
            assert share == 1
            yield Shared(number, piece, pickle.loads(pickle.dumps(found)))


def assert_the_same_elsewhere(cli: Cli, monkeypatch: pytest.MonkeyPatch, *command: object) -> None:
    """A command says the same where others do everything, but for what it costs."""
    here = cli(*command, "--json")
    monkeypatch.setattr(keeping, "recalled", lambda path, show: recalled(path, show) if "judges" in str(path) else None)
    monkeypatch.setattr(sharing, "crew", lambda *_: contextlib.nullcontext(Elsewhere()))
    there = cli(*command, "--json")
    assert (here.code, there.code) == (0, 0), here.err + there.err
    assert without_times(here.document) == without_times(there.document)


@pytest.fixture
def large(many_run: Path, tmp_path: Path) -> Path:
    """A copy of a run of 1,350 pictures."""
    return Path(shutil.copytree(many_run, tmp_path / "checkpoints" / "many-1"))


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "--count", 70, "--batch", 20, "--steps", 4, "--metrics", "frechet,copies"),
        ("compare", "--count", 70, "--samplers", "ddim,unipc", "--steps", "30,40", "--truth", 0),
        ("vlb", "--count", 6, "--steps", 30, "--samples", 2, "--batch", 9, "--every", 3, "--best-steps", 4),
        ("likelihood", "--count", 7, "--batch", 3, "--rtol", 0.05),
        ("likelihood", "exact:mixture", "--count", 5, "--batch", 2),
        ("vlb", "exact:mixture", "--count", 8, "--steps", 12, "--batch", 4, "--variance", "small", "--best-steps", 3),
    ],
)
def test_what_others_do_is_what_is_done_here(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: tuple[object, ...]
) -> None:
    assert_the_same_elsewhere(cli, monkeypatch, *command)


def test_a_judge_is_trained_once(cli: Cli, pictures: Path) -> None:
    with pytest.raises(CheckpointProblem, match="there is no judge of shapes"):
        encoder("judge", str(pictures), None, torch.device("cpu"), Show(quiet=True), reading=Reading(5), train=False)


def without_times(document: Any) -> Any:
    """What does not change from run to run."""
    if isinstance(document, dict):
        changes = ("seconds", "folder", "figures", "metrics", "images_per_second")
        return {name: without_times(value) for name, value in document.items() if name not in changes}
    if isinstance(document, list):
        return [without_times(value) for value in document]
    return "" if isinstance(document, str) and document.startswith("outputs") else document


@pytest.mark.usefixtures("run")
def test_torchruns_processes_draw_the_images_of_one(cli: Cli, tmp_path: Path) -> None:
    command = [*TORCHRUN, *map(str, SAMPLE), "--array", "two.npy", "--json", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"array"') == 1
    assert cli(*SAMPLE, "--array", "one.npy", "--quiet").code == 0
    assert np.array_equal(np.load("two.npy"), np.load("one.npy"))


@pytest.mark.usefixtures("run")
def test_ctrl_c_is_told_once_and_leaves_no_process(tmp_path: Path) -> None:
    command = ("sample", "shapes-1", "--count", 1000, "--steps", 1000, "--devices", 2, "--out", "a.png")
    running = start(*command, cwd=tmp_path, start_new_session=True)
    assert running.stderr is not None
    assert running.stderr.readline().startswith("checkpoints")  # drawing begins
    time.sleep(1)
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, "")
    assert [line for line in err.splitlines() if "error" in line or "Traceback" in line] == ["error: interrupted"]
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(("devices", "said"), [("0", "from 1 to"), ("many", "a number or auto"), ("-2", "from 1 to")])
@pytest.mark.usefixtures("run")
def test_nonsense_is_refused(cli: Cli, tmp_path: Path, devices: str, said: str) -> None:
    refuses(cli, tmp_path, 2, "sample", "shapes-1", "--devices", devices, words=("--devices", said))
