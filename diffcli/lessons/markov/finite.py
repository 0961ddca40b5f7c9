"""Chains of finitely many states: everything exactly, and a simulation beside it."""

import math
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.console.show import table
from diffcli.core.processes.chains.finite import Finite, hitting_probabilities, hitting_times, walks
from diffcli.core.randomness import keyed
from diffcli.errors import one_of
from diffcli.lessons.markov.measures import Portrait, distances, first_largest, occupation, portrait
from diffcli.lessons.markov.pictures import law_figure, mixing_figure
from diffcli.lessons.markov.simulation import Simulation
from diffcli.pictures.figures import write_figure

ROWS = 12  # of the table
PATHS = 3  # drawn
SHORT = 16  # times the mixing time: a simulation of fewer steps, of which half are left out, is not where it should be


class LongRun(NamedTuple):
    """The share of time in each state from a start, [S] each: simulated, its standard error, and by algebra."""

    start: int
    share: Tensor
    error: Tensor
    limit: Tensor


def study_finite_chain(chain: Finite, wanted: Simulation, made: Lesson) -> None:
    """Fill the lesson."""
    if wanted.start is not None:
        one_of(wanted.start, chain.states, "state")
    seen = portrait(chain)
    start = first_state(seen) if wanted.start is None else chain.states.index(wanted.start)
    visits = simulated(chain, start, wanted)
    run = long_run(seen, visits, start)
    made.document |= chain_facts(seen) | {
        "start": chain.states[start],
        "simulated": dict(zip(chain.states, run.share.tolist(), strict=True)),
        "standard_errors": dict(zip(chain.states, run.error.tolist(), strict=True)),
        "expected": dict(zip(chain.states, run.limit.tolist(), strict=True)),
    }
    made.document["absorption"] = absorption(seen, start)
    made.document["largest_z"] = ((run.share - run.limit).abs() / run.error.clamp(min=1e-9)).max().item()
    made.lines += state_table(seen, run) + chain_lines(seen, start)
    if seen.mixing_time is not None and seen.mixing_time > wanted.steps / SHORT:
        made.lines.append(f"{wanted.steps} steps are few beside it: the simulation still remembers its start")
    write_figures(seen, run, visits, made)
    say_what_was_seen(seen, run, made)


def first_state(seen: Portrait) -> int:
    """Where to start: the worst state, or for a chain that does not mix the middle one of those that it leaves."""
    if not seen.obstacle:
        return seen.worst_start
    inside = [int(m) for part in seen.classes if not part.closed for m in part.members]
    return inside[len(inside) // 2] if inside else 0


def simulated(chain: Finite, start: int, wanted: Simulation) -> Tensor:
    """States int64 [steps + 1, chains], all from the start."""
    places = torch.full((wanted.chains,), start)
    return torch.stack([*islice(walks(chain.matrix, places, keyed(wanted.seed, "markov")), wanted.steps + 1)])


def long_run(seen: Portrait, visits: Tensor, start: int) -> LongRun:
    """The second half of the steps [steps + 1, chains] beside what algebra says."""
    period = seen.period
    kept = max(len(visits) // 2 // period, 1) * period  # whole periods, or one phase would be there once more
    return LongRun(start, *occupation(visits[-kept:], len(seen.chain.states)), seen.limit(start))


def chain_facts(seen: Portrait) -> dict[str, Any]:
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


def absorption(seen: Portrait, start: int) -> dict[str, Any] | None:
    """Where a chain that starts outside every closed class ends, and after how many steps; None for other starts."""
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


def state_table(seen: Portrait, run: LongRun) -> list[str]:
    """A row for each of the first states."""
    names, matrix, rows = seen.chain.states, seen.chain.matrix, []
    for i, name in enumerate(names[:ROWS]):
        arrival = hitting_times(matrix, torch.arange(len(names)) == i)[run.start].item()
        back = "" if not any(law[i] > 0 for law in seen.laws) else f"{1 / max(law[i].item() for law in seen.laws):.4g}"
        found = f"{run.share[i]:.4f} ± {run.error[i]:.4f}"
        rows.append([name, f"{run.limit[i]:.5f}", found, back, "∞" if arrival == math.inf else f"{arrival:.4g}"])
    heads = ["state", "long run", "simulated", "returns after", f"reached from {names[run.start]}"]
    more = [f"... and {len(names) - ROWS} more states"] if len(names) > ROWS else []
    return [*table(heads, rows, right=(1, 2, 3, 4)), *more, ""]


def chain_lines(seen: Portrait, start: int) -> list[str]:
    """What the chain is like."""
    names, lines = seen.chain.states, []
    many = len(seen.classes) - len(seen.closed)
    if seen.irreducible:
        lines.append(f"irreducible, period {seen.period}")
    else:
        ends = "; ".join(" ".join(names[m] for m in part.members[:6]) for part in seen.closed[:4])
        lines.append(f"reducible: {len(seen.closed)} closed classes ({ends}), {many} that are left for ever")
    balance = "reversible" if seen.reversible else "not reversible"
    lines.append(f"{balance}: the flows of two states differ by at most {max(seen.imbalances):.2g}")
    if seen.apart is not None:
        lines.append(f"algebra and the eigenvector of eigenvalue 1 differ by at most {seen.apart:.2g}")
    ending = absorption(seen, start)
    if ending:
        ends = ", ".join(f"in {name} with probability {p:.4g}" for name, p in [*ending["probabilities"].items()][:4])
        lines.append(f"from {names[start]} it ends {ends}, after {ending['steps']:.6g} steps on average")
    if seen.obstacle:
        return [*lines, f"it does not mix: {seen.obstacle}"]
    return lines + mixing_lines(seen)


def mixing_lines(seen: Portrait) -> list[str]:
    """How fast a chain that mixes forgets its start."""
    relaxation = 1 / seen.gap if seen.gap else math.inf
    lines = [
        f"spectral gap {seen.gap:.5g}, relaxation time {relaxation:.5g} steps",
        f"mixing time {steps(seen.mixing_time)}, until total variation 1/4 from the worst start",
    ]
    if seen.bounds:
        low, high = seen.bounds
        lines.append(f"  (t_rel - 1) log 2 = {low:.4g} <= {seen.mixing_time} <= {high:.4g} = t_rel log(4 / smallest π)")
    return lines


def steps(count: int | None) -> str:
    """1 step, 2 steps."""
    return f"{count} step{'s' * (count != 1)}"


def write_figures(seen: Portrait, run: LongRun, visits: Tensor, made: Lesson) -> None:
    """The long-run law, and the total variation over the time that it takes to vanish."""
    name = seen.chain.states[run.start]
    title = "the stationary law" if seen.law is not None else f"the long run from {name}"
    law = law_figure(seen.chain, run.limit, run.share, run.error, title)
    write_figure(law, made.figure("law.png"))
    horizon = 4 * seen.mixing_time + 4 if seen.mixing_time is not None else max(40, 4 * len(seen.chain.states))
    times, curves = distances(seen.chain, seen.law if seen.law is not None else run.limit, horizon)
    mixing = mixing_figure(seen, times, curves, run.start, visits[:, :PATHS])
    write_figure(mixing, made.figure("mixing.png"))


def say_what_was_seen(seen: Portrait, run: LongRun, made: Lesson) -> None:
    """The sentences at the end."""
    likeliest = first_largest(run.limit)
    name, limit = seen.chain.states[likeliest], run.limit[likeliest]
    simulation = f"{run.share[likeliest]:.4f} ± {run.error[likeliest]:.4f} by simulation"
    found = f"state {name} holds {limit:.4f} of the time by algebra, {simulation}"
    if seen.obstacle:
        made.seen = f"It never forgets its start, since {seen.obstacle}; still, {found}."
        made.leads = "Diffusion needs a chain that forgets the image: one way into noise, whatever the start."
        made.next = "diffcli markov ehrenfest,lazy=0.1"
    else:
        made.seen = f"After {steps(seen.mixing_time)} it is within 1/4 of its law from every start; {found}."
        made.leads = "Diffusion is such a chain, too: it forgets the image, and its stationary law is pure noise."
        made.next = "diffcli markov diffusion"
