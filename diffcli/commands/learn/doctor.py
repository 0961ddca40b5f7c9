"""diffcli learn doctor"""

from pathlib import Path
from typing import Annotated, Optional

import typer

from diffcli.console import options


def doctor(
    folders: Annotated[
        Optional[list[Path]], typer.Argument(metavar="[FOLDER]...", help="Tasks of your own.  [those of the package]")
    ] = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Examine every grader. Solutions pass, mistakes are named, and nothing passes by accident."""
    from diffcli.console.show import Show
    from diffcli.learn.catalogue import all_tasks, exercises_of, tasks_of
    from diffcli.learn.doctor import examined

    show = Show(as_json=as_json, quiet=quiet)
    tasks = {one.name: one for folder in folders for one in tasks_of(folder)} if folders else all_tasks()
    every, found = list(exercises_of(tasks)), []
    with show.progress("examining", len(every), "exercises") as bar:
        for done, exercise in enumerate(every, 1):
            found.append(examined(exercise))
            bar.update(done, exercise.id)
    failures = [failure for one in found for failure in one.failures]
    unnamed = [f"{one.exercise}: {name}" for one in found for name in one.unnamed]
    wrong = sum(one.wrong for one in found)
    document = {
        "exercises": len(found), "wrong_answers": wrong, "unnamed": unnamed,
        "failures": [failure._asdict() for failure in failures],
    }  # fmt: skip
    lines = [f"not named   {text}" for text in unnamed]
    lines += [f"FAIL        {failure.exercise}: {failure.answer}: {failure.said}" for failure in failures]
    mark = f"{len(found)} exercises, {wrong} wrong answers, {len(unnamed)} not named, {len(failures)} failures"
    show.result(document, [*lines, mark])
    if unnamed or failures:
        raise typer.Exit(1)
