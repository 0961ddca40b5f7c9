"""diffcli learn, and diffcli learn status"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.console import options

if TYPE_CHECKING:
    from diffcli.learn.catalogue import CourseTask, Exercise
    from diffcli.learn.progress import LearnerProgress
    from diffcli.learn.workspace import Workspace

MARKS = {"passed": "■", "skipped": "-", "failed": "□", "error": "□", "blank": "·"}


def overview(*, as_json: bool = False) -> None:
    """The map with progress, and the next step; without a workspace what there is to learn, and how to begin."""
    from diffcli.console.show import Show
    from diffcli.learn.catalogue import all_tasks
    from diffcli.learn.progress import LearnerProgress
    from diffcli.learn.workspace import found, next_exercise

    show = Show(as_json=as_json)
    workspace = found()
    if workspace is None:
        tasks = all_tasks()
        next_step = "next: diffcli learn init, which writes a folder to work in"
        show.result(document(tasks, LearnerProgress()), [*map_of(tasks, LearnerProgress()), "", next_step])
        return
    progress = workspace.progress
    lines = map_of(workspace.tasks, progress)
    if new := progress.new(workspace.tasks):
        lines += ["", f"new since your last visit: {', '.join(one.id for one in new)}; diffcli learn init . adds them"]
    here = next_exercise(workspace, progress)
    show.result(document(workspace.tasks, progress), [*lines, "", *_next(workspace, here)])


def _next(workspace: "Workspace", here: Any) -> list[str]:
    if here is None:
        return ["everything is passed or skipped; next: diffcli learn log"]
    from diffcli.console.show import wrapped

    about = (
        f"next: {here.id}, difficulty {here.difficulty}, about {here.minutes} min, in {workspace.path(here.task).name}"
    )
    if here.kind == "real":
        return [f"next: diffcli learn run {here.task}", *wrapped(here.objective, 6)]
    return [about, *wrapped(here.objective, 6), f"      diffcli learn show {here.task}; diffcli learn check {here.id}"]


def status(
    badge: Annotated[
        Optional[Path], typer.Option("--badge", help="Write an SVG with the share that has passed.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """How far you are, in numbers."""
    from diffcli.console.show import Show
    from diffcli.learn.catalogue import exercises_of, time_of
    from diffcli.learn.workspace import opened

    workspace = opened()
    progress = workspace.progress
    every = list(exercises_of(workspace.tasks))
    done = sum(progress.passed(one) for one in every)
    lines = map_of(workspace.tasks, progress)
    left = sum(one.minutes for one in every if not progress.passed(one))
    lines += ["", f"{done} of {len(every)} passed, about {time_of(left)} left"]
    if badge:
        from diffcli.learn.badge import svg
        from diffcli.system.files import write_atomically

        write_atomically(badge, svg("diffusion", f"{done} of {len(every)}", done / max(len(every), 1)).encode())
        lines.append(f"badge: {badge}")
    Show(as_json=as_json).result(document(workspace.tasks, progress), lines)


def map_of(tasks: "dict[str, CourseTask]", progress: "LearnerProgress") -> list[str]:
    """A line for each task: a mark for each exercise, its title, and the time that it takes."""
    from itertools import groupby

    from diffcli.console.show import table

    lines: list[str] = []
    for track, some in groupby(tasks.values(), key=lambda task: task.track):
        rows = []
        for task in some:
            marks = "".join(MARKS[progress.of(one).state] for one in task.exercises)
            rows.append([f"  {task.name}", marks, f"{task.title}{' (optional)' if task.optional else ''}", task.time])
        head = {"path": "The path", "plan": "The plan"}.get(track, track)
        lines += [*([""] if lines else []), *table([head, "", "", ""], rows, wraps=(2,))]
    return [*lines, "", "· to come  ■ passed  □ not yet right  - skipped"]


def document(tasks: "dict[str, CourseTask]", progress: "LearnerProgress") -> dict[str, Any]:
    """passed, total, and the tasks with their exercises."""

    def state(exercise: "Exercise") -> str:
        return progress.of(exercise).state

    rows = [
        {
            "name": task.name, "track": task.track, "title": task.title,
            "exercises": [
                {"name": one.name, "state": state(one), "difficulty": one.difficulty, "minutes": one.minutes}
                for one in task.exercises
            ],
        }
        for task in tasks.values()
    ]  # fmt: skip
    every = [one for task in tasks.values() for one in task.exercises]
    return {"passed": sum(progress.passed(one) for one in every), "total": len(every), "tasks": rows}
