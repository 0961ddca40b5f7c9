"""Checking what a learner wrote: each file in a process of its own, and a new one where that was ended."""

import math
from collections.abc import Generator, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from torch import Tensor

from diffcli.learn.answers import Trouble
from diffcli.learn.asking import Ask, Learner
from diffcli.learn.catalogue import Exercise
from diffcli.learn.exercise import material
from diffcli.learn.experiments import examiner
from diffcli.learn.grading import Mark, grade, troubled
from diffcli.learn.progress import BLANK, ERROR, FAILED, PASSED

NO_NUMBER = "no-number"  # the mistake of an experiment without a number that it is to find out
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
    made = examiner(exercise)
    named = {name: path for name, path in found.items() if name not in made.claims} if isinstance(found, dict) else {}
    if not named or not all(isinstance(path, str) for path in named.values()):
        return Mark(FAILED, f"{exercise.function} is to return a dict of names and folders")
    claimed = {name: number(found.get(name)) for name in made.claims}
    if lacking := [name for name, value in claimed.items() if math.isnan(value)]:
        return Mark(
            FAILED, f"{exercise.function} is to return a number under {' and '.join(lacking)} as well", NO_NUMBER
        )
    fault = made.fault({name: folder / path for name, path in named.items()}, claimed)
    return Mark(FAILED, fault.text, fault.name) if fault else Mark(PASSED)


def number(value: Any) -> float:
    """A number that was returned, also as a tensor of one; nan for anything else."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


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
