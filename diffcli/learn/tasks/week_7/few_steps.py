"""Graded by the comparison of samplers that a run keeps."""

from collections.abc import Iterator
from pathlib import Path

from diffcli.learn.experiments import Case, Fault, left_behind, runs_there, settings_compared

FEWEST = 3  # numbers of steps


def few_steps() -> dict[str, str]:
    """A run with a comparison of ddim and ddpm, each with three numbers of steps or more: how few are enough?

    diffcli train --minutes 5 --seed 0 --out runs/mine
    diffcli compare runs/mine --samplers ddim,ddpm --steps 5,10,50 --count 500

    Returns {"run": folder}, beside this file.
    """
    return {"run": "runs/mine"}


def examined(found: dict[str, Path]) -> Fault | None:
    if set(found) != {"run"}:
        return Fault("other-names", f"it names {', '.join(found)}: one run is wanted, under the name run")
    if fault := runs_there(found):
        return fault
    rows = settings_compared(found["run"])
    if not rows:
        return Fault("not-compared", "the run keeps no comparison: diffcli compare makes one")
    steps = {name: {row.get("steps") for row in rows if row.get("sampler") == name} for name in ("ddim", "ddpm")}
    if lacking := [name for name, some in steps.items() if not some]:
        return Fault("one-sampler", f"{lacking[0]} is not in the comparison: --samplers ddim,ddpm")
    if min(map(len, steps.values())) < FEWEST:
        return Fault("few-numbers", f"each sampler needs {FEWEST} numbers of steps: a line wants more than two points")
    if steps["ddim"] != steps["ddpm"]:
        return Fault("other-steps", "the two have different numbers of steps, so they cannot be laid beside each other")
    return None


def cases(folder: Path) -> Iterator[Case]:
    def run(name: str, *compared: tuple[str, int]) -> dict[str, Path]:
        return {"run": left_behind(folder / name, recipe={}, compared=compared)}

    both = [(sampler, n) for sampler in ("ddim", "ddpm") for n in (5, 10, 50)]
    yield Case(run("whole", *both), "")
    yield Case(run("more", *both, ("dpmpp-2m", 5)), "")
    yield Case(run("none"), "not-compared")
    yield Case(run("ddim", *both[:3]), "one-sampler")
    yield Case(run("two", *both[:2], *both[3:5]), "few-numbers")
    yield Case(run("other", *both[:3], ("ddpm", 5), ("ddpm", 10), ("ddpm", 20)), "other-steps")
    yield Case({"mine": folder / "whole"}, "other-names")
