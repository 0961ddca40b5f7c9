"""diffcli runs, without a verb"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from diffcli.commands.together import given
from diffcli.console import options
from diffcli.errors import UsageProblem
from diffcli.system.shell import argument
from diffcli.training.recipes.families import USUAL

if TYPE_CHECKING:
    from diffcli.runs.listing import Summary

HEADS = ["run", "state", "model", "data", "steps", "saved", "time", "loss", "valid.", "linear", "dist."]


def runs(
    context: typer.Context,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List the runs in checkpoints/, newest first. State, progress, and losses, and the last distance."""
    if context.invoked_subcommand:
        if before := given(context):
            raise UsageProblem(
                f"options go behind the verb: {', '.join(before.values())}",
                f"diffcli runs {context.invoked_subcommand} --help",
            )
        return
    from diffcli.console.show import Show, table
    from diffcli.runs import listing
    from diffcli.system.text import printable, size

    show = Show(as_json=as_json, quiet=quiet)
    found, foreign = listing.summaries()
    for run in found:
        if run.note:
            show.note(f"note: {printable(str(run.path))} is damaged: {printable(run.note)}")
    for name in foreign:
        show.note(f"note: {printable(str(listing.ROOT / name))} is not a run; ignored")
    rows = [_row(run) for run in found]
    lines = table(HEADS, rows, right=range(4, len(HEADS)), wraps=(0,)) if rows else ["no runs yet"]
    files = listing.files()
    sizes = {name: listing.bytes_of(path) for name, path in files.items()}
    if files:
        lines += ["", "files, each the model of a run that was exported:"]
        lines += [printable(f"{name}  {size(sizes[name])}  {path}") for name, path in files.items()]
    document = {
        "runs": [run.document for run in found],
        "files": [{"name": name, "file": str(path), "bytes": sizes[name]} for name, path in files.items()],
    }
    show.result(document, [*lines, "", f"next: {printable(_next(found))}"])


def _row(run: "Summary") -> list[str]:
    """A line of the table."""
    data = Path(run.dataset).name if run.dataset else "-"
    saved = run.checkpoint.stem.removeprefix("step-").lstrip("0") if run.checkpoint else "-"
    distance = (run.evaluation or {}).get("frechet")
    losses = (run.loss, run.validation_loss, run.linear_denoiser_loss)
    return [
        run.path.name, run.state, run.family, data, "-" if run.steps is None else str(run.steps), saved or "0",
        _clock(run.seconds), *("-" if loss is None else f"{loss:.3f}" for loss in losses),
        "-" if distance is None else f"{distance:.3g}",
    ]  # fmt: skip


def _clock(seconds: float | None) -> str:
    """312.0 -> "5:12"."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _next(runs: list["Summary"]) -> str:
    """The command that goes on with the newest run that can be gone on with."""
    for run in runs:
        if run.checkpoint and run.state != "damaged":
            path = argument(run.path)
            recipe = USUAL.get(run.family, USUAL["diffusion"])
            resume = run.state in ("interrupted", "stopped", "failed")
            return f"{recipe.command} train --resume {path}" if resume else recipe.next_command(path)
    return "diffcli train"
