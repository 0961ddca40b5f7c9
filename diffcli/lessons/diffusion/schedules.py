"""Noise schedules side by side: where each begins and ends."""

from collections.abc import Mapping
from typing import Any

import torch

from diffcli.console.show import table
from diffcli.core.diffusion.schedules import Schedule


def endpoints(schedules: Mapping[str, Schedule]) -> list[dict[str, Any]]:
    """A row per schedule: the number of its entries (0 of a continuous one) and its least and most noisy level."""
    rows = []
    for name, schedule in schedules.items():
        first, last = (schedule(torch.tensor(t, dtype=torch.float64)) for t in (schedule.first, 1.0))
        rows.append(
            {
                "name": name,
                "entries": schedule.length,
                "log_snr_first": first.log_snr.item(),
                "log_snr_last": last.log_snr.item(),
                "alpha_last": last.alpha.item(),
                "sigma_last": last.sigma.item(),
            }
        )
    return rows


def endpoint_lines(rows: list[dict[str, Any]]) -> list[str]:
    """The endpoints as a table."""
    keys = ("log_snr_first", "log_snr_last", "alpha_last", "sigma_last")
    cells = [
        [str(row["name"]), str(row["entries"] or "continuous"), *(f"{row[key]:.4g}" for key in keys)] for row in rows
    ]
    heads = ["schedule", "entries", "first log SNR", "last log SNR", "last alpha", "last sigma"]
    return table(heads, cells, right=range(2, 6))
