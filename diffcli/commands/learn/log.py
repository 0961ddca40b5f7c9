"""diffcli learn log"""

from pathlib import Path
from typing import Annotated, Optional

import typer

from diffcli.console import options


def log(
    week: Annotated[
        Optional[int],
        typer.Option("--week", help="Counted from the day on which the workspace was made.  [this one]", min=1),
    ] = None,
    out: Annotated[Optional[Path], typer.Option("--out", help="FILE.md.  [log/week-N.md in the workspace]")] = None,
    as_json: options.Json = False,
) -> None:
    """A page on a week: what passed, what failed, runs and pictures. What you write below it is kept."""
    from diffcli.console.show import Show, markdown
    from diffcli.learn.journal import page
    from diffcli.learn.progress import now, week_of
    from diffcli.learn.workspace import content, opened
    from diffcli.system.files import write_atomically

    workspace = opened()
    number = week or week_of(workspace.progress, now())
    path = out or workspace.folder / "log" / f"week-{number:02d}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = page(workspace, number, path.parent.absolute(), content(path) if path.exists() else "")
    write_atomically(path, text.encode())
    Show(as_json=as_json).result(
        {"week": number, "page": str(path), "text": text}, [*markdown(text), "", f"page: {path}"]
    )
