"""diffcli vae evaluate"""

from typing import Annotated

import typer

from diffcli.commands.together import given, refuse_idle
from diffcli.console import options

ENCODED = 2000  # test images of a run of --latent, unless told


OF_A_VAE = ("samples", "ais_images", "ais_chains", "ais_temperatures", "seed")


def evaluate(
    context: typer.Context,
    run: options.Run = None,
    count: Annotated[int, typer.Option("--count", help="Test images for IWAE, or to encode.", min=2, max=10_000)] = 200,
    samples: Annotated[int, typer.Option("--samples", help="k of IWAE-k.", min=1, max=5000)] = 500,
    ais_images: Annotated[int, typer.Option(help="Images of each kind for annealing.", min=2, max=50)] = 8,
    ais_chains: Annotated[int, typer.Option(help="Chains per image.", min=1, max=200)] = 8,
    ais_temperatures: Annotated[int, typer.Option(help="Rungs of the ladder.", min=1, max=10_000)] = 150,
    seed: options.Seed = 0,
    data: options.Data = None,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """The bound and its parts, log p(x), and the latent space. IWAE-k, and annealing with bounds from both sides.

    Of a run of --latent: PSNR, SSIM and Fréchet distance of reconstructions, beside the best linear code.
    """
    from diffcli.commands.opening import family_meant, opened
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.autoencoders import vae_likelihood_report
    from diffcli.lessons.autoencoders.vae_likelihood import vae_likelihood, vae_likelihood_study

    show = Show(as_json=as_json, quiet=quiet)
    if family_meant(run, ("vae", "codec")) == "codec":
        from diffcli.lessons.autoencoders.codec_study import study_codec

        refuse_idle(context, OF_A_VAE, "with a run of --latent, which has no bound to estimate")
        trained = opened(run, "codec", show)
        with lesson("vae-evaluate", out, show) as made:
            study_codec(trained, count if "count" in given(context) else ENCODED, data, show, made)
        return
    study = vae_likelihood_study(
        opened(run, "vae", show), weighted=count, samples=samples, annealed=ais_images, chains=ais_chains,
        temperatures=ais_temperatures, seed=seed, data=data,
    )  # fmt: skip
    show.note(f"time: about {study.estimate()}")
    with lesson("vae-evaluate", out, show) as made:
        vae_likelihood_report.fill(made, study, vae_likelihood(study, show))
