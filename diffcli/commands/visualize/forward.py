"""diffcli visualize forward"""

from pathlib import Path
from typing import Annotated, Optional

import typer

from diffcli.commands.together import refuse_idle
from diffcli.console import options


def forward(
    context: typer.Context,
    dataset: Annotated[str, typer.Option(help="A name (diffcli data lists them) or a folder of images.")] = "mnist",
    image: Annotated[Optional[Path], typer.Option(metavar="FILE", help="One image, instead of a data set.")] = None,
    schedule: Annotated[str, typer.Option(metavar="NAME[,KEY=VALUE...]", help="Noise schedule, e.g. flow.")] = "cosine",
    count: Annotated[
        Optional[int], typer.Option("--count", help="How many.  [4 images, 2000 points]", min=1, max=20_000)
    ] = None,
    columns: Annotated[
        Optional[int], typer.Option("--columns", help="Levels to show.  [9 of images, 6 of points]", min=2, max=20)
    ] = None,
    impl: options.Impl = None,
    seed: options.Seed = 0,
    data: options.Data = None,
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Images or points on their way to noise, level by level. This is the forward process."""
    from diffcli import plugins
    from diffcli.console.show import Show
    from diffcli.lessons.diffusion.forward import document, forward_process, seen, write_pictures
    from diffcli.system.files import check_free, fresh_place, write_atomically
    from diffcli.system.text import json_text

    if image:
        refuse_idle(context, ("dataset", "count", "data"), "with --image, which is one image of its own")
    plugins.load(impl or ())
    show = Show(as_json=as_json, quiet=quiet)
    process = forward_process(dataset, image, schedule, count, columns, seed, data)
    numbers = document(process)
    with fresh_place(out, "forward", "forward.png", "forward.gif") as (figure, gif, folder):
        metrics = folder / "metrics.json" if folder == figure.parent else figure.with_suffix(".json")
        check_free(metrics)
        write_pictures(process, figure, gif)
        write_atomically(metrics, (json_text(numbers, indent=2) + "\n").encode())
    lines = [
        seen(process),
        "A diffusion model learns the way back: it is shown x at any level and asked what it was without noise.",
        str(figure),
        str(gif),
        str(metrics),
        "next: diffcli train",
    ]
    show.result(numbers | {"figure": str(figure), "animation": str(gif), "metrics": str(metrics)}, lines)
