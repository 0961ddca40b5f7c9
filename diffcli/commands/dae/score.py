"""diffcli dae score"""

from typing import Annotated

import typer

from diffcli.console import options


def score(
    sigma: Annotated[float, typer.Option(help="Noise level of the field that is drawn.")] = 0.2,
    steps: Annotated[int, typer.Option(help="Optimiser steps of the denoiser.", min=1, max=100_000)] = 1200,
    count: Annotated[int, typer.Option(help="Points to measure at.", min=10, max=100_000)] = 4000,
    seed: options.Seed = 0,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a denoiser of points, and find the score in it. (r(x) - x) / sigma² beside the exact one."""
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.autoencoders import dae_score_report
    from diffcli.lessons.autoencoders.dae_score import denoising_score_study, find_score

    show, study = Show(as_json=as_json, quiet=quiet), denoising_score_study(sigma, steps, count, seed)
    with lesson("dae-score", out, show) as made:
        dae_score_report.fill(made, study, find_score(study, show))
