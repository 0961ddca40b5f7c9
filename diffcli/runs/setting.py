"""Where a run is trained, and what it tells while it is."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

from diffcli.training.families.base import Look
from diffcli.training.progress import Progress


class Event(NamedTuple):
    """One optimiser step, the checkpoint written after it if any, and what a preview saw if one was made.

    note:  what else the user should know
    """

    progress: Progress
    saved: Path | None
    look: Look | None
    note: str = ""


@dataclass(frozen=True)
class Setting:
    """Where a run is trained, and where it lies.

    data:   folder to look for data sets in first
    out:    the folder of a fresh run; None is checkpoints/<data>-<number>
    began:  when, by time.monotonic: what was done since counts into a time budget
    processes:  that are there to train it together, of one thread each
    """

    device: torch.device
    data: Path | None = None
    out: Path | None = None
    began: float = field(default_factory=time.monotonic)
    processes: int = 1
