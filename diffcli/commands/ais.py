"""diffcli ais"""

from typing import Annotated, Optional

import typer

from diffcli.console import options
from diffcli.lessons.annealing import COUNTS


def ais(
    problem: Annotated[
        str, typer.Argument(metavar="PROBLEM", help="unimodal, bimodal, mixture or rbm; with [,KEY=VALUE...].")
    ] = "bimodal",
    ladder: Annotated[
        Optional[str], typer.Option("--ladder", help="neal, linear, geometric or sigmoid.  [the problem's]")
    ] = None,
    temperatures: Annotated[
        int, typer.Option("--temperatures", help="Steps of the ladder.", min=1, max=COUNTS[-1])
    ] = 1000,
    chains: Annotated[int, typer.Option("--chains", help="Independent runs.", min=2, max=100_000)] = 1000,
    kernel: Annotated[str, typer.Option("--kernel", help="Of the moves: random-walk or hmc.")] = "random-walk",
    moves: Annotated[int, typer.Option("--moves", help="Moves at each temperature.", min=1, max=100)] = 1,
    seed: options.Seed = 0,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Annealed importance sampling of a constant that is known. Its bounds come from both sides.

    Problems and their parameters: unimodal (dimension, mean, std), bimodal (dimension, separation, std, narrow,
    weight), mixture (dimension, modes, radius, std, ratio, log-z), rbm (visible, hidden, scale, seed).
    """
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.annealing.study import study_constant
    from diffcli.lessons.annealing.walks import annealing_setting

    show = Show(as_json=as_json, quiet=quiet)
    setting = annealing_setting(
        problem, ladder=ladder, temperatures=temperatures, chains=chains, kernel=kernel, moves=moves, seed=seed
    )
    with lesson("ais", out, show) as made:
        study_constant(setting, made, show)
