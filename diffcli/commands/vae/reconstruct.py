"""diffcli vae reconstruct"""

from pathlib import Path
from typing import Annotated, Optional

import typer

from diffcli.commands.together import refuse_idle
from diffcli.console import options


def reconstruct(
    context: typer.Context,
    run: options.Run = None,
    image: Annotated[
        Optional[list[Path]], typer.Option("--image", metavar="FILE", help="An image file; repeatable.  [test images]")
    ] = None,
    count: Annotated[int, typer.Option("--count", help="Test images, without --image.", min=1, max=20)] = 10,
    seed: options.Seed = 0,
    data: options.Data = None,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Images above their reconstructions, each with its bound.

    Of a run of --latent each with its PSNR.
    """
    from diffcli.commands.opening import family_meant, opened
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.autoencoders.codec_study import study_codec_reconstructions
    from diffcli.lessons.autoencoders.vae_reconstructions import images_to_reconstruct, study_reconstructions

    if image:
        refuse_idle(context, ("count", "data"), "with --image: no test images are looked for")
    show = Show(as_json=as_json, quiet=quiet)
    family = family_meant(run, ("vae", "codec"))
    if family == "codec":
        refuse_idle(context, ("seed",), "with a run of --latent, of which nothing is drawn")
    trained = opened(run, family, show)
    x = images_to_reconstruct(trained, image, count, seed, data)
    with lesson("vae-reconstruct", out, show) as made:
        if family == "codec":
            study_codec_reconstructions(trained, x, made)
        else:
            study_reconstructions(trained, x, seed, made)
