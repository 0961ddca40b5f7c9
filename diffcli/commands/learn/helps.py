"""diffcli learn hint, solution, reset and skip"""

from typing import Annotated

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem

Exercise = Annotated[str, typer.Argument(metavar="EXERCISE", help="TASK.EXERCISE, or its own name.")]


def hint(
    exercise: Annotated[str, typer.Argument(metavar="[EXERCISE]", help="TASK.EXERCISE.  [the next one]")] = "",
    as_json: options.Json = False,
) -> None:
    """A hint; each further call gives one that says more, up to three."""
    from diffcli.console.show import Show, wrapped
    from diffcli.learn.session import hinted
    from diffcli.learn.workspace import opened

    workspace = opened()
    one, number = hinted(workspace, exercise)
    hints = list(one.hints[number - 1 : number] if number else one.hints)
    more = f"next: diffcli learn hint {one.id} says more"
    if number == 0:
        more = "it has passed" if one.kind == "real" else f"it has passed; next: diffcli learn solution {one.id}"
    elif number == len(one.hints):
        more = "no more hints" if one.kind == "real" else f"next: diffcli learn solution {one.id} --give-up"
    numbered = hints if number else [f"{i}. {text}" for i, text in enumerate(hints, 1)]
    head = f"{one.id}, hint {number} of {len(one.hints)}" if number else one.id
    document = {"exercise": one.id, "number": number, "hint": "\n".join(hints)}
    Show(as_json=as_json).result(document, [head, *(line for text in numbered for line in wrapped(text)), "", more])


def solution(
    exercise: Exercise,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Show it although the exercise has not passed; the log says so.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """The worked solution, once yours has passed."""
    from diffcli.console.show import Show, wrapped
    from diffcli.learn.session import given_up, single
    from diffcli.learn.starter import solution as text_of
    from diffcli.learn.workspace import opened

    workspace = opened()
    one = single(workspace, exercise)
    if one.kind == "real":
        raise UsageProblem(f"{one.id} has nothing to write", f"diffcli learn run {one.task}")
    if not workspace.progress.passed(one):
        if not give_up:
            raise UsageProblem(
                f"{one.id} has not passed yet", f"diffcli learn hint {one.id}; or --give-up, which the log records"
            )
        given_up(workspace, one)
    text = text_of(one)
    Show(as_json=as_json).result({"exercise": one.id, "solution": text}, [text, "", *wrapped(one.learned)])


def reset(exercise: Exercise, as_json: options.Json = False) -> None:
    """Begin an exercise anew; what was written is kept beside it."""
    from diffcli.console.show import Show
    from diffcli.learn.session import single, step
    from diffcli.learn.workspace import opened
    from diffcli.learn.workspace import reset as begin_anew

    workspace = opened()
    one = single(workspace, exercise)
    if one.kind == "real":
        raise UsageProblem(f"{one.id} has nothing to write", f"diffcli learn run {one.task}")
    step(workspace, one.task)
    copy = begin_anew(workspace, one).relative_to(workspace.folder)
    step(workspace, one.task)
    lines = [f"{workspace.path(one.task).name}: {one.function} is as it was; the file as you had it: {copy}"]
    Show(as_json=as_json).result({"exercise": one.id, "backup": str(copy)}, lines)


def skip(
    name: Annotated[str, typer.Argument(metavar="TASK[.EXERCISE]", help="An exercise, or a whole task.")],
    as_json: options.Json = False,
) -> None:
    """Go on without it; checking it later counts as ever. Again: take it back."""
    from diffcli.console.show import Show
    from diffcli.learn.catalogue import chosen
    from diffcli.learn.session import skipped
    from diffcli.learn.workspace import next_exercise, opened

    workspace = opened()
    done = skipped(workspace, chosen(workspace.tasks, name))
    here = next_exercise(workspace, workspace.progress)
    says = f"{name} is {'skipped, but for what has passed' if done else 'no longer skipped'}"
    lines = [says, f"next: {here.id if here else 'diffcli learn log'}"]
    Show(as_json=as_json).result({"name": name, "skipped": done}, lines)
