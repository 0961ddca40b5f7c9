"""diffcli markov"""

from typing import TYPE_CHECKING, Annotated, NamedTuple, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem
from diffcli.lessons.markov.size import check_size

if TYPE_CHECKING:
    from diffcli.core.processes.chains.named import Chain
    from diffcli.lessons.markov.forward import Forward

FORWARD = "diffusion"


class Simulation(NamedTuple):
    """What to simulate, as it was asked for."""

    name: str
    steps: int
    chains: int
    start: str | None
    seed: int


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
    debug: options.Debug = False,
) -> None:
    """Look through a Markov chain: its stationary law, and how fast it forgets its start.

    Examples: two-state,a=0.1,b=0.3   random-walk,n=10,up=0.4,ends=absorbing
    cycle,n=12,forward=0.8,lazy=0   birth-death,n=10,up=0.3,down=0.4
    ehrenfest,n=10,lazy=0.1   ar1,rho=0.9,noise=1   ou,rate=1,dt=0.1,volatility=1
    ising,side=3,beta=0.4,field=0   diffusion,steps=100,schedule=cosine (schedule last)
    """
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.core.processes.chains.autoregression import Autoregression
    from diffcli.core.processes.chains.finite import Finite
    from diffcli.core.processes.chains.ising import Ising
    from diffcli.lessons.markov import finite, forward, gaussian, ising

    check_size(steps, chains)
    show, found = Show(as_json=as_json, quiet=quiet), named_chain(chain)
    wanted = Simulation(chain, steps, chains, start, seed)
    with lesson("markov", out, show) as made:
        made.document |= {"chain": chain, "steps": steps, "chains": chains, "seed": seed}
        if isinstance(found, Finite):
            finite.study(found, wanted, made)
        elif isinstance(found, Ising):
            ising.study(found, wanted, made, show)
        elif isinstance(found, Autoregression):
            gaussian.study(found, wanted, made)
        else:
            forward.study(found, wanted, made)


def named_chain(target: str) -> "Chain | Forward":
    """The chain that the target names: a file, or a name with parameters."""
    from pathlib import Path

    from diffcli import specs
    from diffcli.core.processes.chains.named import CHAINS
    from diffcli.lessons.markov import matrices
    from diffcli.lessons.markov.forward import Forward, forward

    if Path(target).suffix.lower() in matrices.SUFFIXES:
        return matrices.read_chain(Path(target))
    target, comma, schedule = target.partition(",schedule=")
    if comma and target.split(",")[0].strip() != FORWARD:
        raise UsageProblem("only diffusion has a schedule", "as in diffusion,schedule=cosine")

    def diffusion(steps: int = 0) -> Forward:
        return forward(specs.schedule(schedule or "linear"), steps)

    return specs.make(CHAINS | {FORWARD: diffusion}, target, "chain")
