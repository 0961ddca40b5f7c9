"""How cost grows with batch, image size, width, processes and samples: `python benchmarks/growth.py`.

Every figure comes from a process of its own. Each series has an exponent: the slope of a line through the logarithms,
by least squares, with its standard error. What a GPU would take is calculated, not measured, and says so. Tables go to
stdout (--readme puts them into README.md), progress to stderr.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from measuring import note, number, put, table
from processes import command_line, run

GPU = 20e12  # operations per second that are assumed of it
WORKER = Path(__file__).with_name("growing.py")


class Cost(NamedTuple):
    """Seconds and bytes of one measurement, and operations where they were counted."""

    seconds: float
    bytes: float
    flops: float = math.nan


class Exponent(NamedTuple):
    """The slope of log cost against log size, and its standard error; nan of fewer than three points."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.2f}" + ("" if math.isnan(self.error) else f" ± {self.error:.2f}")


@dataclass(frozen=True)
class Series:
    """One thing that grows, all else being equal.

    asked:  of growing.py, by size
    of:     what one measurement takes
    adds:   what it is that adds to a fixed part of the memory, if anything does
    """

    name: str
    asked: dict[float, dict[str, Any]]
    of: str
    adds: str = ""


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> Exponent:
    """Of costs as a power of sizes, by least squares on the logarithms."""
    if any(cost <= 0 for cost in costs):
        return Exponent(math.nan, math.nan)
    x, y = [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    fixed, slope = line(x, y)
    mean = sum(x) / len(x)
    spread = sum((a - mean) ** 2 for a in x)
    left = sum((b - fixed - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    return Exponent(slope, math.sqrt(left / (len(x) - 2) / spread) if len(x) > 2 else math.nan)


def line(sizes: Sequence[float], costs: Sequence[float]) -> tuple[float, float]:
    """Of costs: the fixed part, and what each unit of size adds, by least squares."""
    x_mean, y_mean = sum(sizes) / len(sizes), sum(costs) / len(costs)
    spread = sum((a - x_mean) ** 2 for a in sizes)
    slope = sum((a - x_mean) * (b - y_mean) for a, b in zip(sizes, costs, strict=True)) / spread
    return y_mean - slope * x_mean, slope


def series(quick: bool) -> list[Series]:
    """All that is measured; `quick` takes less of each."""
    steps = 3 if quick else 10
    batches, sizes = ((8, 16, 32), (28, 64)) if quick else ((16, 32, 64, 128, 256), (28, 64, 128))
    widths, samples = ((16, 32, 64), (8, 16, 32)) if quick else ((32, 48, 64, 96, 128), (32, 64, 128, 256, 512))
    small = 8 if quick else 16
    usual = {"batch": small if quick else 64, "size": 28, "width": 32 if quick else 64, "steps": steps}
    train = {"what": "train", **usual}
    return [
        Series("batch", {n: train | {"batch": n} for n in batches}, f"a training step, {_of(usual, 'batch')}", "image"),
        Series("side of the image", {n: train | {"size": n, "batch": small} for n in sizes},
               f"a training step, {_of(usual | {'batch': small}, 'size')}"),
        Series("width", {n: train | {"width": n} for n in widths}, f"a training step, {_of(usual, 'width')}"),
        Series("samples", {n: {"what": "sample", **usual, "batch": n} for n in samples},
               f"a walk of {steps} steps of DDIM, 64 at once, {_of(usual, 'batch')}", "sample"),
    ]  # fmt: skip


def _of(usual: dict[str, int], but: str) -> str:
    texts = {"batch": "batch {}", "size": "images of {0}x{0}", "width": "widths {0} and twice that"}
    return ", ".join(text.format(usual[key]) for key, text in texts.items() if key != but)


def measured(one: Series) -> list[str]:
    """The table of a series, and its exponents."""
    costs: dict[float, Cost] = {}
    for size, asked in one.asked.items():
        note(f"{one.name} {size:g} ...")
        costs[size] = Cost(**json.loads(run([sys.executable, str(WORKER), json.dumps(asked)]).stdout))
    rows = [
        [f"{size:g}", number(cost.seconds), number(cost.bytes / 1e6), number(cost.flops / 1e9),
         number(cost.flops / cost.seconds / 1e9), f"{one.asked[size]['batch'] * GPU / cost.flops:,.0f}"]
        for size, cost in costs.items()
    ]  # fmt: skip
    head = [one.name, "s", "MB", "GFLOP, counted", "GFLOP/s", "images/s on one GPU, calculated"]
    powers = {
        "seconds": exponent(list(costs), [cost.seconds for cost in costs.values()]),
        "memory": exponent(list(costs), [cost.bytes for cost in costs.values()]),
        "operations": exponent(list(costs), [cost.flops for cost in costs.values()]),
    }
    fits = ", ".join(f"{name} {power}" for name, power in powers.items())
    if one.adds:
        fixed, each = line(list(costs), [cost.bytes / 1e6 for cost in costs.values()])
        fits += f". Memory as a line: {number(fixed)} MB and {number(each)} MB for each {one.adds}"
    return [f"\n#### {one.name.capitalize()}\n", f"Of {one.of}:\n", *table(head, rows), f"\nExponents: {fits}."]


def ranks(quick: bool) -> list[str]:
    """Training by `--devices`, the batch shared out: seconds per step, and the memory of the largest process."""
    steps, batch, counts = (40, 16, (1, 2)) if quick else (100, 64, (1, 2))
    rows, seconds = [], []
    for count in counts:
        note(f"processes {count} ...")
        cost = _training(count, steps, batch)
        seconds.append(cost.seconds)
        speed = f"{seconds[0] / cost.seconds:.2f}"
        rows.append([str(count), number(cost.seconds), number(batch / cost.seconds), speed, number(cost.bytes / 1e6)])
    head = ["processes", "s per step", "images/s", "times one process", "MB, the largest"]
    text = f"Of a training step, recipe default, batch {batch} shared out, one thread each (`--devices N`):\n"
    power = exponent(counts, seconds)
    return ["\n#### Processes\n", text, *table(head, rows), f"\nExponent of the seconds, from two points: {power}."]


def _training(count: int, steps: int, batch: int) -> Cost:
    """Seconds per step between the tenth and the last but few of a run, by its own log."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "run"
        asked = ["--devices", str(count), "--steps", str(steps), "--batch", str(batch), "--out", str(out), "--quiet"]
        peak = _peak([*command_line(), "train", *asked], os.environ | {"OMP_NUM_THREADS": "1"})
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    inner = [row for row in rows if row["step"] < steps]
    first, last = inner[0], inner[-1]
    return Cost((last["seconds"] - first["seconds"]) / (last["step"] - first["step"]), peak)


def _peak(command: list[str], environment: dict[str, str]) -> int:
    """Run a command; the most memory that any one of its processes has held, in bytes."""
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], capture_output=True, text=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.stderr.write(done.stderr);"
        "sys.exit(done.returncode)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, env=environment)
    if done.returncode:
        last = "; ".join(done.stderr.strip().splitlines()[-2:])
        raise SystemExit(f"error: {' '.join(command)} ended with {done.returncode}: {last}")
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description="How seconds and memory grow, each with a fitted exponent.")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller cases: does it run at all?")
    parser.add_argument("--without-processes", action="store_true", help="leave --devices out")
    parser.add_argument("--readme", action="store_true", help="put the tables into README.md, between their marks")
    options = parser.parse_args()
    lines = [_surroundings()]
    for one in series(options.quick):
        lines += measured(one)
    if not options.without_processes:
        lines += ranks(options.quick)
    lines += [
        f"\nWhat a GPU does is calculated: {GPU / 1e12:g} TFLOP/s, which is assumed and not measured, over the"
        " operations that were counted. Networks as small as these do not keep a large GPU busy, and are slower.",
        "Memory is what the process held above what it held after its imports.",
    ]
    print("\n".join(lines), flush=True)
    if options.readme:
        put(Path(__file__).with_name("README.md"), "growth", lines)


def _surroundings() -> str:
    facts = json.loads(run([sys.executable, str(WORKER), json.dumps({"what": "facts"})]).stdout)
    return ", ".join(f"{name} {value}" for name, value in facts.items())


if __name__ == "__main__":
    main()
