"""What `learn run` does: a learner's functions in the real pipeline, beside the package's own."""

import importlib.util
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from diffcli.errors import Problem, UsageProblem
from diffcli.learn.catalogue import CourseTask, Exercise
from diffcli.learn.exercise import module_of
from diffcli.learn.workspace import Workspace
from diffcli.system.files import write_atomically
from diffcli.system.shell import command_line


class Outcome(NamedTuple):
    """How a run for real went.

    passed:    whether the learner's functions did what the package's own do
    lines:     numbers, for a reader
    pictures:  files in the folder that are worth a look
    """

    passed: bool
    lines: tuple[str, ...]
    pictures: tuple[str, ...] = ()


class CommandProblem(Problem):
    """A command of a run for real has failed; it has said why itself."""

    exit_code = 1


def real_exercise(task: CourseTask) -> Exercise:
    """The exercise that runs for real. Raises UsageProblem where a task has none."""
    found = next((exercise for exercise in task.exercises if exercise.kind == "real"), None)
    if found is None:
        raise UsageProblem(
            f"nothing of {task.name} runs for real", f"diffcli learn check {task.name} checks what there is"
        )
    return found


def lacking(workspace: Workspace, task: CourseTask) -> list[Exercise]:
    """The exercises that have to pass before."""
    needs = set(_real(task).NEEDS)
    progress = workspace.progress
    return [one for one in task.exercises if one.function in needs and not progress.passed(one)]


def performed(workspace: Workspace, task: CourseTask, out: Path) -> Iterator[str]:
    """Run it; yields what is done next. Raises CommandProblem or UsageProblem where a command or a file fails."""
    real = _real(task)
    impl = workspace.folder / f"{task.module}_impl.py"
    if hasattr(real, "IMPL"):
        write_atomically(impl, real.IMPL.strip().encode() + b"\n")
    if hasattr(real, "commands"):
        for words in real.commands(impl.relative_to(workspace.folder), out):
            yield f"$ diffcli {command_line(words)}"
            yield from _ran(words, workspace.folder)
    if hasattr(real, "compute"):
        try:
            yield from real.compute(functions(workspace, task), out)
        except Exception as error:
            raise _theirs(error, workspace.path(task.name)) from error


def _theirs(error: Exception, path: Path) -> Exception:
    """The problem of a learner's file, if the error comes from there; the error itself otherwise."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if not own or isinstance(error, Problem):
        return error
    said = str(error).split("\n")[0]
    place = f"{own[-1].name} in {path.name}, line {own[-1].lineno}"
    return UsageProblem(f"{place}: {type(error).__name__}: {said}", "it has to bear what the real pipeline hands it")


def judged(task: CourseTask, out: Path) -> Outcome:
    """What came of it."""
    return _real(task).judged(out)


def functions(workspace: Workspace, task: CourseTask) -> Mapping[str, Callable[..., Any]]:
    """What a learner's file of a task defines, run here. Raises UsageProblem."""
    path = workspace.path(task.name)
    sys.path.insert(0, str(workspace.folder))
    try:
        spec = importlib.util.spec_from_file_location(task.module, path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Exception as error:
        problem = f"{path.name} cannot be run: {type(error).__name__}: {error}"
        raise UsageProblem(problem, f"diffcli learn check {task.name} says where") from None
    return {name: value for name, value in vars(module).items() if callable(value)}


def _ran(words: list[str], folder: Path) -> Iterator[str]:
    """What a command says, but for its last line, which is for whoever has typed it."""
    command = [sys.executable, "-m", "diffcli", *words]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        for line in process.stdout or ():
            if not line.startswith("next:"):
                yield line.rstrip("\n")
    if process.returncode == 130:
        raise KeyboardInterrupt
    if process.returncode not in (0, 1):  # 1 is a verdict, of `verify` say, which is judged afterwards
        raise CommandProblem(
            f"exit code {process.returncode} of diffcli {command_line(words)}", "the lines above say why"
        )


def _real(task: CourseTask) -> Any:
    return module_of(task.folder / "real.py")
