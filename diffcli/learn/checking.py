"""Checking what a learner wrote: each file in a process of its own, and a new one where that was ended."""

from collections.abc import Generator, Iterable, Iterator
from itertools import groupby
from pathlib import Path

from diffcli.learn.answers import Trouble
from diffcli.learn.asking import Ask, Learner
from diffcli.learn.catalogue import Exercise
from diffcli.learn.exercise import material
from diffcli.learn.experiments import examiner
from diffcli.learn.grading import Mark, grade, troubled
from diffcli.learn.progress import BLANK, ERROR, FAILED, PASSED

PRINTED = 10  # lines of what was printed that are shown


class Checker:
    """Checks functions of files; keeps a process ready for the next file, so that it begins at once."""

    def __init__(self) -> None:
        self._spare: Learner | None = None
        self.ready()

    def ready(self) -> None:
        """Begin the next process, if none is waiting."""
        if self._spare is None:
            self._spare = Learner()

    def close(self) -> None:
        if self._spare is not None:
            self._spare.close()
            self._spare = None

    def taken(self) -> Learner:
        self.ready()
        learner, self._spare = self._spare, None
        assert learner is not None
        return learner

    def marks(self, path: Path, exercises: Iterable[Exercise]) -> Generator[tuple[Exercise, Mark]]:
        """Each exercise of a file with what its grader says."""
        learner: Learner | None = None
        broken: Mark | None = None
        try:
            for exercise in exercises:
                if learner is None or not (broken or learner.alive):
                    learner = self.taken()
                    broken = _loaded(learner, path, exercise)
                learner.printed = ""
                mark = broken or _marked(learner, exercise, path.parent)
                yield exercise, _with_prints(mark, learner)
        finally:
            if learner is not None:
                learner.close()


def _allowed(exercise: Exercise) -> tuple[str, ...]:
    return material(exercise.file, exercise.function).allowed if exercise.kind == "function" else ()


def _marked(learner: Learner, exercise: Exercise, folder: Path) -> Mark:
    if exercise.kind == "experiment":
        return experiment(exercise, learner.ask(exercise.function), folder)
    made = material(exercise.file, exercise.function)

    def asking(seed: int) -> Ask:
        return learner.ask(exercise.function, seed=seed, limit=made.seconds)

    return grade(made, asking, exercise.function)


def experiment(exercise: Exercise, ask: Ask, folder: Path) -> Mark:
    """What lies in the folders that a learner names; their names count from the workspace."""
    try:
        found = ask()
    except Trouble as trouble:
        return troubled(trouble, exercise.function)
    if not isinstance(found, dict) or not found or not all(isinstance(path, str) for path in found.values()):
        return Mark(FAILED, f"{exercise.function} is to return a dict of names and folders")
    examined, _ = examiner(exercise)
    fault = examined({name: folder / path for name, path in found.items()})
    return Mark(FAILED, fault.text, fault.name) if fault else Mark(PASSED)


def _loaded(learner: Learner, path: Path, exercise: Exercise) -> Mark | None:
    """Where the file itself does not run, the mark on all that is in it."""
    try:
        learner.load(path, _allowed(exercise))
    except Trouble as trouble:
        place = f" (line {trouble.line}: {trouble.text})" if trouble.line else ""
        return Mark(ERROR, f"{path.name} {trouble.message}{place}")
    return None


def _with_prints(mark: Mark, learner: Learner) -> Mark:
    """What the code printed first, where it did not pass: people look for mistakes that way."""
    lines = learner.printed.strip().split("\n")[-PRINTED:] if learner.printed.strip() else []
    if not lines or mark.state in (PASSED, BLANK):
        return mark
    return mark._replace(message="\n".join([mark.message, "printed:", *(f"  {line}" for line in lines)]))


def by_file(exercises: Iterable[Exercise]) -> Iterator[tuple[str, list[Exercise]]]:
    """Exercises in their order, by the task whose file they are in."""
    for task, some in groupby(exercises, key=lambda exercise: exercise.task):
        yield task, list(some)
