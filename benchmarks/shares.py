"""Where the time of a training step goes, on one thread: `python benchmarks/shares.py [--width 48] [--batch 64]`.

The network's forward and backward pass beside the best convolution of the machine, its shares by kind of operation, and
Muon's matrices one by one and together. Run it on an idle machine. The table goes to stdout (--readme puts it into
README.md).
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from measuring import note, number, put, table
from racing.limit import convolutions, counted
from torch import nn
from torch.profiler import ProfilerActivity, profile

from diffcli import specs
from diffcli.core.diffusion.grids import levels
from diffcli.data.kinds import IMAGES, Items
from diffcli.system.device import pick, use_bf16
from diffcli.training.optimizers import all_orthogonal, orthogonal
from diffcli.training.recipes.diffusion import Recipe
from diffcli.training.recipes.networks import UNetKeys
from diffcli.training.setup import build

KINDS = {  # a word in the name of an operation, and what it is counted as; the first that fits
    "conv": "convolutions", "layer_norm": "norms", "silu": "activations", "softmax": "attention and linear layers",
    "mm": "attention and linear layers",
}  # fmt: skip
ITEMS = Items(IMAGES, (1, 28, 28))


def seconds(do: Callable[[], Any], rounds: int) -> float:
    """The median of some times, after two that do not count."""
    times = []
    for _ in range(rounds + 2):
        began = time.perf_counter()
        do()
        times.append(time.perf_counter() - began)
    return statistics.median(times[2:])


def kinds(do: Callable[[], Any], rounds: int) -> dict[str, float]:
    """The share of the time that each kind of operation takes."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(rounds):
            do()
    spent: dict[str, float] = {}
    for event in profiler.key_averages():
        kind = next((kind for word, kind in KINDS.items() if word in event.key.lower()), "all else")
        spent[kind] = spent.get(kind, 0.0) + event.self_cpu_time_total
    return {kind: time / sum(spent.values()) for kind, time in sorted(spent.items(), key=lambda pair: -pair[1])}


def measured(width: int, batch: int, rounds: int, *, compiled: bool) -> list[list[str]]:
    """Rows of the table: what, and how much."""
    recipe = Recipe(network=UNetKeys(widths=(width, 2 * width)), batch=batch)
    model = build(recipe, ITEMS, pick("cpu"))
    x, level = torch.randn(batch, *ITEMS.shape), levels(specs.schedule(recipe.schedule), 2)[1]

    def run() -> None:
        model(x, level).x0.square().mean().backward()

    note("the pass ...")
    taken, flops = seconds(run, rounds), counted(run)
    note("the best convolution ...")
    best = max(convolutions(use_bf16("auto", pick("cpu")), 0.4, time.time()).values())
    rows = [
        ["forward and backward pass", f"{number(1000 * taken)} ms, {number(batch / taken)} images/s"],
        ["the same beside the best convolution", f"{100 * flops / taken / best:.0f} % of {best / 1e9:.0f} GFLOP/s"],
    ]
    note("its parts ...")
    shares = kinds(run, rounds)
    rows += [[f"of the pass: {kind}", f"{100 * share:.0f} %"] for kind, share in shares.items()]
    alone = flops / (taken * shares["convolutions"]) / best
    rows.append(["convolutions alone beside the best one", f"at most {100 * alone:.0f} %"])
    note("Muon ...")
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    matrices = [p.detach().flatten(1) for p in model.parameters() if p.dim() > 1 and id(p) not in embeddings]
    ways = {
        "one by one": lambda: [orthogonal(matrix) for matrix in matrices],
        "together": lambda: all_orthogonal(matrices),
    }
    rows += [
        [f"Muon's {len(matrices)} matrices {way}", f"{number(1000 * seconds(do, rounds))} ms"]
        for way, do in ways.items()
    ]
    if compiled:
        note("compiled ...")
        model.network.compile()
        began = time.perf_counter()
        run()
        first = time.perf_counter() - began
        rows.append(["the pass compiled", f"{number(1000 * seconds(run, rounds))} ms, the first one {first:.0f} s"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Where the time of a training step goes, on one thread.")
    parser.add_argument("--width", type=int, default=48, help="channels at the finest resolution (default 48)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--compile", action="store_true", help="by torch.compile too, which takes a minute to begin")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md, between its marks")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = measured(options.width, options.batch, options.rounds, compiled=options.compile)
    title = f"One thread, widths {options.width},{2 * options.width}, batch {options.batch}"
    lines = table([title, ""], rows)
    print("\n".join(lines))
    if options.readme:
        put(Path(__file__).parent / "README.md", "shares", lines)


if __name__ == "__main__":
    main()
