"""How good the samples of a run on points are: `python benchmarks/points.py RUN...`.

Draws points by DDIM and measures how far they are from fresh draws of the law that the run learned. Other fresh draws,
as many, are measured beside them: a perfect model can do no better. So are draws of the normal distribution with the
law's moments, which is what a model that knows no more than those would draw. The table goes to stdout.
"""

import argparse
from typing import NamedTuple

import torch
from measuring import note, number, table
from torch import Tensor

from diffcli import specs
from diffcli.core.diffusion.grids import levels
from diffcli.core.diffusion.job import Job
from diffcli.core.diffusion.samplers import ddim
from diffcli.core.processes.laws.toys import TOYS
from diffcli.core.randomness import keyed
from diffcli.metrics.distances import energy, sliced_wasserstein
from diffcli.runs.loading import load_trained

BATCH = 2500  # points drawn at once


class Distances(NamedTuple):
    """Of points to fresh draws: the mean over several sets of them."""

    energy: float
    wasserstein: float


def distances(sets: list[Tensor], fresh: list[Tensor]) -> Distances:
    pairs = list(zip(sets, fresh, strict=True))
    return Distances(*(sum(f(a, b) for a, b in pairs) / len(pairs) for f in (energy, sliced_wasserstein)))


def measure(run: str, count: int, steps: int, repeats: int) -> list[list[str]]:
    """The rows of one run: its samples, draws of the law itself, and of a normal distribution."""
    trained = load_trained(run, device=torch.device("cpu"))
    name = trained.recipe.data.name
    law = TOYS[name]
    fresh = [law(count, keyed(0, "fresh", i)) for i in range(repeats)]
    job = Job(trained.model, levels(specs.schedule(trained.recipe.schedule), steps), ddim, trained.items.shape)
    drawn = job.drawn(count * repeats, BATCH)
    note(f"{run}: {len(drawn)} points drawn")
    sets = {
        f"{name}: samples": list(drawn.split(count)),
        "fresh draws": [law(count, keyed(0, "others", i)) for i in range(repeats)],
        "normal": [torch.randn(count, 2, generator=keyed(0, "normal", i)) for i in range(repeats)],
    }
    rows = []
    for name, points in sets.items():
        found = distances(points, fresh)
        rows.append([name, f"{1e4 * found.energy:.1f}", number(found.wasserstein)])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge the samples of runs on points.")
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run or a checkpoint")
    parser.add_argument("--count", type=int, default=5000, help="points in a set (default 5000)")
    parser.add_argument("--steps", type=int, default=50, help="of DDIM (default 50)")
    parser.add_argument("--repeats", type=int, default=3, help="sets to take the mean over (default 3)")
    options = parser.parse_args()
    rows = [row for run in options.runs for row in measure(run, options.count, options.steps, options.repeats)]
    print("\n".join(table(["points", "energy distance x 10⁴", "sliced Wasserstein"], rows)))


if __name__ == "__main__":
    main()
