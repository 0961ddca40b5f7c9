"""diffcli draw"""

from typing import Annotated, Optional

import typer

from diffcli.console import options


def draw(
    law: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="normal, exponential, beta, mixture, normal2 or banana, with parameters as in normal,mean=1,std=2; "
            "or table:FILE, a weight or value,weight per line.",
        ),
    ] = "normal",
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="inverse, box-muller, rejection, importance, metropolis, independence, hmc, gibbs; "
            "or all that work, compared.",
        ),
    ] = "all",
    count: Annotated[int, typer.Option("--count", help="Draws.", min=10, max=1_000_000)] = 20_000,
    chains: Annotated[Optional[int], typer.Option("--chains", help="Markov chains that share the draws.  [20]")] = None,
    burn_in: Annotated[
        Optional[int], typer.Option("--burn-in", help="Moves of each chain that do not count.  [200]")
    ] = None,
    scale: Annotated[
        Optional[float], typer.Option("--scale", help="metropolis: of a step; places of a table.  [the law's]")
    ] = None,
    step: Annotated[Optional[float], typer.Option("--step", help="hmc: of the leapfrog.  [the law's]")] = None,
    leaps: Annotated[Optional[int], typer.Option("--leaps", help="hmc: leaps per move.  [the law's]")] = None,
    out: options.Out = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw from a known law by one method or by all. Says what the draws are worth.

    An evaluation is one of the density, of its gradient, of a distribution function or of a closed map.
    """
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.drawing.samples import drawing_setting
    from diffcli.lessons.drawing.study import study_draws

    show = Show(as_json=as_json, quiet=quiet)
    wished = {"chains": chains, "burn_in": burn_in, "scale": scale, "step": step, "leaps": leaps}
    setting = drawing_setting(law, method, count, wished, seed)
    with lesson("draw", out, show) as made:
        study_draws(setting, made, show)
