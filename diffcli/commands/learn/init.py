"""diffcli learn init"""

from pathlib import Path
from typing import Annotated, Optional

import typer

from diffcli.console import options


def init(
    folder: Annotated[Path, typer.Argument(help="Where the workspace is made.")] = Path("learn"),
    tasks: Annotated[
        Optional[list[Path]], typer.Option("--tasks", help="A folder with more tasks; may be given again.")
    ] = None,
    notebooks: Annotated[
        bool, typer.Option("--notebooks", help="The same as Jupyter notebooks, kept in step.")
    ] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a workspace: a file for each task. In one that is there, what it lacks."""
    from diffcli.console.show import Show
    from diffcli.learn.catalogue import exercises_of
    from diffcli.learn.session import step
    from diffcli.learn.workspace import begun
    from diffcli.system.shell import argument

    show = Show(as_json=as_json, quiet=quiet)
    workspace, written = begun(folder, tasks or [], notebooks=notebooks)
    count = sum(1 for _ in exercises_of(workspace.tasks))
    written += [name for task in workspace.tasks if (name := step(workspace, task))]
    lines = [f"{folder}: {len(workspace.tasks)} tasks, {count} exercises"]
    lines += [f"wrote: {', '.join(written)}" if written else "nothing was missing"]
    document = {"folder": str(workspace.folder), "written": written, "tasks": len(workspace.tasks), "exercises": count}
    show.result(document, [*lines, f"next: cd {argument(str(folder))} && diffcli learn"])
