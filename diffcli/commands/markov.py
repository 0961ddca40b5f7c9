"""diffcli markov"""

from typing import Annotated, Optional

import typer

from diffcli.console import options


def markov(
    chain: Annotated[
        str,
        typer.Argument(
            metavar="[CHAIN|FILE]",
            help="two-state, weather, random-walk, cycle, birth-death, ehrenfest, ar1, ou, ising or diffusion, with "
            "parameters after commas; or a transition matrix as .csv or .json.",
        ),
    ] = "weather",
    steps: Annotated[int, typer.Option("--steps", help="To simulate; sweeps of ising.", min=4)] = 2000,
    chains: Annotated[int, typer.Option("--chains", help="To simulate at once.", min=1)] = 500,
    start: Annotated[
        Optional[str],
        typer.Option("--start", help="A state, a number (ar1, ou, diffusion), up or down (ising).  [the slowest]"),
    ] = None,
    out: options.Out = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """A Markov chain: its stationary law, and how fast it mixes.

    Examples: two-state,a=0.1,b=0.3   random-walk,n=10,up=0.4,ends=absorbing
    cycle,n=12,forward=0.8,lazy=0   birth-death,n=10,up=0.3,down=0.4
    ehrenfest,n=10,lazy=0.1   ar1,rho=0.9,noise=1   ou,rate=1,dt=0.1,volatility=1
    ising,side=3,beta=0.4,field=0   diffusion,steps=100,schedule=cosine (schedule last)
    """
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.markov.named import named_chain
    from diffcli.lessons.markov.simulation import Simulation, check_size
    from diffcli.lessons.markov.study import study_chain

    check_size(steps, chains)
    show, found = Show(as_json=as_json, quiet=quiet), named_chain(chain)
    with lesson("markov", out, show) as made:
        study_chain(found, Simulation(chain, steps, chains, start, seed), made, show)
