"""diffcli runs export"""

from pathlib import Path
from typing import Annotated

import typer

from diffcli.console import options


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run, or one of its checkpoints.")],
    path: Annotated[Path, typer.Argument(metavar="FILE.safetensors", help="A new file.")],
    precision: Annotated[
        str, typer.Option("--precision", help="Of its weights: float16, bfloat16 or float32.")
    ] = "float16",
    impl: options.Impl = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a run as one small file. Its averaged weights, and how they were made."""
    from diffcli import plugins
    from diffcli.console.show import Show
    from diffcli.runs.export import export as written
    from diffcli.system.shell import argument
    from diffcli.system.text import size

    show = Show(as_json=as_json, quiet=quiet)
    plugins.load(impl or ())
    found = written(run, path, precision)
    count = path.stat().st_size
    document = {
        "file": str(path),
        "checkpoint": str(found.source),
        "precision": precision,
        "numbers": found.numbers,
        "bytes": count,
    }
    told = f"{path}: the averaged weights of {found.source}, {found.numbers} in {precision}, {size(count)}"
    follows = found.recipe.next_command(argument(path), classes=bool(found.classes))
    show.result(document, [told, f"next: {follows}"])
