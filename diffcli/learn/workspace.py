"""A learner's folder: a file for each task, a check-list, and what has been done so far."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from diffcli.errors import DataProblem, EnvironmentProblem, UsageProblem
from diffcli.learn import progress as progresses
from diffcli.learn.catalogue import CourseTask, Exercise, all_tasks, exercises_of
from diffcli.learn.progress import LearnerProgress
from diffcli.learn.starter import blank, replaced, starter
from diffcli.system.files import write_atomically
from diffcli.system.shell import argument

README, IGNORED, BACKUPS = "README.md", ".gitignore", "backups"
OF_COMMANDS = ["checkpoints/", "outputs/", "runs/"]
NOT_IN_GIT = [progresses.LOCK, "__pycache__/", ".ipynb_checkpoints/", f"{BACKUPS}/", *OF_COMMANDS]


@dataclass(frozen=True)
class Workspace:
    """A folder with `learn.toml`, and the tasks that it is about."""

    folder: Path
    tasks: dict[str, CourseTask]

    @property
    def progress(self) -> LearnerProgress:
        return progresses.read(self.folder)

    def path(self, task: str) -> Path:
        return self.folder / f"{self.tasks[task].module}.py"

    def changed(self, change: Callable[[LearnerProgress], LearnerProgress]) -> LearnerProgress:
        """Change what is kept, alone with it, and the check-list with it."""
        with progresses.held(self.folder):
            new = change(self.progress)
            progresses.write(self.folder, replace(new, known=tuple(one.id for one in exercises_of(self.tasks))))
            write_atomically(self.folder / README, readme(self.tasks, new).encode())
        return new


def found() -> Workspace | None:
    """The workspace of this folder or of one above it, else the only one among the folders in it; None without one.

    Raises UsageProblem where there are several.
    """
    here = Path.cwd()
    folders = [folder for folder in (here, *here.parents) if (folder / progresses.NAME).is_file()][:1]
    folders = folders or sorted(path.parent for path in here.glob(f"*/{progresses.NAME}"))
    if len(folders) > 1:
        names = ", ".join(argument(path.name) for path in folders)
        raise UsageProblem(f"several workspaces here: {names}", f"cd {argument(folders[0].name)}, or another of them")
    return next((Workspace(one, all_tasks(one / name for name in progresses.read(one).tasks)) for one in folders), None)


def opened() -> Workspace:
    """The workspace that is worked in. Raises UsageProblem where there is none, or more than one."""
    workspace = found()
    if workspace is None:
        hint = "diffcli learn init makes one; or go to the folder of yours"
        raise UsageProblem(f"no workspace here, in {Path.cwd()}", hint)
    return workspace


def begun(folder: Path, more: Iterable[Path] = (), *, notebooks: bool = False) -> tuple[Workspace, list[str]]:
    """Make a workspace, or add to one what it lacks; a file that is there is never written over.

    more:  folders with more tasks

    Returns it and the names of what was written. Raises UsageProblem inside another workspace, EnvironmentProblem for a
    place that cannot be written to.
    """
    folder = folder.absolute()
    above = next((path for path in folder.parents if (path / progresses.NAME).is_file()), None)
    if above:
        raise UsageProblem(
            f"{folder} lies inside the workspace {above}", f"cd {argument(above)}, or choose another place"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(f"cannot make {folder}: {error.strerror}", "choose a folder of your own") from None
    there = (folder / progresses.NAME).is_file()
    before = progresses.read(folder) if there else LearnerProgress(began=progresses.now())
    names = tuple(dict.fromkeys([*before.tasks, *(str(path.absolute()) for path in more)]))
    workspace = Workspace(folder, all_tasks(folder / name for name in names))
    written = _written(workspace, before)
    if not there:
        progresses.write(folder, before)
    workspace.changed(lambda old: replace(old, tasks=names, notebooks=old.notebooks or notebooks))
    return workspace, written


def _written(workspace: Workspace, before: LearnerProgress) -> list[str]:
    """Files that are not there, and functions that are new since the last time."""
    written = []
    for task in workspace.tasks.values():
        path = workspace.path(task.name)
        if not path.exists():
            write_atomically(path, starter(task).encode())
            written.append(path.name)
            continue
        text = content(path)
        new = [
            e
            for e in task.exercises
            if before.known and not set(e.ids) & set(before.known) and f"def {e.function}(" not in text
        ]
        for exercise in new:
            text = replaced(text, exercise, blank(exercise))
            written.append(f"{path.name}: {exercise.function}")
        if new:
            write_atomically(path, text.encode())
    ignored = workspace.folder / IGNORED
    if not ignored.exists():
        write_atomically(ignored, ("\n".join(NOT_IN_GIT) + "\n").encode())
        written.append(IGNORED)
    return written


def content(path: Path) -> str:
    """The text of a learner's file. Raises DataProblem for one that is gone or is no text."""
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise DataProblem(f"{path.name} is not there", "diffcli learn init writes what is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataProblem(f"{path.name} cannot be read: {error}", "save it as UTF-8 text") from None


def reset(workspace: Workspace, exercise: Exercise) -> Path:
    """Write an exercise as it was in the beginning; returns the copy of the file that is kept."""
    path = workspace.path(exercise.task)
    text = content(path)
    backups = workspace.folder / BACKUPS
    backups.mkdir(exist_ok=True)
    stamp = progresses.now()[:19].replace(":", "").replace("T", "-")
    copy = backups / f"{path.stem}-{stamp}.py"
    write_atomically(copy, text.encode())
    write_atomically(path, replaced(text, exercise, blank(exercise)).encode())
    return copy


def readme(tasks: dict[str, CourseTask], progress: LearnerProgress) -> str:
    """The check-list of a workspace, Markdown."""
    every = list(exercises_of(tasks))
    done = sum(progress.passed(one) for one in every)
    lines = ["# Diffusion, from Gaussians up", "", f"{done} of {len(every)} exercises passed.", ""]
    lines += [
        "```",
        "diffcli learn          # where am I, and what is next",
        "diffcli learn watch    # checks on saving",
        "```",
    ]
    for task in tasks.values():
        lines += ["", f"## {task.title} (`{task.module}.py`)", "", task.summary, ""]
        lines += [f"- [{'x' if progress.passed(one) else ' '}] {one.name}, {one.minutes} min" for one in task.exercises]
    return "\n".join(lines) + "\n"


def next_exercise(workspace: Workspace, progress: LearnerProgress, task: str = "") -> Exercise | None:
    """The first that has neither passed nor been skipped, from a task on: the one that was worked at last."""
    latest = progress.log[-1].exercise.split(".")[0] if progress.log else ""
    names = list(workspace.tasks)
    here = task or latest
    first = names.index(here) if here in names else 0
    ordered = (one for name in names[first:] + names[:first] for one in workspace.tasks[name].exercises)
    open_ones = (one for one in ordered if not progress.passed(one))
    return next((one for one in open_ones if progress.of(one).state != progresses.SKIPPED), None)
