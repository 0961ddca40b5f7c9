"""diffcli score"""

from typing import Annotated

import typer

from diffcli.commands.together import refuse_idle
from diffcli.console import options

OF_SLICED = ("projections", "directions", "reduced")


def score(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            metavar="[DATA]", help="mixture, moons, swiss-roll, checkerboard, or mixture,means=-1:0/1:0,stds=0.3."
        ),
    ] = "mixture",
    sigma: Annotated[float, typer.Option(help="Noise on the data, whose coordinates have variance 1.")] = 0.3,
    steps: Annotated[int, typer.Option(help="Optimiser steps of each estimator.", min=1, max=100_000)] = 3000,
    method: Annotated[str, typer.Option(help="explicit, denoising, sliced or all.")] = "all",
    projections: Annotated[int, typer.Option(help="Of sliced: directions per point.", min=1, max=100)] = 1,
    directions: Annotated[str, typer.Option(help="Of sliced: their law, rademacher or gaussian.")] = "rademacher",
    reduced: Annotated[bool, typer.Option("--reduced", help="Sliced with |s|² for (v·s)²: less variance.")] = False,
    count: Annotated[int, typer.Option("--count", help="Training points.", min=10, max=50_000)] = 10_000,
    seed: options.Seed = 0,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Learn one score in three ways, each beside the true one. By explicit, denoising and sliced matching."""
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.scores.estimators import estimator_setting
    from diffcli.lessons.scores.study import study_scores

    if method in ("explicit", "denoising"):
        refuse_idle(context, OF_SLICED, f"with --method {method}", "leave it out, or use --method sliced or all")
    show = Show(as_json=as_json, quiet=quiet)
    setting = estimator_setting(
        data, method, sigma=sigma, steps=steps, projections=projections, directions=directions, reduced=reduced,
        count=count, seed=seed,
    )  # fmt: skip
    with lesson("score", out, show) as made:
        study_scores(setting, made, show)
