"""Which tasks and exercises there are: folders with a `task.toml`, those of the package and others. No torch here."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from diffcli.errors import UsageProblem, one_of

BUILT_IN = Path(__file__).parent / "tasks"
KINDS = ("function", "real", "experiment")


@dataclass(frozen=True)
class Exercise:
    """One thing to write.

    function:    what is to be written, in the file of its task
    kind:        function; experiment, which names runs and is graded by what these have left behind; or real, what
                 `learn run` does, with nothing to write
    difficulty:  1 (a line that stands in the text) to 5 (an evening)
    minutes:     that it takes
    objective:   what to write and why, in a sentence or two
    equation, source, data, reads, used, learned:  as texts show them; `used` are places in the package, FILE:NAME
    hints:       three, each saying more
    was:         earlier names, so that nothing that was passed is lost
    """

    task: str
    name: str
    function: str
    difficulty: int
    minutes: int
    objective: str
    equation: str
    source: str
    data: str
    learned: str
    hints: tuple[str, ...]
    reads: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    was: tuple[str, ...] = ()
    kind: str = "function"
    folder: Path = Path()

    @property
    def id(self) -> str:
        return f"{self.task}.{self.name}"

    @property
    def ids(self) -> tuple[str, ...]:
        """Its id and those that it had."""
        return (self.id, *(name if "." in name else f"{self.task}.{name}" for name in self.was))

    @property
    def file(self) -> Path:
        """Where its solution and its questions are."""
        return self.folder / f"{self.function}.py"


@dataclass(frozen=True)
class CourseTask:
    """Exercises that belong together, and the text that goes before them.

    track:     path, from Gaussians to DDIM, or plan, the weeks from DDPM to research
    weeks:     of the plan in which it is worked at
    optional:  for those who know it already
    goes_on:   what runs for real at its end, in words; empty where nothing does
    """

    name: str
    title: str
    track: str
    summary: str
    exercises: tuple[Exercise, ...]
    folder: Path
    weeks: tuple[int, ...] = ()
    optional: bool = False
    goes_on: str = ""

    @property
    def module(self) -> str:
        """The name of its file in a workspace, without .py."""
        return self.name.replace("-", "_")

    @property
    def minutes(self) -> int:
        return sum(exercise.minutes for exercise in self.exercises)

    @property
    def time(self) -> str:
        """As people say it: 1 h 40 min."""
        return time_of(self.minutes)

    @property
    def text(self) -> str:
        """What is read before the exercises, Markdown."""
        return (self.folder / "text.md").read_text("utf-8")


def time_of(minutes: int) -> str:
    """100 -> 1 h 40 min."""
    hours, rest = divmod(minutes, 60)
    return " ".join([*([f"{hours} h"] if hours else []), *([f"{rest} min"] if rest or not hours else [])])


def all_tasks(folders: Iterable[Path] = ()) -> dict[str, CourseTask]:
    """By name, in the order in which they are worked through; first the package's, then those of other folders.

    Raises UsageProblem for a folder without tasks, a description with a mistake and a name that is taken.
    """
    found = dict(_built_in())
    for folder in folders:
        for task in tasks_of(folder):
            if task.name in found:
                raise UsageProblem(
                    f"{folder}: the task {task.name} is there twice", "give it another name in task.toml"
                )
            found[task.name] = task
    return found


@cache
def _built_in() -> Mapping[str, CourseTask]:
    return {task.name: task for task in tasks_of(BUILT_IN)}


def tasks_of(folder: Path) -> list[CourseTask]:
    """The task of a folder, or those of its sub-folders, ordered by the number in `task.toml`."""
    files = [folder / "task.toml"] if (folder / "task.toml").is_file() else sorted(folder.glob("*/task.toml"))
    if not files and folder != BUILT_IN:
        raise UsageProblem(f"{folder} holds no task", "a task is a folder with a task.toml; docs/learn/writing.md")
    ordered = sorted((_document(file).get("order", 0), file) for file in files)
    return [_task(file) for _, file in ordered]


def _document(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageProblem(f"{file} cannot be read: {error}", "docs/learn/writing.md says what a task holds") from None


def _task(file: Path) -> CourseTask:
    document = _document(file)
    document.pop("order", None)
    rows, name = document.pop("exercise", []), str(document.get("name", file.parent.name.replace("_", "-")))
    _check_name(name, file)
    exercises = tuple(_exercise(row, name, file) for row in rows)
    return _made(CourseTask, document | {"name": name, "exercises": exercises, "folder": file.parent}, file)


def _exercise(row: dict[str, Any], task: str, file: Path) -> Exercise:
    usual = {"function": str(row.get("name", "")).replace("-", "_"), "task": task, "folder": file.parent}
    made = _made(Exercise, usual | row, file)
    _check_name(made.name, file)
    if len(made.hints) != 3 or made.difficulty not in range(1, 6) or made.kind not in KINDS:
        raise UsageProblem(
            f"{file}: {made.name} needs three hints, a difficulty from 1 to 5, and a kind of {', '.join(KINDS)}",
            "docs/learn/writing.md says what a task holds",
        )
    return made


def _check_name(name: str, file: Path) -> None:
    """Raise UsageProblem for a name that cannot be typed as it stands."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UsageProblem(f"{file}: {name!r} is no name", "lower-case letters, digits, and hyphens between them")


def _made(kind: Any, document: dict[str, Any], file: Path) -> Any:
    known = {field.name for field in fields(kind)}
    for name in document:
        one_of(name, sorted(known), f"key in {file}")
    try:
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in document.items()})
    except TypeError as error:
        lacking = str(error).split(": ")[-1]
        raise UsageProblem(f"{file} lacks {lacking}", "docs/learn/writing.md says what a task holds") from None


def chosen(tasks: Mapping[str, CourseTask], word: str) -> list[Exercise]:
    """The exercises that a word names: a task, TASK.EXERCISE, TASK.NUMBER, or an exercise whose name is there once.

    Raises UsageProblem with the nearest name.
    """
    if word in tasks:
        return list(tasks[word].exercises)
    every = {exercise.id: exercise for exercise in exercises_of(tasks)}
    if word in every:
        return [every[word]]
    task, _, number = word.partition(".")
    if task in tasks and number.isdecimal() and 0 < int(number) <= len(tasks[task].exercises):
        return [tasks[task].exercises[int(number) - 1]]
    alone = [one for one in every.values() if word in (one.name, one.function, *one.was, *one.ids)]
    if len(alone) == 1:
        return alone
    known = [name for name in every if name.startswith(f"{word.split('.')[0]}.")] or list(every)
    known = known if "." in word else [*tasks, *(exercise.name for exercise in every.values())]
    one_of(word, dict.fromkeys(known), "task or exercise")
    raise UsageProblem(f"{word} is there {len(alone)} times", f"name one of {', '.join(one.id for one in alone)}")


def exercises_of(tasks: Mapping[str, CourseTask]) -> Iterator[Exercise]:
    """All of them, in order."""
    for task in tasks.values():
        yield from task.exercises
