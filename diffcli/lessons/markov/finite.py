"""Chains of finitely many states: everything exactly, and a simulation beside it."""

import math
from typing import TYPE_CHECKING, Any

from diffcli.errors import one_of

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.commands.markov import Simulation
    from diffcli.console.results import Lesson
    from diffcli.core.processes.chains.finite import Finite
    from diffcli.lessons.markov.measures import Portrait

ROWS = 12  # of the table
PATHS = 3  # drawn
SHORT = 16  # times the mixing time: a simulation of fewer steps, of which half are left out, is not where it should be


def study(chain: "Finite", wanted: "Simulation", made: "Lesson") -> None:
    """Fill the lesson."""
    from diffcli.lessons.markov.measures import portrait

    if wanted.start is not None:
        one_of(wanted.start, chain.states, "state")
    seen = portrait(chain)
    start = first(seen) if wanted.start is None else chain.states.index(wanted.start)
    visits = simulated(chain, start, wanted)
    share, error, limit = measured(seen, visits, start)
    made.document |= facts(seen) | {
        "start": chain.states[start],
        "simulated": dict(zip(chain.states, share.tolist(), strict=True)),
        "standard_errors": dict(zip(chain.states, error.tolist(), strict=True)),
        "expected": dict(zip(chain.states, limit.tolist(), strict=True)),
    }
    made.document["absorption"] = absorption(seen, start)
    made.lines += table(seen, share, error, limit, start) + lines(seen, start)
    if seen.mixing_time is not None and seen.mixing_time > wanted.steps / SHORT:
        made.lines.append(f"{wanted.steps} steps are few beside it: the simulation still remembers its start")
    draw(seen, visits, share, error, limit, start, made)
    say(seen, share, error, limit, wanted, made)


def first(seen: "Portrait") -> int:
    """Where to start: the worst state, or for a chain that does not mix the middle one of those that it leaves."""
    if not seen.obstacle:
        return seen.worst_start
    inside = [int(m) for part in seen.classes if not part.closed for m in part.members]
    return inside[len(inside) // 2] if inside else 0


def simulated(chain: "Finite", start: int, wanted: "Simulation") -> "Tensor":
    """States int64 [steps + 1, chains], all from the start."""
    from itertools import islice

    import torch

    from diffcli.core.processes.chains.finite import walks
    from diffcli.core.randomness import keyed

    places = torch.full((wanted.chains,), start)
    return torch.stack([*islice(walks(chain.matrix, places, keyed(wanted.seed, "markov")), wanted.steps + 1)])


def measured(seen: "Portrait", visits: "Tensor", start: int) -> tuple["Tensor", "Tensor", "Tensor"]:
    """The share of time in each state in the second half of the steps, its standard error, and the truth; each [S]."""
    from diffcli.lessons.markov.measures import occupation

    period = seen.period
    kept = max(len(visits) // 2 // period, 1) * period  # whole periods, or one phase would be there once more
    return *occupation(visits[-kept:], len(seen.chain.states)), seen.limit(start)


def facts(seen: "Portrait") -> dict[str, Any]:
    """The numbers of the chain for JSON; null for what does not exist."""
    names = seen.chain.states
    laws = [dict(zip(names, law.tolist(), strict=True)) for law in seen.laws]
    relaxation = 1 / seen.gap if seen.gap else None
    return {
        "states": list(names),
        "stationary": laws[0] if len(laws) == 1 else None,
        "stationary_laws": laws,
        "eigenvector_difference": seen.apart,
        "reversible": seen.reversible,
        "detailed_balance_violation": max(seen.imbalances),
        "irreducible": seen.irreducible,
        "period": seen.period,
        "classes": [
            {"states": [names[m] for m in part.members], "closed": part.closed, "period": part.period or None}
            for part in seen.classes
        ],
        "absorbing": [names[int(part.members[0])] for part in seen.closed if len(part.members) == 1],
        "eigenvalues": [[value.real, value.imag] for value in seen.eigenvalues.tolist()],
        "spectral_gap": seen.gap,
        "relaxation_time": relaxation,
        "mixing_time": seen.mixing_time,
        "mixing_bounds": seen.bounds,
        "does_not_mix_because": seen.obstacle or None,
    }


def absorption(seen: "Portrait", start: int) -> dict[str, Any] | None:
    """Where a chain that starts outside every closed class ends, and after how many steps; None for other starts."""
    from diffcli.core.processes.chains.finite import hitting_probabilities, hitting_times

    insides = [seen.inside(part) for part in seen.closed]
    if any(inside[start] for inside in insides):
        return None
    names, matrix = seen.chain.states, seen.chain.matrix
    ends = {
        " ".join(names[m] for m in part.members[:6]): hitting_probabilities(matrix, inside)[start].item()
        for part, inside in zip(seen.closed, insides, strict=True)
    }
    anywhere = sum(insides[1:], insides[0])
    return {"probabilities": ends, "steps": hitting_times(matrix, anywhere)[start].item()}


def table(seen: "Portrait", share: "Tensor", error: "Tensor", limit: "Tensor", start: int) -> list[str]:
    """A row for each of the first states."""
    import torch

    from diffcli.console import show
    from diffcli.core.processes.chains.finite import hitting_times

    names, matrix, rows = seen.chain.states, seen.chain.matrix, []
    for i, name in enumerate(names[:ROWS]):
        arrival = hitting_times(matrix, torch.arange(len(names)) == i)[start].item()
        back = "" if not any(law[i] > 0 for law in seen.laws) else f"{1 / max(law[i].item() for law in seen.laws):.4g}"
        found = f"{share[i]:.4f} ± {error[i]:.4f}"
        rows.append([name, f"{limit[i]:.5f}", found, back, "∞" if arrival == math.inf else f"{arrival:.4g}"])
    heads = ["state", "long run", "simulated", "returns after", f"reached from {names[start]}"]
    more = [f"... and {len(names) - ROWS} more states"] if len(names) > ROWS else []
    return [*show.table(heads, rows, right=(1, 2, 3, 4)), *more, ""]


def lines(seen: "Portrait", start: int) -> list[str]:
    """What the chain is like."""
    names, said = seen.chain.states, []
    many = len(seen.classes) - len(seen.closed)
    if seen.irreducible:
        said.append(f"irreducible, period {seen.period}")
    else:
        ends = "; ".join(" ".join(names[m] for m in part.members[:6]) for part in seen.closed[:4])
        said.append(f"reducible: {len(seen.closed)} closed classes ({ends}), {many} that are left for ever")
    balance = "reversible" if seen.reversible else "not reversible"
    said.append(f"{balance}: the flows of two states differ by at most {max(seen.imbalances):.2g}")
    if seen.apart is not None:
        said.append(f"algebra and the eigenvector of eigenvalue 1 differ by at most {seen.apart:.2g}")
    ending = absorption(seen, start)
    if ending:
        ends = ", ".join(f"in {name} with probability {p:.4g}" for name, p in [*ending["probabilities"].items()][:4])
        said.append(f"from {names[start]} it ends {ends}, after {ending['steps']:.6g} steps on average")
    if seen.obstacle:
        return [*said, f"it does not mix: {seen.obstacle}"]
    relaxation = 1 / seen.gap if seen.gap else math.inf
    said.append(f"spectral gap {seen.gap:.5g}, relaxation time {relaxation:.5g} steps")
    said.append(f"mixing time {plural(seen.mixing_time, 'step')}, until total variation 1/4 from the worst start")
    if seen.bounds:
        low, high = seen.bounds
        said.append(f"  (t_rel - 1) log 2 = {low:.4g} <= {seen.mixing_time} <= {high:.4g} = t_rel log(4 / smallest π)")
    return said


def draw(
    seen: "Portrait", visits: "Tensor", share: "Tensor", error: "Tensor", limit: "Tensor", start: int, made: "Lesson"
) -> None:
    """The two figures."""
    from diffcli.lessons.markov.measures import distances
    from diffcli.lessons.markov.pictures import law_figure, mixing_figure

    title = "the stationary law" if seen.law is not None else f"the long run from {seen.chain.states[start]}"
    law_figure(made.figure("law.png"), seen.chain, limit, share, error, title)
    steps = horizon(seen)
    law = seen.law if seen.law is not None else seen.limit(start)
    times, curves = distances(seen.chain, law, steps)
    mixing_figure(made.figure("mixing.png"), seen, times, curves, start, visits[:, :PATHS])


def plural(count: int | None, noun: str) -> str:
    """1 step, 2 steps."""
    return f"{count} {noun}{'s' * (count != 1)}"


def horizon(seen: "Portrait") -> int:
    """Steps to follow the total variation for."""
    return 4 * seen.mixing_time + 4 if seen.mixing_time is not None else max(40, 4 * len(seen.chain.states))


def say(
    seen: "Portrait", share: "Tensor", error: "Tensor", limit: "Tensor", wanted: "Simulation", made: "Lesson"
) -> None:
    """The sentences at the end."""
    from diffcli.lessons.markov.measures import first_largest

    off = ((share - limit).abs() / error.clamp(min=1e-9)).max().item()
    names = seen.chain.states
    likeliest = first_largest(limit)
    simulated = f"state {names[likeliest]} holds {limit[likeliest]:.4f} of the time by algebra, {share[likeliest]:.4f}"
    simulated += f" ± {error[likeliest]:.4f} by simulation"
    made.document["largest_z"] = off
    if seen.obstacle:
        made.seen = f"It never forgets its start, since {seen.obstacle}; still, {simulated}."
    else:
        steps = plural(seen.mixing_time, "step")
        made.seen = f"After {steps} it is within 1/4 of its law from every start; {simulated}."
    made.leads = (
        "Diffusion is such a chain, too: it forgets the image, and its stationary law is pure noise."
        if not seen.obstacle
        else "Diffusion needs a chain that forgets the image: one way into noise, whatever the start."
    )
    made.next = f"diffcli markov {'diffusion' if not seen.obstacle else 'ehrenfest,lazy=0.1'}"
