"""diffcli learn check"""

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem

if TYPE_CHECKING:
    from diffcli.learn.catalogue import Exercise
    from diffcli.learn.grading import Mark
    from diffcli.learn.workspace import Workspace


def check(
    names: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="[TASK[.EXERCISE]]...", help="What to check.  [the task that you are at]"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that is begun.")] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check what you wrote; a mistake is named. The exit code is 1 where something is not right."""
    from diffcli.console.show import Show
    from diffcli.learn.catalogue import chosen, exercises_of
    from diffcli.learn.session import check_all
    from diffcli.learn.workspace import next_exercise, opened

    show = Show(as_json=as_json, quiet=quiet)
    workspace = opened()
    progress = workspace.progress
    if every and names:
        raise UsageProblem("--all checks everything, whatever is named", "leave out --all, or the names")
    if every:
        wanted = list(exercises_of(workspace.tasks))
    elif names:
        wanted = list(dict.fromkeys(one for name in names for one in chosen(workspace.tasks, name)))
    else:
        here = next_exercise(workspace, progress)
        wanted = list(workspace.tasks[here.task].exercises if here else exercises_of(workspace.tasks))
    found, lines = [], []
    with show.progress("checking", len(wanted), "exercises") as bar:
        for done, (exercise, mark) in enumerate(check_all(workspace, wanted), 1):
            bar.update(done, exercise.name)
            found.append((exercise, mark))
            if not (every and mark.state == "blank"):
                lines += said(exercise, mark, first=not progress.passed(exercise))
    show.result({"results": [row(*one) for one in found]}, [*lines, *ending(workspace, found)])
    states = {mark.state for _, mark in found}
    if states & {"failed", "error"} or states == {"blank"}:
        raise typer.Exit(1)


def row(exercise: "Exercise", mark: "Mark") -> dict[str, Any]:
    """What --json says of a result."""
    state, message, mistake = mark.state, mark.message, mark.mistake
    return {"exercise": exercise.id, "state": state, "mistake": mistake, "message": message}


def said(exercise: "Exercise", mark: "Mark", *, first: bool) -> list[str]:
    """What a reader is told: the mark, and on passing for the first time what was learned."""
    from diffcli.console.show import wrapped

    words = {"passed": "passed", "failed": "not yet", "error": "stopped", "blank": "to write"}[mark.state]
    if mark.state == "blank" and exercise.kind == "real":
        return [f"to run   {exercise.id}: {mark.message}"]
    lines = [f"{words:<9}{exercise.id}"]
    if mark.state in ("failed", "error"):
        lines += wrapped(mark.message, 9)
    elif mark.state == "passed" and first:
        lines += wrapped(exercise.learned, 9)
        lines += wrapped(f"in diffcli: {', '.join(exercise.used)}", 9) if exercise.used else []
    return lines


def ending(workspace: "Workspace", found: "list[tuple[Exercise, Mark]]") -> list[str]:
    """The next useful command."""
    from diffcli.learn.workspace import next_exercise

    wrong = [exercise for exercise, mark in found if mark.state in ("failed", "error")]
    if wrong:
        return ["", f"next: diffcli learn hint {wrong[0].id}"]
    here = next_exercise(workspace, workspace.progress, found[-1][0].task if found else "")
    if here is None:
        return ["", "everything has passed; next: diffcli learn log"]
    if here.kind == "real":
        return ["", f"next: diffcli learn run {here.task}"]
    return ["", f"next: {here.function} in {workspace.path(here.task).name}, then diffcli learn check {here.id}"]
