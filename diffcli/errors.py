"""What can go wrong, each with its exit code, one line for the problem and one for the way out."""

import difflib
from collections.abc import Iterable


class Problem(Exception):
    """A problem that the user can understand. Shown as `error: message` and `hint: hint`, never as a traceback."""

    exit_code = 70

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class UsageProblem(Problem):
    exit_code = 2


class DataProblem(Problem):
    exit_code = 3


class CheckpointProblem(Problem):
    exit_code = 4


class EnvironmentProblem(Problem):
    """Disk, memory, device, or a missing extra."""

    exit_code = 5


class BusyProblem(Problem):
    """The run is in use by another process, or the place to write to is taken."""

    exit_code = 6


class DivergedProblem(Problem):
    exit_code = 7


class InterruptedProblem(Problem):
    exit_code = 130


MOST_NAMES = 40  # in one message


def one_of(name: str, known: Iterable[str], what: str, problem: type[Problem] = UsageProblem) -> str:
    """The name itself; raises `problem` with the nearest known name as the hint."""
    known = list(known)
    if name in known:
        return name
    near = difflib.get_close_matches(name.lower(), known, n=1)
    choice = f"did you mean {near[0]}? " if near else ""
    shown = ", ".join([*known[:MOST_NAMES], *(["..."] if len(known) > MOST_NAMES else [])])
    raise problem(f"unknown {what} '{name}'", f"{choice}known: {shown or 'none'}")
