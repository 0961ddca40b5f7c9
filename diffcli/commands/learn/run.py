"""diffcli learn run"""

from pathlib import Path
from typing import Annotated, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem


def run(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Whose functions are put to work.")],
    out: Annotated[Optional[Path], typer.Option("--out", help="Folder to write to.  [a fresh one in outputs/]")] = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Your functions in the real pipeline, beside the package's own. Takes a minute or so."""
    from diffcli.console.show import Show
    from diffcli.learn.running import judged, lacking, performed, real_exercise
    from diffcli.learn.session import noted_real, task_named
    from diffcli.learn.workspace import opened
    from diffcli.system.files import fresh_folder, numbered

    show = Show(as_json=as_json, quiet=quiet)
    workspace = opened()
    named = task_named(task)
    exercise = real_exercise(named)
    if left := lacking(workspace, named):
        names = ", ".join(one.id for one in left)
        raise UsageProblem(f"{named.name} needs what has not passed yet: {names}", f"diffcli learn check {left[0].id}")
    root = workspace.folder / "outputs"
    with fresh_folder(out.absolute() if out else numbered(root, named.name)) as folder:
        pass  # what a run that was stopped has saved in it stays
    for line in performed(workspace, named, folder):
        show.note(line)
    found = judged(named, folder)
    noted_real(workspace, exercise, found)
    pictures = [str(folder / name) for name in found.pictures]
    document = {
        "exercise": exercise.id, "passed": found.passed, "lines": list(found.lines), "folder": str(folder),
        "pictures": pictures,
    }  # fmt: skip
    words = exercise.learned if found.passed else "yours and the package's own do not agree: compare the numbers above"
    show.result(document, [*found.lines, *pictures, "", words, "next: diffcli learn"])
    if not found.passed:
        raise typer.Exit(1)
