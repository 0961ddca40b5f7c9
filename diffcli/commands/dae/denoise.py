"""diffcli dae denoise"""

from pathlib import Path
from typing import Annotated, Optional

import typer

from diffcli.commands.together import refuse_idle
from diffcli.console import options
from diffcli.errors import UsageProblem


def denoise(
    context: typer.Context,
    places: Annotated[
        list[str], typer.Argument(metavar="[RUN] IMAGE", help="An image file of any size; a run, default the newest.")
    ],
    amount: Annotated[
        Optional[float],
        typer.Option(help="How corrupted it is: sigma of [-1, 1], or a share.  [sigma: estimated; --corrupt: 0.5]"),
    ] = None,
    corrupt: Annotated[bool, typer.Option("--corrupt", help="Corrupt it first, and say how much came back.")] = False,
    memory: Annotated[
        int, typer.Option(metavar="MB", help="That image and tiles may take, beside the network.", min=1)
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Of what --corrupt does.", min=0)] = 0,
    device: options.Device = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Denoise an image file of any size. A large one is worked on in tiles, within a given memory."""
    from diffcli.commands.opening import opened
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.autoencoders.dae_image_file import image_to_denoise, read_any_size, study_image_file

    if len(places) > 2:
        raise UsageProblem(f"one run and one image, not {len(places)} places", "diffcli dae denoise [RUN] IMAGE")
    if amount is not None and not amount > 0:
        raise UsageProblem(f"--amount must be above 0, not {amount}", "leave it out to have sigma estimated")
    if not corrupt:
        why = "without --corrupt: nothing is drawn at random"
        refuse_idle(context, ("seed",), why, "leave it out, or add --corrupt")
    show, path = Show(as_json=as_json, quiet=quiet), Path(places[-1])
    trained = opened(places[0] if len(places) == 2 else None, "dae", show, device)
    file = read_any_size(path, memory * 10**6, trained.items.spans, corrupt=corrupt)
    given = image_to_denoise(trained, file, amount, corrupt=corrupt, seed=seed, show=show)
    with lesson("dae-denoise", out, show) as made:
        study_image_file(trained, given, memory * 10**6, show, made)
