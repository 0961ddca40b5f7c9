"""Is each grader right? Right answers pass, wrong ones are named, and nothing passes by accident."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from diffcli.learn.answers import Trouble
from diffcli.learn.asking import local
from diffcli.learn.catalogue import Exercise
from diffcli.learn.exercise import Material, material
from diffcli.learn.experiments import examiner
from diffcli.learn.grading import Mark, grade, truths
from diffcli.learn.progress import PASSED

FEWEST = 3  # wrong answers of an exercise, and other right ones


class Failure(NamedTuple):
    """What is wrong with a grader."""

    exercise: str
    answer: str
    said: str


class Examined(NamedTuple):
    """An exercise whose grader was looked at.

    wrong:    how many wrong answers it has
    unnamed:  those that are not recognised as themselves
    """

    exercise: str
    wrong: int
    unnamed: tuple[str, ...]
    failures: tuple[Failure, ...]


def examined(exercise: Exercise) -> Examined:
    """Everything that a grader has to do, done."""
    if exercise.kind == "real":
        return Examined(exercise.id, 0, (), ())
    try:
        if exercise.kind == "experiment":
            return _experiment(exercise)
        made = material(exercise.file, exercise.function)
        unnamed = tuple(_unnamed(made))
        return Examined(exercise.id, len(made.wrongs), unnamed, tuple(_failures(made, exercise)))
    except Exception as error:
        return Examined(exercise.id, 0, (), (Failure(exercise.id, "the file", f"{type(error).__name__}: {error}"),))


def _experiment(exercise: Exercise) -> Examined:
    """Every case has the fault that it is said to have, one has none, and there are three faults or more."""
    made = examiner(exercise)
    unnamed, failures, faults, sound = [], [], set(), 0
    with tempfile.TemporaryDirectory() as folder:
        for case in made.cases(Path(folder)):
            fault = made.fault(case.found, case.claimed)
            name, text = (fault.name, fault.text) if fault else ("", "")
            sound += not case.fault
            faults |= {case.fault} - {""}
            if case.fault and name != case.fault:
                unnamed.append(f"{case.fault}: {text or 'passes'}")
            elif name != case.fault:
                failures.append(Failure(exercise.id, "what is right", text))
    if not sound or len(faults) < FEWEST:
        failures.append(
            Failure(exercise.id, "the file", f"{sound} right cases and {len(faults)} faults, {FEWEST} are wanted")
        )
    return Examined(exercise.id, len(faults), tuple(unnamed), tuple(failures))


def _failures(made: Material, exercise: Exercise) -> Iterator[Failure]:
    for name, function in [("the solution against the truth", made.solution), *((f.__name__, f) for f in made.rights)]:
        mark = _mark(made, function)
        if mark.state != PASSED:
            yield Failure(exercise.id, name, mark.message)
    for name, function in _cheats(made):
        if _mark(made, function).state == PASSED:
            yield Failure(exercise.id, name, "passes")
    if len(made.wrongs) < FEWEST or len(made.rights) < FEWEST:
        counts = (
            f"{len(made.wrongs)} wrong answers and {len(made.rights)} other right ones, {FEWEST} of each are wanted"
        )
        yield Failure(exercise.id, "the file", counts)


def _unnamed(made: Material) -> Iterator[str]:
    for wrong in made.wrongs:
        mark = _mark(made, wrong.function)
        if mark.state == PASSED or mark.mistake != wrong.name:
            yield f"{wrong.name}: {mark.message or 'passes'}"


def _mark(made: Material, function: Callable[..., Any]) -> Mark:
    return grade(made, lambda seed: local(function, seed), made.solution.__name__)


def _cheats(made: Material) -> Iterator[tuple[str, Callable[..., Any]]]:
    """What knows nothing: constants, the first right answer, each argument as it came, and its like."""
    yield "nothing", lambda *given, **named: None
    for value in (0.0, 1.0, True):
        yield f"the constant {value}", lambda *given, _value=value, **named: _value
    first = truths(made)[0].value
    yield "the first right answer", lambda *given, **named: first
    shapes: list[Any] = []

    def noted(*given: Any, **named: Any) -> Any:
        shapes.append(len(given))
        return made.solution(*given, **named)

    try:
        next(iter(made.questions(local(noted))))
    except (Trouble, StopIteration):
        return
    for place in range(shapes[0] if shapes else 0):
        yield f"argument {place + 1}", lambda *given, _place=place, **named: given[_place]
        yield f"zeros like argument {place + 1}", lambda *given, _place=place, **named: torch.zeros_like(given[_place])
