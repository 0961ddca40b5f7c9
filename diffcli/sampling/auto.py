"""The cheapest good walk: what a comparison has left in the run, or else a usual choice."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from diffcli.errors import UsageProblem
from diffcli.runs.listing import run_of
from diffcli.runs.loading import find, read
from diffcli.runs.records import comparison
from diffcli.sampling.exact_models import PREFIX
from diffcli.sampling.gridfile import SUFFIX
from diffcli.sampling.options import SamplingOptions
from diffcli.system.files import is_file
from diffcli.system.shell import argument
from diffcli.system.text import flag

USUAL = SamplingOptions(sampler="dpmpp-2m", steps=10, grid="trailing")  # where nothing was compared


def automatic(target: str | None, wanted: SamplingOptions) -> tuple[SamplingOptions, str]:
    """The options with the walk filled in, and a sentence that says which one it is and why.

    Raises UsageProblem where a part of the walk was asked for.
    """
    own = {"steps": wanted.steps, "grid": wanted.grid, "start": wanted.start, **wanted.options}
    if given := [name for name, value in own.items() if value is not None]:
        raise UsageProblem(f"--auto chooses the walk; {flag(given[0])} does too", "leave one of them out")
    best, run = _stored(target)
    if best is None:
        walk = f"{USUAL.sampler} in {USUAL.steps} steps on {USUAL.grid}"
        why = f"auto: {walk}, the usual choice, as nothing was compared; diffcli compare {argument(run)}"
        return replace(wanted, sampler=USUAL.sampler, steps=USUAL.steps, grid=USUAL.grid), why
    from_file = str(best["grid"]).endswith(SUFFIX)
    found = replace(
        wanted, sampler=best["sampler"], steps=None if from_file else best["steps"], grid=best["grid"],
        start=best.get("start"), options=wanted.options | ({} if best.get("eta") is None else {"eta": best["eta"]}),
        guidance=best.get("guidance") if wanted.guidance is None and wanted.label is not None else wanted.guidance,
    )  # fmt: skip
    return found, (
        f"auto: {best['sampler']} in {best['steps']} steps on {Path(best['grid']).name}, "
        f"{best['evaluations']:g} evaluations: the cheapest within two standard errors of the best that was compared"
    )


def _stored(target: str | None) -> tuple[dict[str, Any] | None, str]:
    """The best setting that a run remembers, None where it does not or where its grid is gone; and the run.

    A file without a run remembers what the run did that it was exported from.
    """
    if target is not None and target.startswith(PREFIX):
        return None, target
    path = find(target, "diffusion")
    run = run_of(path) if path.is_file() else path
    if run is None:
        best, run = read(path).about.get("walk"), path
    else:
        best = (comparison(run) or {}).get("best")
    needed = ("sampler", "steps", "grid", "evaluations")
    if not isinstance(best, dict) or not all(best.get(name) for name in needed):
        return None, str(run)
    if not str(best["grid"]).endswith(SUFFIX):
        return best, str(run)
    grid = run / Path(best["grid"]).name  # which compare has copied there
    return (best | {"grid": str(grid)} if is_file(grid) else None), str(run)
