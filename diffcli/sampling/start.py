"""Walks that begin where data are still almost Gaussian: the way there has a closed form and costs no evaluation."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffcli.core.diffusion import grids
from diffcli.core.diffusion.exact import Gaussian
from diffcli.core.diffusion.gaussian_flow import Remaining, flowed
from diffcli.core.diffusion.job import start_noise
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.levels import Level
from diffcli.data import loading as datasets
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import CLASS
from diffcli.data.reading import Reading
from diffcli.errors import UsageProblem
from diffcli.metrics.frechet import Moments, moments
from diffcli.sampling.models import Model

LARGEST = 3072  # numbers of an item: a covariance of more takes minutes
AT_ONCE = 5000  # items
ENOUGH = 2  # items for each number, with fewer of which a class has the covariance of all

Begin = Callable[[Sequence[int]], Tensor]
"""Numbers of items -> where their walks begin, [B, ...]."""


@dataclass(frozen=True)
class LinearStart:
    """Begin at the level sigma / alpha = at, where the flow of a Gaussian with the data's moments leads from noise.

    Per class, of items with one; guidance begins there too.
    """

    at: float = 10.0

    def times(self, schedule: Schedule, steps: int, grid: str) -> Tensor:
        """The times of a grid of so many steps that starts at this level, falling; [steps], float64.

        Raises UsageProblem where the schedule does not reach the level.
        """
        noisiest, cleanest = (_ratio(schedule, t) for t in (1.0, schedule.first))
        if not cleanest < self.at < noisiest:
            raise UsageProblem(
                f"--start linear,at={self.at:g} is no level of the schedule, which goes from {noisiest:.3g} to "
                f"{cleanest:.3g} (sigma / alpha)",
                "choose at between them",
            )
        last = schedule.time(torch.tensor(-2 * math.log(self.at), dtype=torch.float64)).item()
        return last * grids.times(Remaining(schedule, last), steps, grid)


STARTS: Mapping[str, Callable[..., LinearStart]] = {"linear": LinearStart}


def linear_begin(model: Model, first: Level, seed: int, conditions: Mapping[str, Tensor], data: Path | None) -> Begin:
    """The beginning of walks at a level: pure noise at the schedule's noisiest one, carried there by Gaussian flows.

    Raises UsageProblem for a model whose data are not known, or are too large.
    """
    if model.codec is not None:
        raise UsageProblem("--start linear is for models of pixels or points; this one has latents", "leave it out")
    laws = _laws_of(model, data)
    noise = model.schedule(torch.ones((), dtype=torch.float64))
    labels = conditions.get(CLASS)

    def begin(items: Sequence[int]) -> Tensor:
        x = start_noise(seed, items, model.items.shape, noise)
        if labels is None:
            return flowed(laws[-1], x, noise, first).float()
        of_items = labels[list(items)]
        begun = torch.empty_like(x)
        for label in of_items.unique().tolist():
            own = of_items == label
            begun[own] = flowed(laws[label], x[own], noise, first)
        return begun.float()

    return begin


def _laws_of(model: Model, data: Path | None) -> dict[int, Gaussian]:
    if model.trained is None:
        raise UsageProblem(
            "--start linear needs the data of a trained model; an exact one needs no start", "leave it out"
        )
    if model.items.numbers > LARGEST:
        raise UsageProblem(
            f"--start linear is for items of at most {LARGEST} numbers; these have {model.items.numbers}",
            "leave it out",
        )
    recipe = model.trained.recipe
    return _laws_in(recipe.data.name, model.trained.stored.reading, data, model.trained.items.classes)


@functools.lru_cache(maxsize=2)
def _laws_in(name: str, reading: Reading, data: Path | None, classes: tuple[str, ...]) -> dict[int, Gaussian]:
    """Those of a data set: a comparison asks for them again and again."""
    return _laws(datasets.load_dataset(name, data=data, reading=reading).among(classes))


def _laws(dataset: Dataset) -> dict[int, Gaussian]:
    """Gaussians with the moments of the items of each class, and of all as number -1.

    A class of few items has the spread of all, one of fewer than two their mean, too.
    """
    places = torch.arange(len(dataset))
    whole = _gaussian(_moments(dataset, places))
    laws = {-1: whole}
    for label in range(len(dataset.classes)) if dataset.labels is not None else ():
        own = places[dataset.labels == label]
        if len(own) < 2:
            laws[label] = whole
            continue
        found = _moments(dataset, own)
        enough = found.count >= ENOUGH * dataset.items.numbers
        laws[label] = _gaussian(found) if enough else Gaussian(found.mean, whole.std, whole.basis)
    return laws


def _gaussian(found: Moments) -> Gaussian:
    """With any covariance, singular ones too."""
    variance, basis = torch.linalg.eigh(found.covariance)
    return Gaussian(found.mean, variance.clamp(min=0).sqrt(), basis)


def _moments(dataset: Dataset, places: Tensor) -> Moments:
    """Of the items at these places as rows of numbers."""
    return moments(dataset.take(part)[0].flatten(1) for part in places.split(AT_ONCE))


def _ratio(schedule: Schedule, t: float) -> float:
    level = schedule(torch.tensor(t, dtype=torch.float64))
    return (level.sigma / level.alpha).item()
