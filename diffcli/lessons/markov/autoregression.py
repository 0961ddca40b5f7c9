"""Chains of numbers: autoregressions beside their exact laws."""

import math
from itertools import repeat
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.core.processes.chains.autoregression import Autoregression, noisings, total_variation
from diffcli.core.processes.laws.gaussian import kl
from diffcli.core.randomness import keyed
from diffcli.errors import UsageProblem
from diffcli.lessons.markov.measures import first_within
from diffcli.lessons.markov.pictures import bell, walk_figure
from diffcli.lessons.markov.simulation import Simulation, check_size
from diffcli.metrics.statistics import autocorrelation, standard_error
from diffcli.pictures.figures import write_figure

MOST_TIME = 10_000_000  # steps of a curve
SHOWN = 400  # steps in a picture, and points of a curve
PATHS = 8
FAR = 3.0  # standard deviations from the middle: where an autoregression starts, unless told


def study_autoregression(chain: Autoregression, wanted: Simulation, made: Lesson) -> None:
    """Fill the lesson."""
    check_size(wanted.steps, wanted.chains, least=2)
    start = start_on_the_line(wanted.start, FAR * chain.std)
    mixed = first_within(lambda step: distances_from_the_law(chain, start, step)[0], 0.25)
    ways = simulated(chain, start, wanted)
    made.document |= {
        "stationary": {"mean": 0.0, "std": chain.std},
        "reversible": True,
        "irreducible": True,
        "period": 1,
        "eigenvalues": [chain.rho**k for k in range(6)],
        "spectral_gap": chain.gap,
        "relaxation_time": 1 / chain.gap,
        "mixing_time": mixed,
        "start": start,
    } | measured(chain, start, ways)
    made.lines += autoregression_lines(chain, made.document)
    figure = autoregression_figure(chain, wanted, start, mixed, ways)
    write_figure(figure, made.figure("mixing.png"))
    end = made.document["end"]
    made.seen = (
        f"From {start:.4g} the chain is within 1/4 of N(0, {chain.std:.4g}²) after {mixed} steps; "
        f"at the end the simulated mean is {end['mean']:.3f} ± {end['standard_error']:.3f}."
    )
    made.leads = "The forward process of diffusion is this chain with a ratio of its own in each step."
    made.next = "diffcli markov diffusion"


def start_on_the_line(text: str | None, default: float) -> float:
    """The start that was asked for, or the default; raises UsageProblem."""
    if text is None:
        return default
    try:
        if abs(value := float(text)) <= 1e9:
            return value
    except ValueError:
        pass
    raise UsageProblem(f"--start must be a number of at most 1e9 here, not '{text}'", "as in --start 2.5")


def distances_from_the_law(chain: Autoregression, start: float, step: Tensor) -> tuple[Tensor, Tensor]:
    """Total variation and KL in nats from the stationary law after some steps; each like step."""
    law, std = chain.law(start, step), torch.tensor(chain.std, dtype=torch.float64)
    return total_variation(*law, 0.0, std), kl(*law, 0.0, std)


def simulated(chain: Autoregression, start: float, wanted: Simulation) -> Tensor:
    """Numbers float64 [steps + 1, chains], all from the start."""
    x = torch.full((wanted.chains,), start, dtype=torch.float64)
    return torch.stack([*noisings(x, repeat(chain.step, wanted.steps), keyed(wanted.seed, "markov"))])


def measured(chain: Autoregression, start: float, ways: Tensor) -> dict[str, Any]:
    """What simulated chains have, and should: moments at the end, correlation of neighbours in the second half."""
    end, (mean, std) = ways[-1], chain.law(start, torch.tensor(float(len(ways) - 1)).double())
    error = standard_error(end)
    return {
        "end": {"mean": end.mean().item(), "standard_error": error, "expected": mean.item()},
        "end_std": {"std": end.std().item(), "standard_error": error / math.sqrt(2), "expected": std.item()},
        "autocorrelation": {"measured": autocorrelation(ways[len(ways) // 2 :])[1].item(), "expected": chain.rho},
    }


def autoregression_lines(chain: Autoregression, document: dict[str, Any]) -> list[str]:
    """What the chain is like."""
    end, spread, rho = document["end"], document["end_std"], document["autocorrelation"]
    return [
        f"x' = {chain.rho:.6g} x + {chain.noise:.6g} ε",
        f"stationary law N(0, {chain.std:.5g}²), reversible, eigenvalues {chain.rho:.4g}^k for k = 0, 1, 2, ...",
        f"spectral gap {chain.gap:.5g}, relaxation time {1 / chain.gap:.5g} steps",
        f"mixing time {document['mixing_time']} steps, until total variation 1/4 from {document['start']:.4g} "
        "(the line has no worst start)",
        f"after {document['steps']} steps: mean {end['mean']:.4f} ± {end['standard_error']:.4f}, "
        f"exactly {end['expected'] + 0.0:.4f}",
        f"  standard deviation {spread['std']:.4f} ± {spread['standard_error']:.4f}, exactly {spread['expected']:.4f}",
        f"  correlation of neighbours {rho['measured']:.4f}, exactly {rho['expected']:.4f}",
    ]


def autoregression_figure(
    chain: Autoregression, wanted: Simulation, start: float, mixed: int | None, ways: Tensor
) -> Figure:
    """Some of the simulated chains, and the distances from the stationary law over time."""
    horizon = min(max(4 * (mixed or 1), 20), MOST_TIME)
    times = torch.linspace(0, horizon, min(horizon, SHOWN) + 1, dtype=torch.float64).round()
    variation, nats = distances_from_the_law(chain, start, times)
    shown = min(len(ways), SHOWN, max(40, horizon))
    return walk_figure(
        f"{wanted.name}: every step keeps {chain.rho:.4g} of x and adds noise",
        ways[:shown, :PATHS],
        chain.law(start, torch.arange(shown).double()),
        bell(chain.std, ways[-1], "stationary"),
        times,
        {"total variation": variation, "KL": nats},
        {f"from {start:.3g}": mixed},
    )
