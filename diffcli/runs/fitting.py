"""A trainer at work by the settings of a recipe, and how long a step of it takes."""

import time
from collections.abc import Callable, Iterator

import torch

from diffcli.data.augmentation import Augment, augmentations
from diffcli.data.dataset import Dataset
from diffcli.data.streaming import CPU, stream
from diffcli.training.fit import fit
from diffcli.training.progress import Progress, read
from diffcli.training.recipes import Training
from diffcli.training.recording import RECORDERS, WARM
from diffcli.training.trainer import BY_ITEM, Plan, Trainer


def fit_by(
    recipe: Training,
    trainer: Trainer,
    dataset: Dataset,
    places: torch.Tensor,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """`fit` with the settings of a recipe on some places of a data set."""
    augment = Augment(augmentations(recipe.data.augment), recipe.seed)
    part = trainer.group.part(recipe.batch)
    device = next(trainer.model.parameters()).device if trainer.randomness == BY_ITEM else CPU  # as a generator's are
    batches = stream(dataset, places, batch=recipe.batch, seed=recipe.seed, augment=augment, part=part, device=device)
    keys = recipe.optimizer
    return fit(
        trainer, batches, seed=recipe.seed, batch=recipe.batch, warmup=keys.warmup, clip=keys.clip, ema=keys.ema,
        stop=stop, record=not recipe.impl,
    )  # fmt: skip


def seconds_per_step(recipe: Training, trainer: Trainer, dataset: Dataset, places: torch.Tensor, steps: int) -> float:
    """Of a trainer at its start, which has trained afterwards: that of the fastest of some steps after the first."""
    device = next(trainer.model.parameters()).device
    played = WARM if device.type in RECORDERS else 0  # on a GPU steps are fast when they have been recorded
    trainer.plan = Plan(steps + 1 + played)
    marks = []
    for progress in fit_by(recipe, trainer, dataset, places):
        read([progress])  # only then an accelerator has come to the end of the step
        marks.append(time.monotonic())
    return min(b - a for a, b in zip(marks, marks[1:], strict=False))
