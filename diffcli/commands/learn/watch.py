"""diffcli learn watch"""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from diffcli.commands.learn.check import said

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.learn.checking import Checker
    from diffcli.learn.workspace import Workspace

KEYS = "h hint, n next, l list, q quit"


def watch() -> None:
    """Check what you save, as soon as you save it. h: a hint, n: what is next, l: the map, q: the end."""
    from diffcli.console.show import Show
    from diffcli.learn.checking import Checker
    from diffcli.learn.watching import events, keys_at_once
    from diffcli.learn.workspace import opened

    show = Show()
    workspace = opened()
    files = {workspace.path(name): name for name in workspace.tasks}
    files |= {path.with_suffix(".ipynb"): name for path, name in files.items()}
    checked: dict[str, str] = {}
    with closing(Checker()) as checker, keys_at_once():
        happened = events(list(files))
        show.note(f"watching {workspace.folder}: save a file to check it; {KEYS}")
        for what, word in happened:
            if what == "saved" and isinstance(word, Path):
                _check(show, workspace, checker, files[word], checked)
            elif word == "q":
                return
            else:
                _pressed(show, workspace, str(word))


def _check(show: "Show", workspace: "Workspace", checker: "Checker", task: str, checked: dict[str, str]) -> None:
    """Check what is begun in a file, if it is another text than at the last time."""
    from diffcli.errors import Problem
    from diffcli.learn.session import check_file, step
    from diffcli.learn.workspace import content

    before = workspace.progress
    try:
        step(workspace, task)
        text = content(workspace.path(task))
        if checked.get(task) == text:
            return
        checked[task] = text
        found = list(check_file(workspace, checker, task, workspace.tasks[task].exercises))
    except Problem as problem:
        show.note(f"{problem.message}; {problem.hint}")
        return
    checker.ready()
    begun = [(one, mark) for one, mark in found if mark.state != "blank"]
    lines = [line for one, mark in begun for line in said(one, mark, first=not before.passed(one))]
    passed = sum(mark.state == "passed" for _, mark in begun)
    show.result({}, [*lines, f"{passed} of {len(found)} passed in {workspace.path(task).name}; {KEYS}", ""])


def _pressed(show: "Show", workspace: "Workspace", key: str) -> None:
    from diffcli.commands.learn.overview import map_of
    from diffcli.errors import UsageProblem
    from diffcli.learn.session import hinted
    from diffcli.learn.workspace import next_exercise

    progress = workspace.progress
    here = next_exercise(workspace, progress)
    if key == "h":
        try:
            one, number = hinted(workspace, "")
        except UsageProblem as problem:
            show.note(problem.message)
            return
        show.note(f"{one.id}, hint {number} of {len(one.hints)}: {one.hints[number - 1]}")
    elif key == "n":
        text = f"{here.id} in {workspace.path(here.task).name}: {here.objective}" if here else "everything has passed"
        show.note(f"next: {text}")
    elif key == "l":
        show.note("\n".join(map_of(workspace.tasks, progress)))
    elif not key.isspace():
        show.note(KEYS)
