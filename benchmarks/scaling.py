"""Training by threads and by processes, idle, beside a neighbour, over a slow network: `python benchmarks/scaling.py`.

Contestants take turns, each turn a process of its own (and its followers). A neighbour is a process that computes on
one core. A slow network is simulated: what is exchanged arrives no earlier than latency and bandwidth allow, counted
from when it was sent. Tables go to stdout (--readme puts them into README.md), progress to stderr.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import Goal, Spread, alternate, at_least, note, put, table

HERE = Path(__file__).parent
WARM = 3  # steps that are not timed
WAYS = {  # processes, and threads of each
    "one process of one thread": (1, 1),
    "one process of two threads": (1, 2),
    "two processes of one thread": (2, 1),
}
SIZES = {  # the default; what the dial takes for five minutes of two good cores, and for sixty
    f"widths {widths}, batch {batch}": (f"network.widths={widths}", f"batch={batch}")
    for widths, batch in (("32,64", 64), ("32,64", 128), ("64,128", 512))
}


@dataclass(frozen=True)
class Turn:
    """What is measured: images per second of a training.

    network:  latency in seconds and bytes per second; None is the machine's own
    """

    ranks: int
    threads: int
    seconds: float
    changes: tuple[str, ...] = ()
    network: tuple[float, float] | None = None


@dataclass(frozen=True)
class Measuring:
    """What the followers of a turn do."""

    turn: Turn

    def __call__(self, follower: Any) -> None:
        import torch

        from diffcli.ranks.group import join, leave

        torch.set_num_threads(self.turn.threads)
        group = join(follower.place, follower.store, torch.device("cpu"))
        try:
            trained(self.turn, group)
        finally:
            leave()


def trained(turn: Turn, group: Any) -> float:
    """Images per second of the default recipe with its changes, all ranks together."""
    import torch

    from diffcli.ranks.group import ALONE
    from diffcli.runs.assignment import Assignment, opened
    from diffcli.runs.session import Setting, fit_by
    from diffcli.training import recipes
    from diffcli.training.recipes.diffusion import RECIPES
    from diffcli.training.trainer import Plan

    if turn.network:
        group = slowed(group, *turn.network)
    changes = {"dial": (), **recipes.parse_settings(list(turn.changes))}  # each rank would choose for itself
    recipe = recipes.override(RECIPES["default"], changes)
    wanted = Assignment("diffusion", Setting(torch.device("cpu")), recipe, follows=not group.leads)
    with opened(wanted) as session:
        trainer = session.trainer
        trainer.join(group)
        trainer.plan = Plan(10**6)
        began, counted = time.monotonic(), 0
        over = lambda: group.leads and trainer.step > WARM and time.monotonic() - began > turn.seconds  # noqa: E731
        for progress in fit_by(recipe, trainer, session.dataset, session.places, over):
            if progress.step == WARM:
                began = time.monotonic()
            counted = progress.step - WARM
            if progress.stopping:
                break
        trainer.join(ALONE)
        return counted * recipe.batch / (time.monotonic() - began)


def slowed(group: Any, latency: float, bandwidth: float) -> Any:
    """The group behind a slower network: every sum is there at the earliest when that would have brought it."""
    from diffcli.ranks.group import Sum

    class Late(Sum):
        def __init__(self, inner: Any, ready: float) -> None:
            self.inner, self.ready = inner, ready

        def wait(self) -> Any:
            found = self.inner.wait()
            time.sleep(max(0.0, self.ready - time.monotonic()))
            return found

    @dataclass(frozen=True)
    class Slowed(type(group)):  # type: ignore[misc]
        def summed(self, tensor: Any) -> Any:
            travelled = 2 * (self.count - 1) / self.count * tensor.numel() * tensor.element_size()  # of a ring
            return Late(super().summed(tensor), time.monotonic() + latency + travelled / bandwidth)

        def every(self, tensor: Any, sizes: Any) -> Any:
            ready = time.monotonic() + latency + max(sizes) * tensor.element_size() * (self.count - 1) / bandwidth
            found = super().every(tensor, sizes)
            time.sleep(max(0.0, ready - time.monotonic()))
            return found

    return Slowed(**{f.name: getattr(group, f.name) for f in dataclasses.fields(group)})


def worker(turn: Turn) -> None:
    """One turn in this process; prints images per second."""
    import scaling  # what is pickled must not belong to __main__
    import torch

    from diffcli.ranks import launch
    from diffcli.ranks.group import ALONE, join, leave
    from diffcli.ranks.launch import Place

    torch.set_num_threads(turn.threads)
    if turn.ranks == 1:
        print(trained(turn, ALONE))
        return
    with launch.team(turn.ranks, threads=turn.threads, early="diffcli.runs.assignment") as team:
        team.hand(scaling.Measuring(scaling.Turn(**vars(turn))))
        group = join(Place(0, turn.ranks), team.store, torch.device("cpu"), team)
        try:
            print(trained(turn, group))
        except RuntimeError as error:
            raise group.explained(error) from error
        finally:
            leave()


def measured(turn: Turn, neighbours: int = 0) -> float:
    """One turn in a process of its own, beside so many others that compute."""
    with busy(neighbours):
        environment = os.environ | {"OMP_NUM_THREADS": str(turn.threads), "PYTHONPATH": str(HERE)}
        words = [sys.executable, __file__, "--worker", json.dumps(vars(turn))]
        done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return float(done.stdout.split()[-1])


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that each keep a core busy."""
    burn = "x = 1\nwhile True: x = x * 3 % 1000003"
    processes = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def report(rounds: int, seconds: float) -> list[str]:
    """The tables."""
    turns = {
        (way, size): Turn(ranks, threads, seconds, changes)
        for size, changes in SIZES.items()
        for way, (ranks, threads) in WAYS.items()
    }
    measurements = {
        (*key, neighbours): (lambda turn=turn, neighbours=neighbours: measured(turn, neighbours))
        for neighbours in (0, 1)
        for key, turn in turns.items()
    }
    found = alternate(measurements, rounds, "training")
    rows = [[", ".join(key), *Spread.of(found[*key, 0]).cells(), *Spread.of(found[*key, 1]).cells()] for key in turns]
    head = ["training, images/s", "idle", "range", "one neighbour", "range"]
    told = [[g.name, g.measured, g.wanted, "yes" if g.reached else "no"] for g in goals(found)]
    verdict = table(["goal", "measured", "wanted", "reached"], told)
    return [*table(head, rows), "", *network(rounds, seconds), "", *verdict]


def goals(found: dict[tuple[str, str, int], list[float]]) -> list[Goal]:
    """What two cores are to bring, for each size; images/s of way, size and neighbours, round by round."""
    one, threads, processes = WAYS
    told = []
    for size in SIZES:
        both = found[threads, size, 0], found[processes, size, 0]
        better = max(both, key=lambda values: Spread.of(values).median)
        told.append(at_least(f"two cores / one thread, idle, {size}", better, found[one, size, 0], 1.9))
    for size in SIZES:
        beside, idle = found[processes, size, 1], found[processes, size, 0]
        told.append(at_least(f"beside a neighbour / idle, two processes, {size}", beside, idle, 0.6))
    return told


def network(rounds: int, seconds: float) -> list[str]:
    """When communication costs a tenth of a step."""
    networks = {
        "this machine": None, "10 Gbit/s, 50 µs": (50e-6, 1.25e9), "1 Gbit/s, 200 µs": (200e-6, 125e6),
        "1 Gbit/s, 5 ms": (5e-3, 125e6), "100 Mbit/s, 1 ms": (1e-3, 12.5e6),
    }  # fmt: skip
    turns = {name: (lambda wire=wire: measured(Turn(2, 1, seconds, network=wire))) for name, wire in networks.items()}
    found = alternate(turns, rounds, "network")
    here = Spread.of(found["this machine"]).median
    rows = [[n, *Spread.of(v).cells(), f"{100 * (1 - Spread.of(v).median / here):.0f} %"] for n, v in found.items()]
    return table(["two processes, simulated network", "images/s", "range", "lost"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--readme", action="store_true")
    parser.add_argument("--worker")
    options = parser.parse_args()
    if options.worker:
        turn = json.loads(options.worker)
        turn["changes"] = tuple(turn["changes"])
        worker(Turn(**turn))
        return
    note(f"about {options.rounds * (18 + 5) * (options.seconds + 10) / 60:.0f} minutes")
    lines = report(options.rounds, options.seconds)
    print("\n".join(lines))
    if options.readme:
        put(HERE / "README.md", "scaling", lines)


if __name__ == "__main__":
    main()
