"""What `diffcli noise chain` is asked to walk."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffcli import specs
from diffcli.core.diffusion.schedules import Schedule
from diffcli.data.examples import examples
from diffcli.data.loading import load_dataset
from diffcli.errors import UsageProblem
from diffcli.lessons.gaussians.noising import MOST_STEPS

STEPS = 1000  # of a schedule in continuous time
FEWEST_NUMBERS, MOST_NUMBERS = 10, 2_000_000  # walking at once
NUMBERS = 5000  # of --value, unless told
LARGEST = 1e6  # of --value


@dataclass(frozen=True)
class NoisingSetting:
    """Data x0 [N, ...] float64, and the schedule that they walk up in so many steps.

    dataset, value, schedule_name:  what was written for them
    folder:                         where data sets are looked for first
    """

    x0: Tensor
    dataset: str | None
    value: float | None
    schedule: Schedule
    schedule_name: str
    steps: int
    seed: int
    folder: Path | None

    @property
    def dataset_name(self) -> str:
        """The data set's, also where it was not written."""
        return self.dataset or "mnist"


def noising_setting(
    dataset: str | None, value: float | None, schedule: str, steps: int | None, count: int | None, seed: int,
    folder: Path | None,
) -> NoisingSetting:  # fmt: skip
    """What was asked for, checked; raises UsageProblem, and DataProblem for data that are not there."""
    law = specs.schedule(schedule)
    if value is None:
        found = load_dataset(dataset or "mnist", data=folder)
        x0 = examples(found, count or found.items.kind.sampled, seed).double()
    else:
        x0 = _repeated(value, dataset, count or NUMBERS)
    if x0.numel() < FEWEST_NUMBERS:
        raise UsageProblem(f"{x0.numel()} numbers say nothing of a law", f"raise --count to {FEWEST_NUMBERS} or more")
    if x0.numel() > MOST_NUMBERS:
        raise UsageProblem(f"--count {len(x0)} is {x0.numel():,} numbers, and {MOST_NUMBERS:,} is the most", "lower it")
    steps = steps or max(2, min(law.length or STEPS, MOST_STEPS))
    return NoisingSetting(x0, dataset, value, law, schedule, steps, seed, folder)


def _repeated(value: float, dataset: str | None, count: int) -> Tensor:
    if dataset is not None:
        raise UsageProblem("--dataset and --value do not go together")
    if not abs(value) <= LARGEST:
        raise UsageProblem(f"--value must be from -{LARGEST:g} to {LARGEST:g}, not {value:g}")
    return torch.full((count,), value, dtype=torch.float64)
