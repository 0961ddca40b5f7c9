"""What is done with a workspace: checked, helped, skipped; each noted in its progress."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from diffcli.errors import UsageProblem, one_of
from diffcli.learn.catalogue import CourseTask, Exercise, all_tasks, chosen
from diffcli.learn.grading import Mark
from diffcli.learn.progress import BLANK, FAILED, PASSED, SKIPPED, UNSKIPPED, LearnerProgress, LogEntry, checked, now
from diffcli.learn.workspace import Workspace, content, found, next_exercise

if TYPE_CHECKING:
    from diffcli.learn.checking import Checker
    from diffcli.learn.running import Outcome


def check_all(workspace: Workspace, exercises: Iterable[Exercise]) -> Iterator[tuple[Exercise, Mark]]:
    """Check them in order; each result is noted before it is told."""
    from diffcli.learn.checking import Checker, by_file

    with closing(Checker()) as checker:
        for task, some in by_file(exercises):
            yield from check_file(workspace, checker, task, some)


def check_file(
    workspace: Workspace, checker: "Checker", task: str, exercises: Iterable[Exercise]
) -> Iterator[tuple[Exercise, Mark]]:
    """Check what is in the file of a task, in order; what runs for real is as its last run was."""
    path, some = workspace.path(task), list(exercises)
    step(workspace, task)
    content(path)
    with closing(checker.marks(path, [exercise for exercise in some if exercise.kind != "real"])) as written:
        for exercise in some:
            if exercise.kind == "real":
                yield exercise, _of_last_run(workspace, exercise)
                continue
            _, mark = next(written)
            state, mistake, message = mark.state, mark.mistake, mark.message
            workspace.changed(partial(checked, exercise=exercise, state=state, mistake=mistake, message=message))
            yield exercise, mark


def step(workspace: Workspace, task: str) -> str:
    """Keep the file of a task and its notebook in step, where there are notebooks; returns what was written."""
    if not workspace.progress.notebooks:
        return ""
    from diffcli.learn.notebooks import in_step

    return in_step(workspace, task)


def noted_real(workspace: Workspace, exercise: Exercise, outcome: "Outcome") -> None:
    """Note how a run for real went."""
    state, message = (PASSED, "") if outcome.passed else (FAILED, "; ".join(outcome.lines))
    workspace.changed(lambda old: checked(old, exercise, state, None, message))


def _of_last_run(workspace: Workspace, exercise: Exercise) -> Mark:
    standing = workspace.progress.of(exercise)
    if standing.state not in (PASSED, FAILED):
        return Mark(BLANK, f"diffcli learn run {exercise.task}")
    return Mark(standing.state, "" if standing.state == PASSED else "the last run did not agree with the package's own")


def single(workspace: Workspace, word: str) -> Exercise:
    """The one exercise that a word names, the next one if it is empty. Raises UsageProblem."""
    if not word:
        here = next_exercise(workspace, workspace.progress)
        if here is None:
            raise UsageProblem("everything has passed", "name an exercise: diffcli learn status lists them")
        return here
    named = chosen(workspace.tasks, word)
    if len(named) != 1:
        raise UsageProblem(f"{word} is a task", f"name one of {', '.join(one.id for one in named)}")
    return named[0]


def task_named(word: str) -> CourseTask:
    """A task by its name or an exercise of it, in the workspace or without one; the next one if it is empty."""
    workspace = found()
    tasks = workspace.tasks if workspace else all_tasks()
    here = next_exercise(workspace, workspace.progress) if workspace else None
    if not word:
        return tasks[here.task] if here else next(iter(tasks.values()))
    if word in tasks or "." not in word:
        return tasks[one_of(word, tasks, "task")]
    return tasks[chosen(tasks, word)[0].task]


def hinted(workspace: Workspace, word: str) -> tuple[Exercise, int]:
    """The exercise, and the number of its next hint, which counts as read now; 0 for all, once it has passed."""
    one = single(workspace, word)
    if workspace.progress.passed(one):
        return one, 0
    number = min(workspace.progress.of(one).hints + 1, len(one.hints))
    workspace.changed(
        lambda old: old.noted(one, LogEntry(now(), one.id, f"hint {number}"), replace(old.of(one), hints=number))
    )
    return one, number


def given_up(workspace: Workspace, one: Exercise) -> None:
    """Note that the solution was read before the exercise had passed."""
    workspace.changed(
        lambda old: old.noted(one, LogEntry(now(), one.id, "gave up"), replace(old.of(one), gave_up=True))
    )


def skipped(workspace: Workspace, some: Sequence[Exercise]) -> bool:
    """Skip what has not passed of these; take that back, if all of them are skipped. Returns whether they are now."""
    progress = workspace.progress
    open_ones = [one for one in some if not progress.passed(one)]
    skips = any(progress.of(one).state != SKIPPED for one in open_ones)

    def change(old: LearnerProgress) -> LearnerProgress:
        for one in open_ones:
            entry = LogEntry(now(), one.id, SKIPPED if skips else UNSKIPPED)
            old = old.noted(one, entry, replace(old.of(one), state=SKIPPED if skips else BLANK))
        return old

    workspace.changed(change)
    return skips
