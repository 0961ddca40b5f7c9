"""A walk's levels in a file: found once, by the bound or by hand, and used by any sampler."""

import json
import math
from pathlib import Path

import torch
from torch import Tensor

from diffcli.core.diffusion.grids import LOWEST_LOG_SNR
from diffcli.core.diffusion.schedules import Schedule
from diffcli.errors import DataProblem
from diffcli.system.files import write_atomically
from diffcli.system.shell import quoted

SUFFIX = ".json"


def write_grid(path: Path, schedule: Schedule, name: str, times: Tensor) -> None:
    """The times [N] of a walk and their log-SNR, from noise to data; the clean end is written as time 0."""
    log_snr = schedule(times).log_snr.tolist()
    document = {"schedule": name, "times": [*times.tolist(), 0.0], "log_snr": [*map(_finite, log_snr), None]}
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def read_grid(path: Path, schedule: Schedule, name: str) -> Tensor:
    """The times of a grid file for a schedule, without the clean end; [N] float64, falling.

    Under another schedule than its own the levels keep their log-SNR.

    Raises DataProblem where the file is not one, or does not go from noise to clean data.
    """
    try:
        document = json.loads(path.read_text("utf-8-sig"))
        times = [float(t) for t in document["times"]]
        levels = [None if v is None else float(v) for v in document["log_snr"]]
        own = str(document["schedule"])
    except OSError as error:
        raise DataProblem(f"cannot read {path}: {error.strerror}", "diffcli grid writes some") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise DataProblem(f"{path} is not a grid: it needs schedule, times and log_snr") from None
    hint = "times fall from noise and end with 0, the data"
    if not times or times[-1] != 0:
        raise DataProblem(f"the grid in {path} does not end clean: its last time must be 0", hint)
    falling = all(a > b for a, b in zip(times, times[1:], strict=False))
    if len(times) < 2 or len(levels) != len(times) or not falling or not 0 < times[0] <= 1:
        raise DataProblem(f"the grid in {path} does not fall from noise to data", hint)
    if own == name:
        return torch.tensor(times[:-1], dtype=torch.float64)
    if any(v is None for v in levels[1:-1]):
        raise DataProblem(f"the grid in {path} has levels without a log-SNR", f"use it with --schedule {quoted(own)}")
    wanted = torch.tensor([-math.inf if v is None else v for v in levels[:-1]], dtype=torch.float64)
    found = schedule.time(wanted.clamp(min=LOWEST_LOG_SNR))
    if not bool((found.diff() < 0).all()):
        raise DataProblem(f"the grid in {path}, made for {own}, does not fit {name}", f"use --schedule {quoted(own)}")
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
