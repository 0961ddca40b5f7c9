"""Trainings by two processes: as by one, exactly resumed, with one end for all; and what happens without memory."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli
from sessions import finish, fresh, same, train
from together import every_rank

from diffcli.core.draws import BatchDraws, drawn_normal, drawn_places, drawn_uniform
from diffcli.ranks import launch
from diffcli.ranks.group import ALONE, Group
from diffcli.ranks.launch import Team
from diffcli.runs import together as sharing_of_runs
from diffcli.runs.assignment import Assignment, opened
from diffcli.runs.checkpoint import read_checkpoint
from diffcli.runs.listing import checkpoints
from diffcli.runs.session import Session, Setting
from diffcli.training import optimizers, recipes
from diffcli.training.recipes import Training
from diffcli.training.recipes.diffusion import RECIPES
from diffcli.training.trainer import Losses, Plan

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]


def tiny(data: Path, **changes: Any) -> Training:
    return recipes.override(
        RECIPES["tiny"], {"dataset": str(data), "steps": 20, "batch": 8, "precision": "fp32", **changes}
    )


def session_of(group: Group, recipe: Training, out: Path | None = None) -> Any:
    """The context of a session that trains with the group; a follower's writes nothing."""
    return opened(Assignment("diffusion", Setting(torch.device("cpu"), out=out), recipe, follows=not group.leads))


def losses(group: Group, recipe: Training, micro: int) -> list[float]:
    with pytest.MonkeyPatch.context() as patch, session_of(group, recipe) as session:
        patch.setattr(optimizers, "use_bf16", lambda *_: False)  # in it a sum in another order is soon another step
        session.join(group)
        session.trainer.micro = micro
        return [progress.loss for progress in session._fit(session.trainer)]


@pytest.mark.parametrize("objective", [{}, {"objective": "vlb", "draws": "importance", "chain": 20}])
def test_two_ranks_see_what_one_does(team: Team, pictures: Path, objective: dict[str, Any]) -> None:
    """The same images, noises, times and dropped classes: the losses of 100 steps agree within rounding."""
    recipe = tiny(pictures, steps=100, **objective)
    together, _ = every_rank(team, losses, recipe, 3)
    alone = losses(ALONE, recipe, 0)
    torch.testing.assert_close(torch.tensor(together), torch.tensor(alone), rtol=2e-3, atol=1e-4)
    torch.testing.assert_close(torch.tensor(together[:5]), torch.tensor(alone[:5]), rtol=1e-5, atol=1e-6)


def run_both_ways(group: Group, recipe: Training, folder: Path) -> bool:
    """20 steps, and 10 with 10 more, by the ranks together; whether that is the same."""
    with session_of(group, recipe, folder / "whole") as session:
        session.join(group)
        finish(session) if group.leads else followed(session)
    with session_of(group, recipe, folder / "parts") as session:
        session.join(group)
        stop = (lambda: session.trainer.step >= 10) if group.leads else (lambda: False)
        followed(session, stop)
    group.told(None)  # the checkpoint is there
    wanted = Assignment("diffusion", Setting(torch.device("cpu")), None, str(folder / "parts"), {}, not group.leads)
    with opened(wanted) as session:
        assert session.trainer.step == 10
        session.join(group)
        session.probe()
        followed(session)
    group.told(None)
    return same(*(checkpoints(folder / name)[0] for name in ("whole", "parts")))


def undisturbed(group: Group, recipe: Training, folder: Path) -> None:
    with session_of(group, recipe, folder) as session:
        session.join(group)
        followed(session)


def followed(session: Session, stop: Any = lambda: False) -> None:
    session.begin()
    session.prepare(0.01)
    for _ in session.run(stop):
        pass


def test_a_resume_by_as_many_ranks_is_exact(team: Team, pictures: Path, tmp_path: Path) -> None:
    assert every_rank(team, run_both_ways, tiny(pictures, precision="auto"), tmp_path) == (True, "True")
    about = read_checkpoint(checkpoints(tmp_path / "parts")[0])[1]
    assert (about["ranks"], about["threads"]) == (2, 1)


@pytest.mark.parametrize(("worth", "count"), [(1e6, 2), (0.0, 1)])
def test_the_faster_way_is_found_and_gone_on_with(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worth: float, count: int
) -> None:
    monkeypatch.setattr(sharing_of_runs, "busy_cores", lambda: 1.0)
    monkeypatch.setattr(sharing_of_runs, "WORTH_WHEN_BUSY", worth)
    wanted = Assignment("diffusion", Setting(torch.device("cpu"), out=tmp_path / "run"), tiny(pictures))
    with (
        launch.team(2) as team,
        opened(wanted) as session,
        sharing_of_runs.sharing(session, wanted, team, choose=True) as seconds_per_step,
    ):
        session.begin()
        session.prepare(seconds_per_step)
        assert len(list(session.run())) == 20
        assert session.group.count == count
    assert read_checkpoint(checkpoints(tmp_path / "run")[0])[1]["ranks"] == count


def test_random_numbers_do_not_depend_on_the_part_of_the_batch() -> None:
    whole = BatchDraws(3, 7, 0, 8, 8)
    for first, count in ((0, 3), (3, 4), (7, 1)):
        part, here = BatchDraws(3, 7, first, count, 8), slice(first, first + count)
        for drawn in (drawn_normal, drawn_uniform):
            assert torch.equal(drawn(part, "x", (count, 2, 3)), drawn(whole, "x", (8, 2, 3))[here])
        assert torch.equal(drawn_places(part, count), drawn_places(whole, 8)[here])
    assert torch.equal(drawn_normal(BatchDraws(3, 14, 0, 4, 4), "x", (4, 2)), drawn_normal(whole, "x", (8, 2))[:4])
    assert not torch.equal(drawn_uniform(whole, "x", (8, 2)), drawn_uniform(whole, "y", (8, 2)))


def test_where_memory_runs_out_the_batch_is_computed_in_parts(pictures: Path, tmp_path: Path) -> None:
    recipe = tiny(pictures)
    with fresh(recipe, tmp_path / "short") as session:
        plain = session.trainer.objective.loss

        def short(model: Any, x0: Any, *more: Any) -> Losses:
            if len(x0) > 3 and session.trainer.step >= 5:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
            return plain(model, x0, *more)

        session.trainer.objective = session.trainer.objective._replace(loss=short)
        folder = session.begin()
        session.prepare(0.01)
        events = list(session.run())
        assert session.trainer.micro == 2
        assert [e.progress.step for e in events if e.note] == [6]
        assert "2 images at once from here on, 8 a step" in events[5].note
    with fresh(recipe, tmp_path / "plenty") as session:
        truth = finish(session)
        wanted = [session.loss]
    found, about = read_checkpoint(checkpoints(folder)[0])
    assert about["micro_batch"] == 2
    assert abs(sum(e.progress.loss for e in events) / 20 - wanted[0]) < 2e-3  # RECENT holds all 20
    weights = read_checkpoint(truth)[0]
    assert max((found[k] - weights[k]).abs().max().item() for k in weights if k.startswith("model/")) < 0.02


def test_the_probe_finds_what_fits(pictures: Path, tmp_path: Path) -> None:
    with fresh(tiny(pictures), tmp_path / "run") as session:
        family = session.family

        def objective(recipe: Any, items: Any) -> Any:
            made = family.objective(recipe, items)

            def short(model: Any, x0: Any, *more: Any) -> Losses:
                if len(x0) > 4:
                    raise torch.OutOfMemoryError("CUDA out of memory")
                return made.loss(model, x0, *more)

            return made._replace(loss=short)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("diffcli.training.setup.family_of", lambda _: _with(family, objective))
            session.probe()
        assert session.trainer.micro == 4
        assert session.trainer.step == 0


def _with(family: Any, objective: Any) -> Any:
    import dataclasses

    return dataclasses.replace(family, objective=objective)


def test_one_item_that_does_not_fit_is_an_error(pictures: Path, tmp_path: Path) -> None:
    with fresh(tiny(pictures), tmp_path / "run") as session:

        def never(*_: Any) -> Losses:
            raise MemoryError

        session.trainer.objective = session.trainer.objective._replace(loss=never)
        session.trainer.plan = Plan(1)
        with pytest.raises(MemoryError):
            list(session._fit(session.trainer))
        assert session.trainer.micro == 1


def started(folder: Path, *words: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*(launcher or (sys.executable,)), "-m", "diffcli", "train", *words], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def wait_for(run: Path, steps: int) -> None:
    until = time.monotonic() + 90
    while not any(int(path.stem.split("-")[1]) >= steps for path in checkpoints(run)):
        assert time.monotonic() < until
        time.sleep(0.02)


def followers(leader: int) -> list[int]:
    """The processes that a process has started and that still are."""
    path = Path(f"/proc/{leader}/task/{leader}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


LONG = ("--recipe", "tiny", "--batch", "8", "--set", "checkpoint_every=10")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_follower_ends_the_run_with_one_error_and_a_signal_reaches_all(pictures: Path, tmp_path: Path) -> None:
    words = (*LONG, "--dataset", str(pictures), "--devices", "2", "--steps", "100000", "--out", "run")
    process = started(tmp_path, *words)
    wait_for(tmp_path / "run", 10)
    (follower,) = followers(process.pid)
    os.kill(follower, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 5
    said = [line for line in errors.splitlines() if line.startswith(("error", "hint", "Traceback"))]
    assert said[0] == "error: process 1 of 2 was killed by SIGKILL"
    assert len(said) == 2
    assert said[1].startswith("hint: go on with --resume run: step-")
    kept = read_checkpoint(checkpoints(tmp_path / "run")[0])[1]

    process = started(tmp_path, "--resume", "run")  # with as many processes, without being told
    wait_for(tmp_path / "run", kept["step"] + 10)
    children = followers(process.pid)
    assert len(children) == 1
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.count("go on with: diffcli train --resume run") == 1
    assert "error" not in errors
    assert not any(Path(f"/proc/{child}").exists() for child in children)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_torchrun_goes_on_by_itself_and_ends_as_undisturbed(team: Team, pictures: Path, tmp_path: Path) -> None:
    words = (*LONG, "--dataset", str(pictures), "--steps", "60")
    process = started(tmp_path, *words, "--out", "run", launcher=(*TORCHRUN, "--max-restarts", "2"))
    wait_for(tmp_path / "run", 20)
    ranks = followers(process.pid)
    os.kill(ranks[-1], signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode == 0
    recipe = tiny(pictures, steps=60, checkpoint_every=10, precision="auto")
    every_rank(team, undisturbed, recipe, tmp_path / "truth")
    assert same(*(checkpoints(tmp_path / name)[0] for name in ("run", "truth")))
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) >= 5


def test_another_number_of_processes_is_said(pictures: Path, tmp_path: Path, cli: Cli) -> None:
    train(tiny(pictures), tmp_path / "run", stop_at=10)
    result = cli("train", "--resume", "run", "--devices", "2")
    assert result.code == 0
    assert "note: 1 trained this run so far, now 2 do" in result.err


@pytest.mark.parametrize(("worth", "ranks"), [(1e9, 2), (0.0, 1)])
def test_a_trial_decides_how_many_train(
    cli: Cli, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worth: float, ranks: int
) -> None:
    monkeypatch.setattr("diffcli.commands.training_changes.LONG", 5)
    monkeypatch.setattr("diffcli.ranks.count.physical_cores", lambda: 2)
    monkeypatch.setattr("diffcli.runs.together.busy_cores", lambda: 1.0)
    monkeypatch.setattr("diffcli.runs.together.WORTH_WHEN_BUSY", worth)
    result = cli("train", "--recipe", "tiny", "--dataset", pictures, "--steps", "5", "--batch", "8", "--out", "run")
    assert result.code == 0, result.err
    assert ("2 processes" in result.err) == (ranks == 2)
    about = read_checkpoint(checkpoints(tmp_path / "run")[0])[1]
    assert (about["ranks"], about["step"]) == (ranks, 5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--devices", "0"), "--devices must be from 1 to"),
        (("--devices", "many"), "--devices must be a number or auto, not 'many'"),
        (("--devices", "9", "--batch", "8"), "9 processes cannot share a batch of 8"),
    ],
)
def test_nonsense_is_refused(cli: Cli, pictures: Path, words: tuple[str, ...], message: str) -> None:
    result = cli("train", "--recipe", "tiny", "--dataset", pictures, *words)
    assert result.code == 2
    assert message in result.err
