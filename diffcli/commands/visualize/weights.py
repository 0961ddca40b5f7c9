"""diffcli visualize weights"""

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from diffcli.console import options
from diffcli.errors import one_of

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.core.diffusion.schedules import Schedule

PLACES = (-8, -4, 0, 4, 8, 11)  # log-SNR of the table's columns
LOW, HIGH = -10.0, 14.0  # of what is shown
USUAL = "cosine"  # the schedule whose draws are weighed, unless told


def weights(
    names: Annotated[
        Optional[list[str]], typer.Argument(metavar="[NAME...]", help="Weightings to show.  [all]")
    ] = None,
    schedule: Annotated[
        str, typer.Option("--schedule", metavar="NAME[,KEY=VALUE...]", help="Whose levels training draws.")
    ] = USUAL,
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """How each loss weighs the levels: on its own, and with the levels that a schedule draws."""

    from diffcli import specs
    from diffcli.console.show import Show, table
    from diffcli.core.diffusion.weightings import WEIGHTINGS, rate
    from diffcli.pictures.weightings import weights_figure
    from diffcli.system.files import fresh_place

    show = Show(as_json=as_json, quiet=quiet)
    law = specs.schedule(schedule)
    chosen = [one_of(name, WEIGHTINGS, "weighting") for name in names or WEIGHTINGS]
    times = _times(law)
    log_snr = law(times).log_snr
    falls = rate(law, times)
    curves = {name: WEIGHTINGS[name](log_snr, falls) for name in chosen}
    with fresh_place(out, "weights", "weights.png") as place:
        weights_figure(place.picture, log_snr, curves, 1 / falls, schedule)
    shown = [int((log_snr - at).abs().argmin()) for at in PLACES if log_snr.min() - 0.1 <= at <= log_snr.max() + 0.1]
    heads = ["weighting", *(f"{log_snr[i]:.0f}" for i in shown)]
    rows = [[name, *(f"{curve[i]:.3g}" for i in shown)] for name, curve in curves.items()]
    document = {
        "figure": str(place.picture),
        "schedule": schedule,
        "log_snr": log_snr.tolist(),
        "density": (1 / falls).tolist(),
        "weights": {name: curve.tolist() for name, curve in curves.items()},
    }
    lines = ["weight of the squared error of eps, by log-SNR (left noise, right data)", ""]
    lines += table(heads, rows, right=tuple(range(1, len(heads))))
    show.result(document, [*lines, "", str(place.picture), "next: diffcli train --set weighting=min-snr"])


def _times(schedule: "Schedule") -> "Tensor":
    """Times at which to look, falling in log-SNR order: between the entries of a table, else evenly in log-SNR."""
    import torch

    if schedule.length:
        times = ((torch.arange(schedule.length, dtype=torch.float64) + 0.5) / schedule.length)[1:]
        log_snr = schedule(times).log_snr
    else:
        log_snr = torch.linspace(LOW, HIGH, 481, dtype=torch.float64)
        times = schedule.time(log_snr)
    inside = (log_snr >= LOW) & (log_snr <= HIGH) & (times > 1e-9) & (times < 1 - 1e-9)
    return times[inside]
