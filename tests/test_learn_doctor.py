"""Every grader of the package is right: the doctor finds nothing; and the doctor finds what is planted."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest
import torch

from diffcli.learn.asking import local
from diffcli.learn.catalogue import BUILT_IN, Exercise, all_tasks, exercises_of, tasks_of
from diffcli.learn.checking import experiment
from diffcli.learn.comparing import difference, pattern
from diffcli.learn.doctor import examined
from diffcli.learn.exercise import Seen
from diffcli.learn.experiments import examiner
from diffcli.learn.pages import page
from diffcli.learn.starter import solution, starter

AVERAGES = Path(__file__).parent.parent / "examples" / "tasks" / "averages"
EVERY = list(exercises_of(all_tasks()))


@pytest.mark.parametrize("exercise", EVERY, ids=lambda exercise: exercise.id)
def test_right_answers_pass_and_wrong_ones_are_named(exercise: Exercise) -> None:
    found = examined(exercise)
    assert not found.failures
    assert not found.unnamed


@pytest.mark.parametrize("exercise", EVERY, ids=lambda exercise: exercise.id)
def test_an_exercise_points_at_code_that_is_there(exercise: Exercise) -> None:
    root = BUILT_IN.parents[2]
    for place in exercise.used:
        file, name = place.split(":")
        text = (root / file).read_text("utf-8")
        assert re.search(rf"^\s*(def|class) {name}\b|^{name}( =|:)", text, re.MULTILINE), place


@pytest.mark.parametrize("task", all_tasks().values(), ids=lambda task: task.name)
def test_a_task_is_written_out(task: object) -> None:
    exec(compile(starter(task), "starter", "exec"), {})  # type: ignore[arg-type]
    assert "raise NotImplementedError" in page(task)  # type: ignore[arg-type]
    for exercise in task.exercises:  # type: ignore[attr-defined]
        if exercise.kind != "real":
            assert f"def {exercise.function}(" in solution(exercise) or f"class {exercise.function}" in solution(
                exercise
            )


@pytest.fixture
def averages(tmp_path: Path) -> Path:
    return Path(shutil.copytree(AVERAGES, tmp_path / "averages"))


def edited(folder: Path, name: str, old: str, new: str) -> list[str]:
    """What the doctor says of the tasks of a folder after a change in a file."""
    path = folder / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    found = [examined(exercise) for exercise in exercises_of({"averages": tasks_of(folder)[0]})]
    return [
        *(f"{f.answer}: {f.said}" for one in found for f in one.failures),
        *(n for one in found for n in one.unnamed),
    ]


def test_the_example_is_sound(averages: Path) -> None:
    assert edited(averages, "text.md", "An average", "An average") == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("* value)\n    return torch", "* value + 1)\n    return torch", "the solution against the truth"),
        ("means.append(", "means.append(2 * ", "the solution against the truth"),
        ("for decay in (0.5, 0.9)", "for decay in (0.5,)", "weights-swapped"),
        ("x.cumsum(0) / torch.arange(1, len(x) + 1)", "moving_average(x, decay)", "plain-mean: passes"),
        ("mean, found = values[0], []", "mean, found = 0.0, []", "by_numbers"),
        ("@right\ndef by_numbers", "def by_numbers", "2 other right ones"),
        ("[1.0, 2.0, 5.0, -3.0]", "[1.0, 1.0]", "argument 1: passes"),
        ("found = [0 * x[0]]", "found = [x[0] + 0]", "begins-at-zero: passes"),
        ('"found = [x[0]]"', '"found = [x[1]]"', "not once"),
    ],
)
def test_the_doctor_finds_what_is_planted(averages: Path, old: str, new: str, said: str) -> None:
    found = edited(averages, "moving_average.py", old, new)
    assert any(said in line for line in found), found


def test_every_place_has_difficulties_and_minutes_that_rise_and_add_up() -> None:
    for path in BUILT_IN.glob("*/task.toml"):
        rows = tomllib.loads(path.read_text("utf-8"))["exercise"]
        assert all(0 < row["minutes"] <= 90 for row in rows)
        assert len({row["name"] for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("changed", "mistake", "said"),
    [
        ({}, None, ""),
        ({"share": torch.tensor(0.919), "error": torch.tensor([0.0238])}, None, ""),
        ({"share": 0.983}, "score-for-share", "which is the score itself"),
        ({"share": "0.92"}, "no-number", "a number under share as well"),
        ({"share": None, "error": True}, "no-number", "a number under share and error as well"),
        ({"judged": 3}, None, "a dict of names and folders"),
    ],
)
def test_an_experiment_may_ask_for_numbers_beside_folders(
    tmp_path: Path, changed: dict[str, object], mistake: str | None, said: str
) -> None:
    exercise = next(one for one in EVERY if one.id == "week-9.does-it-obey")
    case = next(iter(examiner(exercise).cases(tmp_path)))
    answer = {**{name: path.name for name, path in case.found.items()}, **(case.claimed or {}), **changed}
    mark = experiment(exercise, local(lambda: answer), tmp_path)
    assert (mark.state, mark.mistake) == ("failed" if said else "passed", mistake), mark.message
    assert said in mark.message


def test_complex_answers_are_told_and_not_cut_to_their_real_part() -> None:
    complex_one = Seen("of 4", torch.tensor([2.0 + 0.5j, 1.0]))
    real = Seen("of 4", torch.tensor([2.0, 1.0]))
    assert "is complex" in (difference(complex_one, real) or "")
    assert "is complex" in (difference(Seen("of 4", 2 + 0j), Seen("of 4", 2.0)) or "")
    assert difference(real, real) is None
    assert pattern([complex_one], [real]) == ""
