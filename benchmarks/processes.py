"""What is measured from outside, on whole processes: starting, a sample from start to end, and memory."""

import itertools
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import DRAWN, Goal, Section, Spread, alternate, note, number, table

if TYPE_CHECKING:
    from contestants import Bench

STARTS = 7  # rounds of the commands that only start
HEAVY = ("torch", "numpy", "PIL")  # what starting up must not import
TRAIN_STEPS = 5  # of the memory measurement


def starting(bench: "Bench") -> Section:
    """The wall time of commands that compute nothing, and whether they import anything heavy."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        'python -c "import diffcli.cli"': [sys.executable, "-c", "import diffcli.cli"],
        "diffcli --help": [*command_line(), "--help"],
    }
    seconds = alternate({name: partial(process_seconds, c) for name, c in commands.items()}, STARTS, "starting")
    imports = {
        'python -c "import diffcli.cli"': heavy_imports(["-c", "import diffcli.cli"]),
        "diffcli --help": heavy_imports(["-m", "diffcli", "--help"]),
    }
    rows = [
        [f"`{name}`", *Spread.of(s).cells(), ", ".join(imports.get(name, [])) or "-"] for name, s in seconds.items()
    ]
    goals = [
        Goal(f"`{name}` imports neither of {', '.join(HEAVY)}", ", ".join(found) or "none", "none", not found)
        for name, found in imports.items()
    ]
    lines = table(["process", "s", "range", "heavy imports"], rows)
    return Section("Starting", lines, {"seconds": seconds, "heavy_imports": imports}, goals)


def heavy_imports(arguments: list[str]) -> list[str]:
    """Which heavy packages a Python process imports, by its own account."""
    report = run([sys.executable, "-X", "importtime", *arguments]).stderr
    imported = {line.rpartition("|")[2].strip() for line in report.splitlines()}
    return [name for name in HEAVY if name in imported]


def whole_sample(bench: "Bench") -> Section:
    """The wall time of `diffcli sample` from a run of the default recipe, start and all."""
    asked = ["--ddim", "--steps", "20", "--count", str(DRAWN)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        note("training a run of 20 steps to sample from")
        run([*command_line(), "train", "--steps", "20", "--quiet", "--out", str(folder / "run")])
        places = (str(folder / f"sample-{i}") for i in itertools.count())

        def sample() -> float:
            return process_seconds([*command_line(), "sample", str(folder / "run"), *asked, "--out", next(places)])

        seconds = alternate({"sample": sample}, bench.rounds, "diffcli sample")["sample"]
    spread = Spread.of(seconds)
    name = f"`diffcli sample RUN {' '.join(asked)}`"
    goal = Goal(name, f"{number(spread.median)} s", "under 6 s", spread.median < 6)
    lines = table(["process", "s", "range"], [[name, *spread.cells()]])
    return Section("Sampling as a whole process", lines, {"seconds": seconds}, [goal])


def memory(bench: "Bench") -> Section:
    """The peak memory of a process that takes a few training steps, one process per contestant."""
    script = str(Path(__file__).with_name("contestants.py"))

    def megabytes(name: str) -> float:
        command = [sys.executable, script, name, str(bench.batches[name]), str(TRAIN_STEPS)]
        return int(run(command).stdout) / 1e6

    names = ["diffcli", *bench.peers, "diffcli-same-shape"]
    peaks = alternate({n: partial(megabytes, n) for n in names}, min(bench.rounds, 3), "memory")
    rows = [[n, str(bench.batches[n]), *Spread.of(peaks[n]).cells()] for n in names]
    lines = table([f"{TRAIN_STEPS} training steps", "batch", "peak, MB", "range"], rows)
    return Section("Memory", lines, {"megabytes": peaks, "batches": {n: bench.batches[n] for n in names}})


def process_seconds(command: list[str]) -> float:
    """The wall time of a process."""
    began = time.perf_counter()
    run(command)
    return time.perf_counter() - began


def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run a process to its end, its output captured; leaves with its last words if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "; ".join(done.stderr.strip().splitlines()[-2:]) or "no message"  # an error and its hint
        raise SystemExit(f"error: {' '.join(command)} ended with {done.returncode}: {last}")
    return done


def command_line() -> list[str]:
    """The installed command of this Python, or the package as a module where it is not installed."""
    script = Path(sys.executable).with_name("diffcli")
    return [str(script)] if script.exists() else [sys.executable, "-m", "diffcli"]
