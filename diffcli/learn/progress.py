"""What a learner has done: `learn.toml` in the workspace, one file that is only ever replaced whole."""

import contextlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import filelock

from diffcli.errors import BusyProblem, DataProblem, EnvironmentProblem
from diffcli.learn.catalogue import CourseTask, Exercise, exercises_of
from diffcli.system.files import write_atomically
from diffcli.system.text import installed

NAME, LOCK = "learn.toml", ".learn.lock"
VERSION = 1  # of the form of the file
WAIT = 10.0  # seconds for another terminal
BLANK, FAILED, ERROR, PASSED, SKIPPED = "blank", "failed", "error", "passed", "skipped"
CHECKED = (FAILED, ERROR, PASSED)
UNSKIPPED = "no longer skipped"


@dataclass(frozen=True)
class Standing:
    """Where somebody stands with an exercise.

    attempts:  checks with something new to look at, until it had passed
    hints:     that were read
    gave_up:   whether the solution was read before it had passed
    """

    state: str = BLANK
    attempts: int = 0
    hints: int = 0
    gave_up: bool = False
    passed_at: str = ""


@dataclass(frozen=True)
class LogEntry:
    """A line of the log: what was tried, and how it went."""

    when: str
    exercise: str
    what: str
    mistake: str = ""
    message: str = ""


@dataclass(frozen=True)
class LearnerProgress:
    """Everything in the file.

    began:   when the workspace was made
    known:   the exercises that there were when it was last written
    tasks:   folders with more tasks, as they were named
    synced:  file -> digest of what it and its notebook last had in common
    """

    standings: Mapping[str, Standing] = field(default_factory=dict)
    log: tuple[LogEntry, ...] = ()
    began: str = ""
    known: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    notebooks: bool = False
    synced: Mapping[str, str] = field(default_factory=dict)

    def of(self, exercise: Exercise) -> Standing:
        """Its standing, by its name or an earlier one."""
        return next((self.standings[name] for name in exercise.ids if name in self.standings), Standing())

    def passed(self, exercise: Exercise) -> bool:
        return bool(self.of(exercise).passed_at)

    def new(self, tasks: Mapping[str, CourseTask]) -> list[Exercise]:
        """Exercises that were not there when it was last written."""
        return [one for one in exercises_of(tasks) if not set(one.ids) & set(self.known)]

    def noted(self, exercise: Exercise, event: LogEntry, standing: Standing) -> "LearnerProgress":
        return replace(self, standings={**self.standings, exercise.id: standing}, log=(*self.log, event))


def now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def checked(
    progress: LearnerProgress, exercise: Exercise, state: str, mistake: str | None, message: str
) -> LearnerProgress:
    """With the result of a check; one that says what the last one said is no new attempt, nor is one after passing."""
    before, when = progress.of(exercise), now()
    checks = (event for event in reversed(progress.log) if event.exercise == exercise.id and event.what in CHECKED)
    last = next(checks, None)
    same = last is not None and (last.what, last.message) == (state, message if state != PASSED else "")
    again = state == PASSED and before.passed_at
    if state == BLANK or again or (same and before.state == state):
        return replace(progress, standings={**progress.standings, exercise.id: replace(before, state=state)})
    standing = replace(
        before, state=state, attempts=before.attempts + (not before.passed_at),
        passed_at=before.passed_at or (when if state == PASSED else ""),
    )  # fmt: skip
    event = LogEntry(when, exercise.id, state, mistake or "", message if state != PASSED else "")
    return progress.noted(exercise, event, standing)


def read(folder: Path) -> LearnerProgress:
    """What a workspace's file says. Raises DataProblem for a file that is none, or of a newer diffcli."""
    path = folder / NAME
    try:
        document = tomllib.loads(path.read_text("utf-8-sig"))
        version = int(document.get("version", 1))
    except (OSError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise DataProblem(
            f"{path} cannot be read: {error}", "repair it, or take it from a backup or from git"
        ) from None
    if version > VERSION:
        maker = document.get("diffcli", "of a newer version")
        raise DataProblem(f"{path} is of another diffcli, {maker}", "upgrade diffcli: pip install --upgrade diffcli")
    try:
        return _progress(document)
    except (TypeError, ValueError, AttributeError) as error:
        raise DataProblem(f"{path} is not what diffcli wrote: {error}", "take it from a backup or from git") from None


def _progress(document: dict[str, Any]) -> LearnerProgress:
    standings = {name: Standing(**_known(row, Standing)) for name, row in document.get("exercises", {}).items()}
    log = tuple(LogEntry(**_known(row, LogEntry)) for row in document.get("log", []))
    return LearnerProgress(
        standings, log, str(document.get("began", "")), tuple(document.get("known", [])),
        tuple(document.get("tasks", [])), bool(document.get("notebooks", False)), dict(document.get("synced", {})),
    )  # fmt: skip


def _known(row: dict[str, Any], kind: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in kind.__dataclass_fields__}


def write(folder: Path, progress: LearnerProgress) -> None:
    """Replace the file. Raises EnvironmentProblem."""
    import tomlkit

    document: dict[str, Any] = {
        "version": VERSION, "diffcli": installed("diffcli"), "began": progress.began, "notebooks": progress.notebooks,
        "tasks": list(progress.tasks), "known": list(progress.known), "synced": dict(progress.synced),
        "exercises": {name: _row(standing) for name, standing in progress.standings.items()},
        "log": [_row(event) for event in progress.log],
    }  # fmt: skip
    text = "# Your progress, kept by diffcli learn; everything else in this folder is yours.\n" + tomlkit.dumps(
        document
    )
    write_atomically(folder / NAME, text.encode())


def _row(record: Standing | LogEntry) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if value not in ("", False, 0)}


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Alone with the file: between reading and writing it no other terminal does. Raises BusyProblem."""
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=WAIT)
    except filelock.Timeout:
        raise BusyProblem(f"{folder} is in use by another diffcli", "wait for it, or end it") from None
    except OSError as error:
        raise EnvironmentProblem(f"cannot write to {folder}: {error.strerror}", "choose a folder of your own") from None
    try:
        yield
    finally:
        lock.release()


def week_of(progress: LearnerProgress, when: str) -> int:
    """The week of a time, from 1, counted from the day on which the workspace was made."""
    passed = datetime.fromisoformat(when) - _first_day(progress)
    return max(passed.days // 7 + 1, 1)


def week(progress: LearnerProgress, number: int) -> tuple[datetime, datetime]:
    """When a week begins, and when it has ended."""
    start = _first_day(progress) + timedelta(weeks=number - 1)
    return start, start + timedelta(weeks=1)


def _first_day(progress: LearnerProgress) -> datetime:
    began = datetime.fromisoformat(progress.began or (progress.log[0].when if progress.log else now()))
    return began.replace(hour=0, minute=0, second=0, microsecond=0)
