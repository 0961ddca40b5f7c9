"""The Ising model by Gibbs sampling, beside the enumeration of all its configurations."""

from typing import Any

import torch
from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.console.show import Show, table
from diffcli.core.processes.chains.finite import Finite
from diffcli.core.processes.chains.ising import AS_MATRIX, ENUMERATED, Ising
from diffcli.core.randomness import keyed
from diffcli.errors import one_of
from diffcli.lessons.markov.finite import chain_facts
from diffcli.lessons.markov.measures import Portrait, distances, occupation, piece_mean, portrait
from diffcli.lessons.markov.pictures import CountedValues, ising_figure
from diffcli.lessons.markov.simulation import Simulation, check_size
from diffcli.pictures.figures import write_figure

PICTURES = 6  # of configurations
PATHS = 4
BINS = 50  # at most; more than the values of any square that is enumerated
STARTS = {"up": 1.0, "down": -1.0}
CRITICAL = "0.4407"  # log(1 + √2) / 2, of the infinite square (Onsager 1944)


def study_ising(model: Ising, wanted: Simulation, made: Lesson, show: Show) -> None:
    """Fill the lesson."""
    spins, side = model.side**2, model.side
    check_size(wanted.steps, wanted.chains, spins)
    start = one_of(wanted.start or "up", STARTS, "start")
    sums, bonds, kept = simulated(model, wanted, STARTS[start], show)
    law = model.law() if side <= ENUMERATED else None
    histograms = [
        shares_of_values("magnetisation Σ s", sums, spins),
        shares_of_values("energy of the bonds -Σ s s'", -bonds, 2 * side * (side - 1)),
    ]
    if law is not None:
        whole = model.configurations()
        places = whole.sum((1, 2)), -model.bonds(whole)
        histograms = [known.enumerated(p, law) for known, p in zip(histograms, places, strict=True)]
    seen, curve = None, None
    if side <= AS_MATRIX:
        seen = portrait(Finite(configuration_names(model), model.matrix()))
        curve = distances(seen.chain, seen.laws[0], 3 * (seen.mixing_time or 1000))
    made.document |= ising_facts(model, sums, bonds, law, seen) | {"start": start}
    made.lines += ising_lines(model, made.document)
    figure = ising_figure(
        f"{wanted.name}: {model.side} x {model.side} spins by Gibbs sampling from all {start}",
        kept,
        histograms,
        seen,
        curve,
        sums[:400, :PATHS] / spins,
    )
    write_figure(figure, made.figure("ising.png"))
    say_what_was_seen(made)


def configuration_names(model: Ising) -> tuple[str, ...]:
    """The spins of every configuration, row by row, as ++-/+-+/---."""
    return tuple(
        "/".join("".join("+" if spin > 0 else "-" for spin in row) for row in spins)
        for spins in model.configurations().tolist()
    )


def simulated(model: Ising, wanted: Simulation, start: float, show: Show) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Σ s and Σ s s' after each sweep, float64 [steps + 1, chains] each, and some configurations of the first chain."""
    spins = torch.full((wanted.chains, model.side, model.side), start, dtype=torch.float64)
    sweeps = model.sweeps(spins, keyed(wanted.seed, "markov"))
    wished = {round(2**k) - 1 for k in range(PICTURES - 1)} | {wanted.steps}
    sums, bonds, kept = [], [], {}
    with show.progress("sweeps", wanted.steps, "sweeps") as bar:
        for sweep, now in zip(range(wanted.steps + 1), sweeps, strict=False):
            sums.append(now.sum((1, 2)))
            bonds.append(model.bonds(now))
            if sweep in wished:
                kept[f"sweep {sweep}"] = now[0]
            if sweep % 50 == 0:
                bar.update(sweep)
    return torch.stack(sums), torch.stack(bonds), kept


def shares_of_values(label: str, found: Tensor, most: int) -> CountedValues:
    """Shares of the values -most, -most + 2, ... most in the second half of the sweeps, many of them in bins."""
    wide = -(-(most + 1) // BINS)
    visits = ((found[len(found) // 2 :] + most) / 2).round().long() // wide
    values = torch.arange(-most, most + 1, 2 * wide).double() + wide - 1
    return CountedValues(label, values, *occupation(visits, len(values)))


def ising_facts(model: Ising, sums: Tensor, bonds: Tensor, law: Tensor | None, seen: Portrait | None) -> dict[str, Any]:
    """The numbers for JSON: means per spin, and those of the chain that draws one site at random anew."""
    spins = model.side**2
    means = {"magnetisation": sums, "absolute_magnetisation": sums.abs(), "energy": -bonds - model.field * sums}
    document: dict[str, Any] = {"per_spin": {}}
    for name, values in means.items():
        mean, error = piece_mean(values[len(values) // 2 :] / spins)
        document["per_spin"][name] = {"mean": mean, "standard_error": error, "expected": None}
    if law is not None:
        all_of_them = model.configurations()
        total = all_of_them.sum((1, 2))
        for name, values in zip(means, (total, total.abs(), model.energy(all_of_them)), strict=True):
            document["per_spin"][name]["expected"] = round((law @ values).item() / spins, 14) + 0.0  # no -0.0
    known = {"stationary": None, "reversible": True, "irreducible": True, "period": 1}
    known |= {"spectral_gap": None, "relaxation_time": None, "mixing_time": None, "mixing_bounds": None}
    if seen is not None and law is not None:
        full = chain_facts(seen)
        known = {key: full[key] for key in known}
        document["boltzmann_difference"] = (seen.laws[0] - law).abs().max().item()
    return document | known


def ising_lines(model: Ising, document: dict[str, Any]) -> list[str]:
    """What was measured."""
    rows = []
    for name, row in document["per_spin"].items():
        exact = "" if row["expected"] is None else f"{row['expected']:.5f}"
        rows.append([name.replace("_", " "), f"{row['mean']:.5f} ± {row['standard_error']:.5f}", exact])
    lines = [*table(["per spin", "simulated", "enumerated"], rows, right=(1, 2)), ""]
    lines.append("reversible, irreducible, period 1: every spin may stay or turn at each update")
    if document["mixing_time"] is not None:
        low, high = document["mixing_bounds"]
        lines += [
            f"one site at a time: spectral gap {document['spectral_gap']:.5g}, relaxation time "
            f"{document['relaxation_time']:.5g} updates, mixing time {document['mixing_time']}",
            f"  (t_rel - 1) log 2 = {low:.4g} <= {document['mixing_time']} <= {high:.4g} = t_rel log(4 / smallest π)",
            f"its stationary law is Boltzmann's: the largest difference is {document['boltzmann_difference']:.1g}",
        ]
    lines.append(f"beyond beta = {CRITICAL} an infinite square keeps a magnetisation (Onsager 1944)")
    return lines


def say_what_was_seen(made: Lesson) -> None:
    """The sentences at the end."""
    energy = made.document["per_spin"]["energy"]
    beside = "" if energy["expected"] is None else f", by enumeration {energy['expected']:.4f}"
    made.seen = f"Energy per spin {energy['mean']:.4f} ± {energy['standard_error']:.4f} by sampling{beside}."
    made.leads = (
        "Local random moves reach a law that is known only up to a constant; Langevin dynamics, and so score models, "
        "do the same for pixels."
    )
    larger = "ising,side=16,beta=0.44 --chains 100 --steps 500"
    made.next = f"diffcli markov {'diffusion' if energy['expected'] is None else larger}"
