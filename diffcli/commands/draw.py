"""diffcli draw"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem, one_of

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.core.processes.laws.line import Law
    from diffcli.core.processes.montecarlo.methods import Batch, Method
    from diffcli.lessons.drawing.pictures import Drawn

ALL = "all"
MOST_PROPOSALS = 50_000_000  # of rejection: a minute
CHAINS = 20
RANGES = {
    "chains": (1, 10_000), "burn_in": (0, 1_000_000), "scale": (1e-9, 1e9), "step": (1e-9, 1e9), "leaps": (1, 1000),
}  # fmt: skip


def draw(
    target: Annotated[
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
    ] = ALL,
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
    debug: options.Debug = False,
) -> None:
    """Draw from a known law, by one method or by all of them, and say what the draws are worth.

    An evaluation is one of the density, of its gradient, of a distribution function or of a closed map.
    """
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.core.randomness import keyed
    from diffcli.lessons.drawing import named, report
    from diffcli.lessons.drawing.pictures import comparison_figure, method_figure

    show = Show(as_json=as_json, quiet=quiet)
    wished = {"chains": chains, "burn_in": burn_in, "scale": scale, "step": step, "leaps": leaps}
    given: dict[str, Any] = {name: value for name, value in wished.items() if value is not None}
    _check_ranges(given)
    _check_known(method)
    law = named.named_law(target)
    chosen, left_out = _chosen(method, law, target, count)
    _check_takers(given, chosen, method)
    given.setdefault("chains", min(CHAINS, max(1, count // 100)))
    if given["chains"] * 10 > count:
        raise UsageProblem(f"--chains {given['chains']} leaves fewer than 10 draws each", "more --count")
    with lesson("draw", out, show) as made:
        drawn = list(_drawn(chosen, law, count, seed, given, show))
        if method == ALL:
            comparison_figure(made.figure("draw.png"), law, target, drawn)
        else:
            method_figure(made.figure("draw.png"), law, target, drawn[0], keyed(seed, "draw figure"))
        made.document = report.document(target, law, drawn, left_out, seed, method)
        made.lines = report.lines(law, drawn, left_out)
        made.seen = report.compared(drawn) if method == ALL else report.seen(drawn[0], law)
        made.leads = report.LEADS[method]
        made.next = report.following(target, method)


def _check_known(method: str) -> None:
    from diffcli.core.processes.montecarlo.methods import METHODS

    one_of(method, [*METHODS, ALL], "method")


def _check_ranges(given: dict[str, Any]) -> None:
    from diffcli.sampling.prepare import flag

    for option, value in given.items():
        least, most = RANGES[option]
        if not least <= value <= most:
            raise UsageProblem(f"{flag(option)} must be from {least:g} to {most:.10g}, not {value:g}")


def _check_takers(given: dict[str, Any], chosen: dict[str, "Method"], method: str) -> None:
    """Refuse an option that no chosen method takes."""
    from diffcli.core.processes.montecarlo.methods import METHODS
    from diffcli.sampling.prepare import flag

    for option in given:
        if not any(option in m.options for m in chosen.values()):
            takers = [name for name, m in METHODS.items() if option in m.options]
            raise UsageProblem(
                f"{flag(option)} does not belong to the method {method}", f"it belongs to {', '.join(takers)}"
            )


def _chosen(method: str, law: "Law", target: str, count: int) -> tuple[dict[str, "Method"], dict[str, str]]:
    """The methods to draw by, and why the others are left out; refuses a method that cannot work."""
    from diffcli.core.processes.montecarlo.methods import METHODS

    refusals = {name: m.refusal(law) or _too_slow(name, law, count) for name, m in METHODS.items()}
    works = {name: m for name, m in METHODS.items() if not refusals[name]}
    if method == ALL:
        return works, {name: reason for name, reason in refusals.items() if reason}
    if refusals[method]:
        raise UsageProblem(f"{method} cannot draw from {target}: {refusals[method]}", f"what can: {', '.join(works)}")
    return {method: works[method]}, {}


def _too_slow(name: str, law: "Law", count: int) -> str:
    import math

    log_tries = law.proposal().log_bound + math.log(count)
    if name != "rejection" or log_tries < math.log(MOST_PROPOSALS):
        return ""
    return f"it would take some 1e{log_tries / math.log(10):.0f} proposals for {count} draws"


def _drawn(
    chosen: dict[str, "Method"], law: "Law", count: int, seed: int, given: dict[str, Any], show: "Show"
) -> Iterator["Drawn"]:
    """The draws of every method, each with random numbers of its own."""
    from diffcli.core.randomness import keyed
    from diffcli.lessons.drawing.measures import joined, worth
    from diffcli.lessons.drawing.pictures import Drawn

    with show.progress("draws", count * len(chosen)) as bar:
        for number, (name, method) in enumerate(chosen.items()):
            batches: list[Batch] = []
            have = 0
            mine = {option: value for option, value in given.items() if option in method.options}
            for batch in method.draw(law, count, keyed(seed, f"draw {name}"), **mine):
                batches.append(batch)
                have += batch.x.shape[0] * batch.x.shape[1]
                bar.update(min(number * count + have, count * len(chosen)), method.title)
            sample = joined(batches)
            yield Drawn(name, law, method, sample, worth(sample, law, chained=method.chained))
