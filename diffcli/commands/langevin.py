"""diffcli langevin"""

from typing import Annotated, Optional

import typer

from diffcli.commands.together import refuse_idle
from diffcli.console import options

IDLE = {  # by dynamics, which options it does not look at
    "ula": ("noise_step", "levels", "sigma_max", "sigma_min"),
    "mala": ("noise_step", "levels", "sigma_max", "sigma_min"),
    "annealed": ("step",),
}


def langevin(
    context: typer.Context,
    mixture: Annotated[
        str,
        typer.Argument(
            metavar="[TARGET]",
            help="two-modes, bimodal, gaussian, or mixture,means=-1:0/1:0,weights=1/3,stds=0.2.",
        ),
    ] = "two-modes",
    method: Annotated[str, typer.Option(help="ula, mala, annealed or all.")] = "all",
    step: Annotated[
        float,
        typer.Option(help="Size h of a step of ula and mala, in units of the variance of the narrowest mode."),
    ] = 0.1,
    noise_step: Annotated[
        float, typer.Option(help="Size of an annealed step, in units of the variance of its noise.")
    ] = 0.3,
    steps: Annotated[int, typer.Option(help="Steps of each particle.", min=1, max=100_000)] = 1000,
    count: Annotated[int, typer.Option("--count", help="Particles.", min=10, max=100_000)] = 2000,
    levels: Annotated[int, typer.Option(help="Noise levels of annealed.", min=1, max=1000)] = 10,
    sigma_max: Annotated[
        Optional[float], typer.Option(help="Of annealed: noise of the first level.  [twice the reach of the modes]")
    ] = None,
    sigma_min: Annotated[
        Optional[float], typer.Option(help="Of annealed: noise of the last level.  [0.2 of the narrowest mode]")
    ] = None,
    seed: options.Seed = 0,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Walk along the score of a mixture. Plain Langevin gets the weights wrong, annealed Langevin right."""
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.langevin.setting import dynamics_setting
    from diffcli.lessons.langevin.study import study_dynamics

    refuse_idle(context, IDLE.get(method, ()), f"with --method {method}", "leave it out, or use --method all")
    show = Show(as_json=as_json, quiet=quiet)
    setting = dynamics_setting(
        mixture, method, step=step, noise_step=noise_step, steps=steps, count=count, levels=levels,
        sigma_max=sigma_max, sigma_min=sigma_min, seed=seed,
    )  # fmt: skip
    with lesson("langevin", out, show) as made:
        study_dynamics(setting, made, show)
