"""How fast diffcli trains, draws and starts, beside its peers, in one run: `python benchmarks/speed.py`.

Contestants take turns, round after round, so that whatever else the machine does falls on all of them alike, and
ratios are taken within a round. The result, Markdown tables, goes to stdout; what is being measured goes to stderr.
"""

import argparse
import importlib
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from contestants import CONTESTANTS, LENGTH, PACKAGES, SHORT, Bench, Contestant
from measuring import DRAWN, Goal, Section, Spread, alternate, at_least, note, number, table
from processes import memory, starting, whole_sample

from diffcli.system.device import use_bf16

OUR_BATCH = 64
PEER_BATCHES = (16, 32, 64)
CHAIN_STEPS = 20  # of DDPM-1000 that are timed
INSTALL = "pip install -e '.[benchmarks]'"


# Training


def training(bench: Bench) -> Section:
    """Training images per second, ours, the peers' and ours in the shape of a peer, in turns."""
    searched = best_batches(bench)
    contestants = {name: bench.build(name) for name in ("diffcli", *bench.peers, "diffcli-same-shape")}
    rates = alternate(
        {name: partial(images_per_second, c, bench.seconds) for name, c in contestants.items()},
        bench.rounds,
        "training",
    )
    rows = [
        [name, f"{c.parameters / 1e6:.2f} M", str(c.batch), *Spread.of(rates[name]).cells()]
        for name, c in contestants.items()
    ]
    lines = table(["training", "parameters", "batch", "images/s", "range"], rows)
    for name, speeds in searched.items():
        found = ", ".join(f"{batch}: {number(statistics.median(speeds[batch]))}" for batch in PEER_BATCHES)
        lines += ["", f"Batches of {name} tried first, images/s at each: {found}; {bench.batches[name]} was taken."]
    raw = {
        "images_per_second": rates,
        "batches": {name: c.batch for name, c in contestants.items()},
        "parameters": {name: c.parameters for name, c in contestants.items()},
        "batches_tried": searched,
    }
    return Section("Training", lines, raw, training_goals(contestants, rates))


def best_batches(bench: Bench) -> dict[str, dict[int, list[float]]]:
    """The speed of every peer at each batch, in turns; the best batches are put into the bench."""
    candidates = {(name, batch): bench.build(name, batch) for name in bench.peers for batch in PEER_BATCHES}
    rates = alternate(
        {key: partial(images_per_second, c, bench.seconds) for key, c in candidates.items()},
        min(bench.rounds, 3),
        "choosing the peers' batches",
    )
    searched = {name: {batch: rates[name, batch] for batch in PEER_BATCHES} for name in bench.peers}
    for name, speeds in searched.items():
        bench.batches[name] = max(PEER_BATCHES, key=lambda batch: statistics.median(speeds[batch]))
    bench.batches["diffcli-same-shape"] = bench.batches["diffusers"]
    return searched


def training_goals(contestants: dict[str, Contestant], rates: dict[str, list[float]]) -> list[Goal]:
    """Our speed and size against the peers', as far as they are there."""
    peers = [name for name in contestants if name in PACKAGES]
    goals = []
    if peers:
        faster = max(peers, key=lambda name: statistics.median(rates[name]))
        goals.append(at_least(f"training: diffcli / {faster}, the faster peer", rates["diffcli"], rates[faster], 4))
    if "diffusers" in peers:
        title = "training: diffcli / diffusers, same shape and batch"
        goals.append(at_least(title, rates["diffcli-same-shape"], rates["diffusers"], 2))
    for name in peers:
        share = contestants["diffcli"].parameters / contestants[name].parameters
        goals.append(Goal(f"parameters: diffcli / {name}", f"{share:.0%}", "at least 60%", share >= 0.6))
    return goals


def images_per_second(contestant: Contestant, seconds: float) -> float:
    """Training speed over about this time, at least two steps."""
    began, steps = time.perf_counter(), 0
    while steps < 2 or time.perf_counter() - began < seconds:
        contestant.train()
        steps += 1
    return steps * contestant.batch / (time.perf_counter() - began)


# Sampling


def sampling(bench: Bench) -> Section:
    """Seconds for 64 images by DDPM-1000, scaled from a few of its steps, and by DDIM-50, whole."""
    contestants = {name: bench.build(name) for name in ("diffcli", *bench.peers)}
    chains = alternate({k: partial(chain_seconds, c) for k, c in contestants.items()}, bench.rounds, "DDPM")
    walks = alternate({k: partial(walk_seconds, c) for k, c in contestants.items()}, bench.rounds, "DDIM")
    rows = [
        [name, *Spread.of(chains[name]).cells(), *Spread.of(walks[name]).cells()] for name, c in contestants.items()
    ]
    lines = table([f"{DRAWN} images", f"DDPM-{LENGTH}, s", "range", f"DDIM-{SHORT}, s", "range"], rows)
    lines += ["", f"DDPM-{LENGTH} was timed over {CHAIN_STEPS} of its steps and scaled; DDIM-{SHORT} was run whole."]
    return Section("Sampling", lines, {"ddpm_seconds_scaled": chains, "ddim_seconds": walks})


def chain_seconds(contestant: Contestant) -> float:
    """The time of all steps of DDPM, from that of a few after the first."""
    walk = contestant.ddpm(DRAWN)
    next(walk)
    began = time.perf_counter()
    for _ in itertools.islice(walk, CHAIN_STEPS):
        pass
    return (time.perf_counter() - began) * LENGTH / CHAIN_STEPS


def walk_seconds(contestant: Contestant) -> float:
    """The time of one DDIM sampling."""
    began = time.perf_counter()
    contestant.ddim(DRAWN)
    return time.perf_counter() - began


# The run


PARTS: dict[str, Callable[[Bench], Section]] = {
    "starting": starting,
    "process": whole_sample,
    "training": training,
    "sampling": sampling,
    "memory": memory,  # after training, which finds the peers' batches
}


def present_peers() -> list[str]:
    """The peers that can be imported; says in one line which cannot."""
    present, missing = [], []
    for name, package in PACKAGES.items():
        try:
            importlib.import_module(package)
            present.append(name)
        except (ImportError, RuntimeError) as error:
            absent = isinstance(error, ModuleNotFoundError) and error.name == package
            missing.append(name if absent else f"{name} ({str(error).splitlines()[0]})")
    if missing:
        ours = "" if present else "; diffcli is measured alone"
        note(f"not installed: {', '.join(missing)}; {INSTALL}{ours}")
    return present


def surroundings(bench: Bench) -> dict[str, Any]:
    """What the figures depend on beside the code."""
    names = ["torch", *(PACKAGES[name].replace("_", "-") for name in bench.peers)]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.3:
        note(f"this machine is busy (load {load:.1f}); the figures will show it")
    return {
        "python": sys.version.split()[0],
        **{name: installed(name) for name in names},
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "our_precision": "bf16" if use_bf16("auto", torch.device("cpu")) else "fp32",
        "load_at_the_start": round(load, 2),
        "rounds": bench.rounds,
        "seconds_per_turn": bench.seconds,
    }


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown version"


def measured(bench: Bench, names: list[str]) -> Iterator[Section]:
    """The parts of these names, each printed as soon as it is measured."""
    for name, measure in PARTS.items():
        if name in names:
            section = measure(bench)
            show(f"\n### {section.title}\n", *section.lines)
            yield section


def goal_table(sections: list[Section]) -> list[str]:
    """All that was to be reached, as far as it was measured."""
    rows = [[g.name, g.measured, g.wanted, "yes" if g.reached else "no"] for s in sections for g in s.goals]
    return ["\n### Goals\n", *table(["goal", "measured", "wanted", "reached"], rows)] if rows else []


def show(*lines: str) -> None:
    """Part of the result."""
    print("\n".join(lines), flush=True)


def document(facts: dict[str, Any], sections: list[Section]) -> dict[str, Any]:
    """The same, every single measurement included."""
    goals = [vars(goal) for section in sections for goal in section.goals]
    return {"surroundings": facts, **{s.title: s.raw for s in sections}, "goals": goals}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed, memory and start of diffcli beside its peers, as tables.")
    parser.add_argument("--rounds", type=int, default=5, help="turns that everyone gets (default 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of training per turn (default 3)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure some parts only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single measurement, too")
    options = parser.parse_args()
    if options.rounds < 1 or not 0 < options.seconds < 1000:
        parser.error("--rounds must be at least 1, --seconds above 0")
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"there is no folder {options.json.parent}")
    return options


def main() -> None:
    options = parse()
    batches = {name: 16 if name in PACKAGES else OUR_BATCH for name in CONTESTANTS} | {"diffcli-same-shape": 16}
    bench = Bench(options.rounds, options.seconds, present_peers(), batches)
    facts = surroundings(bench)
    show(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items()))
    sections = list(measured(bench, options.only))
    show(*goal_table(sections))
    if options.json:
        options.json.write_text(json.dumps(document(facts, sections), indent=2) + "\n")
        note(f"{options.json}")


if __name__ == "__main__":
    main()
