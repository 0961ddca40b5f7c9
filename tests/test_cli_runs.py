"""diffcli runs: every run with its state; nothing that lies in checkpoints/ stops the list."""

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, start, tree

from diffcli.runs import folder as runs


def listed(cli: Cli) -> dict[str, dict[str, Any]]:
    result = cli("runs", "--json")
    assert result.code == 0, result.err
    return {run["name"]: run for run in result.document["runs"]}


def another(run: Path, name: str, status: str | None = None, age: float = 0) -> Path:
    """A copy of a run under another name, with another status, written `age` seconds earlier."""
    copy = Path(shutil.copytree(run, run.parent / name))
    if status:
        runs.set_status(copy, status)
    for path in copy.iterdir():
        then = path.stat().st_mtime - age
        os.utime(path, (then, then))
    return copy


def test_a_run_is_listed_with_its_progress_and_losses(cli: Cli, run: Path) -> None:
    found = listed(cli)["shapes-1"]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert found["state"] == "complete"
    assert Path(found["dataset"]).name == "shapes"
    assert found["steps"] == 12
    assert found["seconds"] == rows[-1]["seconds"]
    assert found["loss"] == rows[-1]["loss"]
    assert found["validation_loss"] == rows[-1]["validation_loss"]
    assert found["linear_denoiser_loss"] == rows[-1]["linear_denoiser_loss"]
    assert found["checkpoint"] == str(Path("checkpoints/shapes-1/step-000000012.safetensors"))
    assert found["note"] == ""
    out = cli("runs").out
    assert out.splitlines()[1].split()[:6] == ["shapes-1", "complete", "diffusion", "shapes", "12", "12"]
    assert f"{rows[-1]['validation_loss']:.3f}" in out
    assert f"{rows[-1]['linear_denoiser_loss']:.3f}" in out


def test_without_runs_the_list_is_empty_and_the_way_to_one_is_shown(cli: Cli, tmp_path: Path) -> None:
    for made in (False, True):
        if made:
            (tmp_path / "checkpoints").mkdir()
        before = tree(tmp_path)
        assert listed(cli) == {}
        assert "no runs yet" in cli("runs").out
        assert cli("runs").out.splitlines()[-1] == "next: diffcli train"
        assert tree(tmp_path) == before


def test_a_file_called_checkpoints_is_no_run(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("notes")
    assert listed(cli) == {}


def test_the_newest_run_comes_first(cli: Cli, run: Path) -> None:
    another(run, "older", age=500)
    another(run, "oldest", age=900)
    assert list(listed(cli)) == ["shapes-1", "older", "oldest"]


@pytest.mark.parametrize("status", ["complete", "interrupted", "failed", "diverged"])
def test_the_state_is_what_the_run_said_last(cli: Cli, run: Path, status: str) -> None:
    runs.set_status(run, status)
    assert listed(cli)["shapes-1"]["state"] == status


def test_a_run_is_running_only_while_its_lock_is_held(cli: Cli, run: Path) -> None:
    runs.set_status(run, "running")
    assert listed(cli)["shapes-1"]["state"] == "stopped"
    with runs.locked(run):
        assert listed(cli)["shapes-1"]["state"] == "running"
    assert listed(cli)["shapes-1"]["state"] == "stopped"
    with runs.locked(run):  # the look did not leave the lock taken
        pass
    (run / ".lock").unlink()
    before = tree(run)
    assert listed(cli)["shapes-1"]["state"] == "stopped"
    assert not (run / ".lock").exists()
    assert tree(run) == before


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_training_is_running_until_it_is_killed(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    options = ["--steps", "100000", "--set", "checkpoint_every=5", "--dataset", pictures, "--quiet"]
    process = start("train", "--recipe", "tiny", *options, cwd=tmp_path)
    try:
        until = time.monotonic() + 120
        while not (found := listed(cli)) or found["shapes-1"]["checkpoint"] is None:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.1)
        assert found["shapes-1"]["state"] == "running"
    finally:
        process.kill()
        process.communicate()
    assert listed(cli)["shapes-1"]["state"] == "stopped"
    assert cli("runs").out.splitlines()[-1] == f"next: diffcli train --resume {Path('checkpoints/shapes-1')}"


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("complete", "diffcli sample checkpoints/shapes-1 --ddim"),
        ("diverged", "diffcli sample checkpoints/shapes-1 --ddim"),
        ("interrupted", "diffcli train --resume checkpoints/shapes-1"),
        ("failed", "diffcli train --resume checkpoints/shapes-1"),
        ("running", "diffcli train --resume checkpoints/shapes-1"),
    ],
)
def test_the_last_line_goes_on_with_the_newest_run(cli: Cli, run: Path, status: str, command: str) -> None:
    runs.set_status(run, status)
    another(run, "older", "complete", age=500)
    (run.parent / "newest").mkdir()
    (run.parent / "newest" / "run.json").write_text("{}")
    assert cli("runs").out.splitlines()[-1] == f"next: {command}"


# What else may lie there


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b"{}", b'{"status": 3}', b'{"status": "odd"}', b"[" * 100_000],
    ids=lambda content: content[:12],
)
def test_a_run_with_a_damaged_description_is_listed_as_damaged(cli: Cli, run: Path, content: bytes) -> None:
    (another(run, "broken") / "run.json").write_bytes(content)
    found = listed(cli)
    assert found["broken"]["state"] == "damaged"
    assert found["broken"]["steps"] == 12
    assert found["shapes-1"]["state"] == "complete"
    assert "broken is damaged" in cli("runs").err
    assert cli("runs", "--quiet").err == ""


def test_checkpoints_without_a_description_are_listed_as_damaged(cli: Cli, run: Path) -> None:
    (run / "run.json").unlink()
    assert listed(cli)["shapes-1"]["state"] == "damaged"
    assert listed(cli)["shapes-1"]["note"] == "it has no run.json"


def test_a_description_that_is_a_folder_is_no_reason_to_stop(cli: Cli, run: Path) -> None:
    for name in ("run.json", "recipe.toml", "metrics.jsonl"):
        (run / name).unlink()
        (run / name).mkdir()
    found = listed(cli)["shapes-1"]
    assert (found["state"], found["dataset"], found["loss"], found["steps"]) == ("damaged", None, None, 12)


@pytest.mark.parametrize(
    "rows",
    [
        b"", b"\n\n", b"{", b'{"step": 10', b"3\n[]\n", b"\xff\xfe", b"[" * 100_000,
        b'{"step": "x", "loss": [], "seconds": null, "validation_loss": true}',
        b'{"step": NaN, "loss": Infinity, "seconds": -Infinity, "validation_loss": NaN}',
        b'{"step": 1' + b"0" * 400 + b', "loss": 1' + b"0" * 400 + b', "seconds": 1' + b"0" * 5000 + b"}",
    ],
    ids=range(10),
)  # fmt: skip
def test_damaged_metrics_are_passed_over(cli: Cli, run: Path, rows: bytes) -> None:
    (run / "metrics.jsonl").write_bytes(rows)
    found = listed(cli)["shapes-1"]
    assert (found["state"], found["steps"], found["loss"], found["validation_loss"]) == ("complete", 12, None, None)
    assert cli("runs").code == 0


def test_a_half_written_row_does_not_hide_the_one_before(cli: Cli, run: Path) -> None:
    whole = listed(cli)["shapes-1"]
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 20, "loss": 0.')
    assert listed(cli)["shapes-1"] == whole


@pytest.mark.parametrize(
    "recipe",
    [b"", b"dataset", b"dataset = 3", b"data = 3", b"[data]\nname = 3", b"\xff", b"dataset = " + b"[" * 50_000],
)
def test_a_damaged_recipe_costs_the_name_of_the_data_only(cli: Cli, run: Path, recipe: bytes) -> None:
    (run / "recipe.toml").write_bytes(recipe)
    found = listed(cli)["shapes-1"]
    assert (found["state"], found["dataset"], found["steps"]) == ("complete", None, 12)


def test_a_run_before_its_first_checkpoint_is_listed(cli: Cli, run: Path) -> None:
    for path in run.glob("step-*"):
        path.unlink()
    (run / "metrics.jsonl").unlink()
    found = listed(cli)["shapes-1"]
    assert (found["steps"], found["seconds"], found["checkpoint"]) == (None, None, None)
    assert cli("runs").out.splitlines()[-1] == "next: diffcli train"


def test_what_is_no_run_is_noted_and_left_out(cli: Cli, run: Path) -> None:
    root = run.parent
    (root / "empty").mkdir()
    (root / "notes.md").write_text("hello")
    (root / ".DS_Store").write_text("")
    (root / "gone").symlink_to("nowhere")
    assert list(listed(cli)) == ["shapes-1"]
    notes = cli("runs").err.splitlines()
    assert [note.split()[1] for note in notes] == [str(Path("checkpoints") / n) for n in ("empty", "gone", "notes.md")]


def test_a_file_that_is_called_as_a_checkpoint_but_has_no_step_is_no_matter(cli: Cli, run: Path) -> None:
    (run / "step-x.safetensors").touch()
    assert cli("runs").code == 0
    assert listed(cli)["shapes-1"]["steps"] == 12


@pytest.mark.parametrize("name", ["two\nlines", "[bold]x", "{name}", "%s", "e\x1b[31m", "x" * 200, "a b"])
@pytest.mark.parametrize("columns", [80, 30])
def test_odd_names_stay_in_their_columns(
    cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch, name: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    run.rename(run.parent / name)
    result = cli("runs")
    assert result.code == 0
    table, _, last = result.out.rpartition("\nnext: ")
    assert max(map(len, table.splitlines())) <= columns
    assert "\x1b" not in result.out
    assert len(last.splitlines()) == 1
    assert list(listed(cli)) == [name]


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text_is_shown(cli: Cli, run: Path) -> None:
    run.rename(run.parent / os.fsdecode(b"a\xffb"))
    assert cli("runs").code == 0
    assert "a?b" in cli("runs").out
    assert len(listed(cli)) == 1
