"""diffcli vae interpolate"""

from typing import Annotated

import typer

from diffcli.console import options


def interpolate(
    run: options.Run = None,
    first: Annotated[int, typer.Option("--from", help="Number of a test image, from 0.", min=0)] = 0,
    second: Annotated[int, typer.Option("--to", help="Number of another.", min=0)] = 1,
    count: Annotated[int, typer.Option("--count", help="Images on the way, both ends among them.", min=2, max=20)] = 10,
    data: options.Data = None,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """From one test image to another through the latent space. On the straight line and on the great circle."""
    from diffcli.commands.opening import opened
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.autoencoders.vae_interpolation import ends, study_interpolation

    show = Show(as_json=as_json, quiet=quiet)
    trained = opened(run, "vae", show)
    x = ends(trained, first, second, data)
    with lesson("vae-interpolate", out, show) as made:
        study_interpolation(trained, x, (first, second), count, made)
