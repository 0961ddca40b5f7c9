"""Grids: at which noise levels of a schedule a walk stops on its way from noise to data."""

from collections.abc import Callable

import torch
from torch import Tensor

from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.levels import CLEAN, Level

LOWEST_LOG_SNR = -11.0  # where a grid over log-SNR starts if the schedule goes on to less, or to no signal at all


def levels(schedule: Schedule, steps: int, grid: str = "trailing") -> list[Level]:
    """The walk from noise to data: steps + 1 levels, the last is CLEAN. 0-dim float64 on the CPU.

    grid:  one of `GRIDS`

    Raises ValueError for less than one step, or for more than a table has entries.
    """
    return [schedule(t) for t in times(schedule, steps, grid)] + [CLEAN]


def times(schedule: Schedule, steps: int, grid: str = "trailing") -> Tensor:
    """The times of `levels` without the clean end, falling; [steps], float64."""
    if steps < 1:
        raise ValueError(f"a walk needs at least 1 step, not {steps}")
    return GRIDS[grid](schedule, steps)


def trailing(schedule: Schedule, steps: int) -> Tensor:
    """Equal steps back from the noisiest time (Lin et al. 2024, table 2); all entries of a table are its own chain."""
    return _entries(schedule, (schedule.length or 1) * torch.arange(steps, 0, -1, dtype=torch.float64) / steps)


def leading(schedule: Schedule, steps: int) -> Tensor:
    """Equal steps up from the least noisy time, short of the noisiest (the code of DDIM and DDPM; Lin et al. 2024)."""
    stride = max(1, schedule.length // steps) if schedule.length else (1 - schedule.first) / steps
    first = 1 if schedule.length else schedule.first
    return _entries(schedule, first + stride * torch.arange(steps - 1, -1, -1, dtype=torch.float64))


def linspace(schedule: Schedule, steps: int) -> Tensor:
    """Equal steps from the noisiest to the least noisy time, both included (Nichol & Dhariwal 2021, section 4)."""
    high, low = (schedule.length, 1.0) if schedule.length else (1.0, schedule.first)
    return _entries(schedule, torch.linspace(high, low, steps, dtype=torch.float64))


def quadratic(schedule: Schedule, steps: int) -> Tensor:
    """Steps that shrink towards the data, t = (k / steps)² (Song et al. 2021, DDIM, appendix D.2)."""
    k = torch.arange(steps, 0, -1, dtype=torch.float64)
    places = (schedule.length or 1) * k**2 / steps**2
    return _entries(schedule, torch.maximum(places, k) if schedule.length else places)  # no entry twice


def karras(schedule: Schedule, steps: int, rho: float = 7.0) -> Tensor:
    """(sigma / alpha)^(1 / rho) in equal steps (Karras et al. 2022, eq. 5)."""
    high, low = ((-bound / 2).exp() ** (1 / rho) for bound in _bounds(schedule))
    ratio = (high + torch.linspace(0, 1, steps, dtype=torch.float64) * (low - high)) ** rho
    return schedule.time(-2 * ratio.log())


def log_snr(schedule: Schedule, steps: int) -> Tensor:
    """The log-SNR in equal steps (Lu et al. 2022, section 3.4)."""
    high, low = _bounds(schedule)
    return schedule.time(high + torch.linspace(0, 1, steps, dtype=torch.float64) * (low - high))


def _bounds(schedule: Schedule) -> tuple[Tensor, Tensor]:
    """The log-SNR at the noisiest (bounded) and at the least noisy time of a walk."""
    noisiest, cleanest = (schedule(torch.tensor(t, dtype=torch.float64)).log_snr for t in (1.0, schedule.first))
    return noisiest.clamp(min=LOWEST_LOG_SNR), cleanest


def _entries(schedule: Schedule, places: Tensor) -> Tensor:
    """Times, from places that count a table's entries and are rounded to whole ones; others are times already."""
    length = schedule.length
    if length is None:
        return places
    if len(places) > length:
        raise ValueError(f"this schedule has {length} steps; a walk on this grid cannot take {len(places)}")
    return places.round() / length


GRIDS: dict[str, Callable[[Schedule, int], Tensor]] = {
    "trailing": trailing,
    "leading": leading,
    "linspace": linspace,
    "quadratic": quadratic,
    "karras": karras,
    "log-snr": log_snr,
}
