"""The modes of `diffcli sample`, and what goes with each of them."""

from typing import Any

import typer

from diffcli.commands.together import refuse_idle
from diffcli.errors import UsageProblem

OWNERS = {"mask": "inpaint", "resample": "inpaint", "strength": "from"}
IDLE = {  # by what takes the place of drawing: why, and the parameters that only drawing has use for
    "invert": (
        "which draws no samples, and nothing at random",
        ("plan", "count", "seed", "batch", "devices", "each", "depth", "animate"),
    ),
    "plan": ("which draws nothing", ("batch", "devices", "each", "depth", "animate", "array", "out")),
}


def check_modes(
    context: typer.Context, modes: dict[str, Any], details: dict[str, Any], *, plan: bool, start: str | None
) -> dict[str, Any]:
    """The mode that is asked for, if any, with what it was given.

    modes:    from, inpaint, interpolate, invert
    details:  the options of `OWNERS`

    Raises UsageProblem for two modes at once, for details of another mode, and for options that a mode has no use for.
    """
    mode = {name: value for name, value in modes.items() if value}
    at_once = [*mode, *(["start"] if mode and start else [])]
    if len(at_once) > 1:
        raise UsageProblem(f"{' and '.join(f'--{m}' for m in at_once)} exclude each other", "ask for one")
    for detail, owner in OWNERS.items():
        if details[detail] is not None and owner not in mode:
            raise UsageProblem(f"--{detail} belongs to --{owner} IMAGE", f"leave it out, or add --{owner} IMAGE")
    if "inpaint" in mode and details["mask"] is None:
        raise UsageProblem("--inpaint needs --mask MASK", "an image of the same size: white is painted, black is kept")
    for name in (*mode, *(["plan"] if plan else [])):
        if name in IDLE:
            why, idle = IDLE[name]
            refuse_idle(context, idle, f"with --{name}, {why}")
    return mode


def sampler_name(ddim: bool, sampler: str | None, eta: float | None, usual: str) -> str:
    """The sampler that --ddim and --sampler ask for together."""
    if ddim and (sampler not in (None, "ddim") or eta not in (None, 0)):
        raise UsageProblem("--ddim means --sampler ddim --eta 0", "leave --ddim out to set either")
    if ddim or (sampler is None and eta is not None):
        return "ddim"
    return usual if sampler is None else sampler
