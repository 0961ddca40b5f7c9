"""How losses weigh the noise levels, and with which density a schedule draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffcli import specs
from diffcli.console.show import table
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.diffusion.weightings import WEIGHTINGS, rate
from diffcli.errors import one_of

PLACES = (-8, -4, 0, 4, 8, 11)  # log-SNR of the table's columns
LOW, HIGH = -10.0, 14.0  # log-SNR of what is shown


@dataclass(frozen=True)
class WeighedLevels:
    """Levels of a schedule, how densely training draws them, and what each weighting makes of them.

    log_snr, density:  [N], of log-SNR
    weights:           weighting -> weight of the squared error of eps, [N]
    """

    schedule: str
    log_snr: Tensor
    density: Tensor
    weights: dict[str, Tensor]


def weighed_levels(schedule: str, names: Sequence[str] | None) -> WeighedLevels:
    """The weightings called so, all for None; raises UsageProblem for a schedule or a weighting that is unknown."""
    law = specs.schedule(schedule)
    chosen = [one_of(name, WEIGHTINGS, "weighting") for name in names or WEIGHTINGS]
    times = _times(law)
    log_snr, falls = law(times).log_snr, rate(law, times)
    return WeighedLevels(schedule, log_snr, 1 / falls, {name: WEIGHTINGS[name](log_snr, falls) for name in chosen})


def _times(schedule: Schedule) -> Tensor:
    """Times at which to look, falling in log-SNR order: between the entries of a table, else evenly in log-SNR."""
    if schedule.length:
        times = ((torch.arange(schedule.length, dtype=torch.float64) + 0.5) / schedule.length)[1:]
        log_snr = schedule(times).log_snr
    else:
        log_snr = torch.linspace(LOW, HIGH, 481, dtype=torch.float64)
        times = schedule.time(log_snr)
    inside = (log_snr >= LOW) & (log_snr <= HIGH) & (times > 1e-9) & (times < 1 - 1e-9)
    return times[inside]


def document(found: WeighedLevels) -> dict[str, Any]:
    """The numbers, for --json."""
    return {
        "schedule": found.schedule,
        "log_snr": found.log_snr.tolist(),
        "density": found.density.tolist(),
        "weights": {name: curve.tolist() for name, curve in found.weights.items()},
    }


def lines(found: WeighedLevels) -> list[str]:
    """A table of the weights at a few levels."""
    low, high = found.log_snr.min() - 0.1, found.log_snr.max() + 0.1
    shown = [int((found.log_snr - place).abs().argmin()) for place in PLACES if low <= place <= high]
    heads = ["weighting", *(f"{found.log_snr[i]:.0f}" for i in shown)]
    rows = [[name, *(f"{curve[i]:.3g}" for i in shown)] for name, curve in found.weights.items()]
    return [
        "weight of the squared error of eps, by log-SNR (left noise, right data)",
        "",
        *table(heads, rows, right=tuple(range(1, len(heads)))),
    ]
