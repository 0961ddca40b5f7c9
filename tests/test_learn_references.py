"""What texts of tasks point at is there: commands with their options, functions, checks, exercises, pages."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from diffcli.checks.every import all_checks
from diffcli.cli import app
from diffcli.learn.catalogue import CourseTask, all_tasks, exercises_of
from diffcli.learn.pages import page

ROOT = Path(__file__).parent.parent
TASKS = all_tasks()
IDS = {exercise.id for exercise in exercises_of(TASKS)} | set(TASKS)
LINE, INLINE = re.compile(r"^(?:\$ )?diffcli [^\n]+", re.MULTILINE), re.compile(r"(?<=`)diffcli [^`]+(?=`)")
ENDS = ("#", ";", "&&", "|", ">")


def texts(task: CourseTask) -> str:
    """All that a learner reads of a task."""
    hints = [line for exercise in task.exercises for line in (*exercise.hints, exercise.learned)]
    return "\n".join([page(task), *hints])


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command in a text, up to a comment or another command."""
    parts = text.replace("\\\n", " ").split("```")  # prose and blocks in turn
    lines = [line.removeprefix("$ ") for block in parts[1::2] for line in LINE.findall(block)]
    for found in [*lines, *(one for prose in parts[::2] for one in INLINE.findall(prose))]:
        words = shlex.split(found, comments=True)
        end = next((i for i, word in enumerate(words) if word in ENDS or word.endswith(";")), None)
        yield (
            words[1:] if end is None else [*words[1:end], words[end].rstrip(";")][: end if words[end] in ENDS else None]
        )


def unknown(words: list[str]) -> str:
    """The first word of a command that is none; empty if all are."""
    here: Any = typer.main.get_command(app)
    rest = list(words)
    while rest and hasattr(here, "commands") and not rest[0].startswith("-"):
        if rest[0] not in here.commands:
            return rest[0]
        here = here.commands[rest.pop(0)]
    known = {name for parameter in here.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options = [word.split("=")[0].rstrip(".,") for word in rest if re.match(r"--?[a-z]", word)]
    return next((option for option in options if option not in {*known, "--help", "-h"}), "")


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_every_command_in_a_text_is_one(task: CourseTask) -> None:
    for words in commands(texts(task)):
        assert not unknown(words), f"diffcli {' '.join(words)}"


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_every_place_in_a_text_is_there(task: CourseTask) -> None:
    text = texts(task)
    for file, name in re.findall(r"(diffcli/[\w/]+\.py):(\w+)", text):
        assert re.search(rf"^\s*(def|class) {name}\b|^{name}( =|:)", (ROOT / file).read_text("utf-8"), re.MULTILINE), (
            name
        )
    for file in re.findall(r"`(docs/[\w/.-]+\.md)", text):
        assert (ROOT / file).is_file(), file


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_checks_and_exercises_that_a_text_names_are_there(task: CourseTask) -> None:
    for words in commands(texts(task)):
        if words[:1] == ["verify"] and "--impl" not in words:
            assert {word for word in words[1:] if not word.startswith("-") and not word.isupper()} <= set(
                all_checks()
            ), words
        if words[:1] == ["learn"] and words[1:2] in (["check"], ["show"], ["run"], ["hint"], ["solution"], ["reset"]):
            assert {word for word in words[2:] if not word.startswith("-")} <= IDS, words


def test_what_is_no_command_is_found() -> None:
    assert list(commands("`diffcli sample --ddim` and\n```\ndiffcli train --minutes 1  # wait\n```\n")) == [
        ["train", "--minutes", "1"], ["sample", "--ddim"],
    ]  # fmt: skip
    assert unknown(["smple"]) == "smple"
    assert unknown(["vae", "trian"]) == "trian"
    assert unknown(["sample", "--dim"]) == "--dim"
    assert not unknown(["vae", "train", "--minutes", "1"])
