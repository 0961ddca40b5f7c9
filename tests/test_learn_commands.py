"""Each command of `learn`, end to end on the example's task, and what goes wrong."""

import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Result, assert_refused, start

from diffcli.learn import catalogue, progress
from diffcli.learn.experiments import left_behind, settings_compared
from diffcli.learn.progress import LearnerProgress, checked
from diffcli.learn.watching import events
from diffcli.learn.workspace import begun

EXAMPLES = Path(__file__).parent.parent / "examples" / "tasks"
SOLVED = {
    "moving_average": "    out = [x[0]]\n    for v in x[1:]:\n        out.append(decay * out[-1] + (1 - decay) * v)\n"
    "    return out",
    "standard_error": "    return x.std() / len(x) ** 0.5",
}


@pytest.fixture
def averages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose only task is the example's, and here is in it."""
    monkeypatch.setattr(catalogue, "BUILT_IN", EXAMPLES)
    catalogue._built_in.cache_clear()
    begun(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path / "work"  # type: ignore[misc]
    catalogue._built_in.cache_clear()


@pytest.fixture
def inside(cli: Cli, averages: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Commands that run in the workspace."""
    monkeypatch.chdir(averages)
    return cli


def written(folder: Path, function: str, body: str) -> None:
    """Put a body in the place of what is not begun."""
    path = folder / "averages.py"
    head, rest = path.read_text("utf-8").split(f"def {function}(")
    path.write_text(f"{head}def {function}({rest.replace('    raise NotImplementedError', body, 1)}", "utf-8")


def states(result: Result) -> dict[str, tuple[str, str | None]]:
    return {row["exercise"]: (row["state"], row["mistake"]) for row in result.document["results"]}


def test_a_learner_comes_from_blank_to_passed(inside: Cli, averages: Path) -> None:
    first = inside("learn", "check", "--json")
    assert first.code == 1
    assert set(states(first).values()) == {("blank", None)}
    written(averages, "standard_error", "    return x.std() / len(x)")
    wrong = inside("learn", "check", "averages.standard-error", "--json")
    assert (wrong.code, states(wrong)["averages.standard-error"]) == (1, ("failed", "no-root"))
    hint = inside("learn", "hint", "standard-error")
    assert "hint 1 of 3" in hint.out
    shutil.copy(averages / "learn.toml", averages / "before.toml")
    for function, body in SOLVED.items():
        inside("learn", "reset", function)
        written(averages, function, body)
    good = inside("learn", "check")
    assert good.code == 0
    assert "Four times the draws halve the error" in good.out
    assert "diffcli learn run averages" in good.out
    real = inside("learn", "run", "averages", "--json")
    assert real.document["passed"]
    assert "your standard error" in real.document["lines"][0]
    status = inside("learn", "status", "--json").document
    assert (status["passed"], status["total"]) == (3, 3)
    assert [row["state"] for row in status["tasks"][0]["exercises"]] == ["passed"] * 3
    assert "- [x] standard-error" in (averages / "README.md").read_text("utf-8")
    assert "everything" in inside("learn").out


def test_what_was_tried_is_in_the_log_and_what_was_written_there_stays(inside: Cli, averages: Path) -> None:
    written(averages, "standard_error", "    return x.std() / len(x)")
    for _ in range(2):
        inside("learn", "check", "standard-error")
    log = inside("learn", "log", "--json")
    page = averages / "log" / "week-01.md"
    assert page.read_text("utf-8") == log.document["text"]
    assert log.document["text"].count("| no-root |") == 1  # the second check had nothing new to look at
    page.write_text(page.read_text("utf-8").replace("...", "I learned that roots matter.", 1), "utf-8")
    inside("learn", "reset", "standard-error")
    written(averages, "standard_error", SOLVED["standard_error"])
    inside("learn", "check", "standard-error")
    again = inside("learn", "log", "--week", "1", "--json").document["text"]
    assert "I learned that roots matter." in again
    assert "- averages.standard-error: 2 attempts" in again


def test_runs_of_the_week_and_their_pictures_are_in_the_log(inside: Cli, averages: Path, shapes_run: Path) -> None:
    run = Path(shutil.copytree(shapes_run, averages / "checkpoints" / "shapes"))
    for file in run.rglob("*"):
        os.utime(file)
    text = inside("learn", "log", "--json").document["text"]
    assert "| checkpoints/shapes (complete) |" in text
    picture = re.search(r"!\[.*\]\((.*)\)", text)
    assert picture
    assert (averages / "log" / picture[1]).is_file()
    elsewhere = averages.parent / "pages" / "mine.md"
    inside("learn", "log", "--out", elsewhere)
    again = re.search(r"!\[.*\]\((.*)\)", elsewhere.read_text("utf-8"))
    assert again
    assert (elsewhere.parent / again[1]).is_file()


def test_a_solution_is_shown_after_passing_or_on_giving_up(inside: Cli, averages: Path) -> None:
    assert_refused(inside("learn", "solution", "standard-error"), 2, "has not passed", "--give-up")
    shown = inside("learn", "solution", "standard-error", "--give-up")
    assert "def standard_error" in shown.out
    assert progress.read(averages).log[-1].what == "gave up"
    assert_refused(inside("learn", "solution", "for-real", "--give-up"), 2, "nothing to write", "learn run averages")


def test_reset_keeps_what_was_there(inside: Cli, averages: Path) -> None:
    written(averages, "standard_error", "    return 'precious'")
    result = inside("learn", "reset", "standard-error", "--json")
    assert "precious" in (averages / result.document["backup"]).read_text("utf-8")
    assert "precious" not in (averages / "averages.py").read_text("utf-8")
    assert states(inside("learn", "check", "standard-error", "--json"))["averages.standard-error"][0] == "blank"


def test_an_exercise_may_be_skipped_and_taken_back(inside: Cli) -> None:
    assert inside("learn", "skip", "moving-average", "--json").document["skipped"]
    assert "next: averages.standard-error" in inside("learn").out
    assert not inside("learn", "skip", "moving-average", "--json").document["skipped"]
    assert "next: averages.moving-average" in inside("learn").out


def test_the_text_of_a_task_is_shown_with_what_is_to_be_written(inside: Cli) -> None:
    text = inside("learn", "show", "averages").out
    assert "An average of n numbers is a random quantity itself" in text
    assert "def moving_average(x: Tensor, decay: float) -> Tensor:" in text
    assert "lerp" not in text


def test_an_exercise_is_named_by_its_number_too(inside: Cli) -> None:
    assert inside("learn", "show", "averages.2").out == inside("learn", "show", "averages.standard-error").out
    assert inside("learn", "check", "averages.2").out == inside("learn", "check", "averages.standard-error").out
    for number in ("0", "99", "-1", "1.5"):
        assert_refused(inside("learn", "show", f"averages.{number}"), 2, "averages.standard-error")


def test_a_comparison_is_read_from_a_run_and_from_what_compare_was_told_to_write(tmp_path: Path) -> None:
    run = left_behind(tmp_path / "run", recipe={}, judged={}, compared=[("ddim", 5)])
    assert [row["sampler"] for row in settings_compared(run)] == ["ddim"]
    written = tmp_path / "written"
    written.mkdir()
    assert settings_compared(written) == []
    for text, samplers in (('{"settings": [{"sampler": "heun"}, 3]}', ["heun"]), ('{"settings": 3}', []), ("[]", [])):
        (written / "metrics.json").write_text(text, "utf-8")
        assert [row["sampler"] for row in settings_compared(written)] == samplers
    judged = left_behind(tmp_path / "judged", recipe={}, judged={}, measured={"copies": {"share": 0.5}})
    assert settings_compared(judged) == []
    assert json.loads((judged / "metrics.json").read_text("utf-8"))["copies"] == {"share": 0.5}


def test_a_badge_is_written(inside: Cli, averages: Path) -> None:
    inside("learn", "status", "--badge", "badge.svg")
    assert "0 of 3" in (averages / "badge.svg").read_text("utf-8")


def test_the_doctor_examines_a_folder(cli: Cli) -> None:
    found = cli("learn", "doctor", EXAMPLES / "averages", "--json").document
    assert (found["exercises"], found["unnamed"], found["failures"]) == (3, [], [])
    assert found["wrong_answers"] >= 6


def test_notebooks_and_files_are_kept_in_step(inside: Cli, averages: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    inside("learn", "init", ".", "--notebooks")
    notebook = averages / "averages.ipynb"
    read = nbformat.read(notebook, as_version=4)
    [cell] = [cell for cell in read.cells if cell.source.startswith("def standard_error")]
    cell.source = cell.source.replace("raise NotImplementedError", "return x.std() / len(x) ** 0.5")
    cell.outputs = [nbformat.v4.new_output("stream", text="kept\n")]
    nbformat.write(read, notebook)
    assert states(inside("learn", "check", "--json"))["averages.standard-error"][0] == "passed"
    assert "return x.std()" in (averages / "averages.py").read_text("utf-8")
    written(averages, "moving_average", SOLVED["moving_average"])
    assert states(inside("learn", "check", "--json"))["averages.moving-average"][0] == "passed"
    read = nbformat.read(notebook, as_version=4)
    assert "out.append(decay" in "".join(cell.source for cell in read.cells)
    assert [cell.outputs[0].text for cell in read.cells if cell.get("outputs")] == ["kept\n"]
    (averages / "averages.py").write_text((averages / "averages.py").read_text("utf-8") + "\n# mine\n", "utf-8")
    read.cells[0].source += "\n# theirs"
    nbformat.write(read, notebook)
    assert_refused(inside("learn", "check"), 2, "both changed")


# What goes wrong


def test_without_a_workspace_the_map_is_shown_and_commands_say_how_to_begin(cli: Cli) -> None:
    assert "diffcli learn init" in cli("learn").out
    assert_refused(cli("learn", "check"), 2, "no workspace here", "diffcli learn init")


def test_two_workspaces_are_named(cli: Cli, averages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(averages.parent / "other")
    monkeypatch.chdir(averages.parent)
    assert_refused(cli("learn", "check"), 2, "other, work", "cd")
    assert_refused(cli("learn"), 2, "other, work")


def test_a_workspace_in_a_workspace_is_refused(inside: Cli) -> None:
    assert_refused(inside("learn", "init", "deeper"), 2, "inside the workspace")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "avrages"), "did you mean averages"),
        (("check", "averages.standard-eror"), "did you mean averages.standard-error"),
        (("check", "standard-errr"), "did you mean standard-error"),
        (("hint", "averages"), "name one of"),
        (("show", "weeks"), "known: averages"),
        (("run", "averages"), "averages.standard-error"),
        (("doctor", "nowhere"), "holds no task"),
    ],
)
def test_what_is_not_there_is_answered_with_the_nearest(inside: Cli, words: tuple[str, ...], said: str) -> None:
    assert_refused(inside("learn", *words), 2, said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = 99\ndiffcli = '9.9'\n", "of another diffcli, 9.9"),
        ("version = [", "cannot be read"),
        ("[exercises]\nx = 3\n", "not what diffcli wrote"),
        ("log = 3\n", "not what diffcli wrote"),
    ],
)
def test_a_progress_file_that_is_none_is_told_and_left_alone(inside: Cli, averages: Path, text: str, said: str) -> None:
    (averages / "learn.toml").write_text(text, "utf-8")
    assert_refused(inside("learn", "check"), 3, said)
    assert (averages / "learn.toml").read_text("utf-8") == text


def test_a_file_that_is_gone_or_no_text_is_told(inside: Cli, averages: Path) -> None:
    (averages / "averages.py").write_bytes(b"\xff\xfe\x00")
    assert_refused(inside("learn", "check"), 3, "averages.py", "UTF-8")
    (averages / "averages.py").unlink()
    assert_refused(inside("learn", "check"), 3, "is not there", "diffcli learn init")
    inside("learn", "init", ".")
    assert (averages / "averages.py").is_file()


def test_new_exercises_are_told_and_added_and_old_names_still_count(
    inside: Cli, averages: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written(averages, "standard_error", SOLVED["standard_error"])
    inside("learn", "check")
    tasks = Path(shutil.copytree(EXAMPLES, tmp_path / "tasks"))
    toml = (tasks / "averages" / "task.toml").read_text("utf-8")
    more = toml.split("[[exercise]]")[1].replace("moving-average", "slow-average")
    renamed = toml.replace(
        'name = "standard-error"', 'name = "error-of-a-mean"\nfunction = "standard_error"\nwas = ["standard-error"]'
    )
    (tasks / "averages" / "task.toml").write_text(f"{renamed}\n[[exercise]]{more}", "utf-8")
    solved = (tasks / "averages" / "moving_average.py").read_text("utf-8")
    (tasks / "averages" / "slow_average.py").write_text(solved.replace("moving_average", "slow_average"), "utf-8")
    monkeypatch.setattr(catalogue, "BUILT_IN", tasks)
    catalogue._built_in.cache_clear()
    shown = inside("learn")
    assert "new since your last visit: averages.slow-average;" in shown.out
    assert inside("learn", "status", "--json").document["passed"] == 1
    assert "averages.py: slow_average" in inside("learn", "init", ".", "--json").document["written"]
    text = (averages / "averages.py").read_text("utf-8")
    assert "def slow_average" in text
    assert SOLVED["standard_error"] in text
    assert "new since" not in inside("learn").out


def test_two_terminals_lose_nothing(averages: Path) -> None:
    workspace, _ = begun(averages)
    exercises = list(workspace.tasks["averages"].exercises)

    def work(i: int) -> None:
        for j in range(5):
            workspace.changed(partial(checked, exercise=exercises[i], state="failed", mistake=None, message=f"try {j}"))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = progress.read(averages)
    assert len(found.log) == 10
    assert [found.of(exercise).attempts for exercise in exercises[:2]] == [5, 5]


def test_what_has_passed_stays_passed_after_a_later_failure(averages: Path) -> None:
    [one, *_] = begun(averages)[0].tasks["averages"].exercises
    found = checked(checked(LearnerProgress(), one, "passed", None, ""), one, "failed", "m", "text")
    assert found.passed(one)
    assert found.of(one).state == "failed"


def test_a_file_saved_before_the_first_look_is_seen(tmp_path: Path) -> None:
    path, missing = tmp_path / "one.py", tmp_path / "missing.py"
    path.write_text("a = 1", "utf-8")
    happened = events([path, missing])
    path.write_text("a = 12", "utf-8")
    assert next(happened) == ("saved", path)
    when = path.stat()
    happened = events([path, missing])
    path.write_text("a = 123", "utf-8")
    os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))
    assert next(happened) == ("saved", path)
    happened = events([path, missing])
    missing.write_text("", "utf-8")
    assert next(happened) == ("saved", missing)


def test_watch_checks_what_is_saved_and_hears_keys(averages: Path) -> None:
    shutil.copytree(EXAMPLES / "averages", averages.parent / "extra")
    toml = averages.parent / "extra" / "task.toml"
    toml.write_text(toml.read_text("utf-8").replace('name = "averages"', 'name = "extra"'), "utf-8")
    begun(averages.parent / "second", [averages.parent / "extra"])
    process = start("learn", "watch", cwd=averages.parent / "second", stdin=-1)
    assert process.stdin and process.stdout and process.stderr
    assert "watching" in process.stderr.readline()
    path = averages.parent / "second" / "extra.py"
    text = path.read_text("utf-8")
    head, rest = text.split("def standard_error(")
    body = rest.replace("    raise NotImplementedError", SOLVED["standard_error"], 1)
    path.write_text(f"{head}def standard_error({body}", "utf-8")
    assert "passed   extra.standard-error" in process.stdout.readline()
    out, _ = process.communicate("lq", timeout=60)
    assert process.returncode == 0


def test_help_names_every_command(cli: Cli) -> None:
    text = cli("learn", "--help").out
    names = ("init", "check", "watch", "show", "hint", "solution", "reset", "skip", "run", "status", "log", "doctor")
    assert all(name in text for name in names)


def test_json_is_json(inside: Cli) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: inside("learn", "--json"),
        lambda: inside("learn", "show", "--json"),
        lambda: inside("learn", "hint", "--json"),
    ]
    for call in calls:
        assert isinstance(json.loads(call().out), dict)
