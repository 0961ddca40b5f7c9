"""diffcli vae sample"""

from typing import Annotated

import typer

from diffcli.console import options


def sample(
    run: options.Run = None,
    count: Annotated[int, typer.Option("--count", help="Number of images.", min=1, max=10_000)] = 40,
    traverse: Annotated[
        int, typer.Option("--traverse", help="Units to walk along, the most active first.", min=0, max=20)
    ] = 8,
    seed: options.Seed = 0,
    data: options.Data = None,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Images from the prior, and what each latent unit changes. As means and as drawn pixels."""
    from diffcli.commands.opening import opened
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.autoencoders.vae_samples import study_samples

    show = Show(as_json=as_json, quiet=quiet)
    trained = opened(run, "vae", show)
    with lesson("vae-sample", out, show) as made:
        study_samples(trained, count, traverse, seed, data, made)
