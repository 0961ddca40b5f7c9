"""Turning the dial: how fast this machine trains, and what a recipe becomes by that."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from diffcli.data.dataset import Dataset
from diffcli.system.device import computing_threads
from diffcli.training import dial
from diffcli.training.dial import Probe, Prospect
from diffcli.training.recipes import Training, override

Timed = Callable[[Training], float]
"""A recipe -> seconds of its training step."""


@dataclass(frozen=True)
class Dialled:
    """A recipe without open keys, and how it came about.

    choice:  None where the dial had nothing to choose
    keys:    that were open
    known:   whether the law's trials were of such data and such a recipe, so that its loss can be expected
    """

    recipe: Any
    choice: Prospect | None = None
    keys: tuple[str, ...] = ()
    known: bool = False


def dialled(
    recipe: Any, dataset: Dataset, seconds: float, timed: Timed, *, processes: int = 1, accelerator: bool = False
) -> Dialled:
    """The recipe with all its open keys chosen for a training of so many seconds.

    processes:    that will share the work, of one thread each; `timed` is asked with that many threads
    accelerator:  whether it is done by one, not by processors
    """
    if not recipe.dial:
        return Dialled(recipe)
    if recipe.steps:
        return Dialled(override(recipe, {"dial": ()}))
    began, free = time.monotonic(), "network.widths" in recipe.dial

    def seconds_of(probe: Probe) -> float:
        widths = (probe.width, 2 * probe.width) if free else recipe.network.widths
        return timed(override(recipe, {"network.widths": widths, "batch": probe.batch, "steps": 1000}))

    with computing_threads(1 if processes > 1 else torch.get_num_threads()):
        speed = dial.speed_of(seconds_of, accelerator=accelerator)
    speed = speed._replace(processes=processes)
    left = seconds - (time.monotonic() - began)
    fixed = {"widths": recipe.network.widths[:1]} if "network.widths" not in recipe.dial else {}
    batches = {} if "batch" in recipe.dial else {"batches": (recipe.batch,)}
    choice = dial.choose(left, speed, most=len(dataset), **fixed, **batches)
    wanted = {name: value for name, value in dial.settings(choice).items() if name in recipe.dial}
    found = override(recipe, wanted | {"dial": ()})
    return Dialled(found, choice, recipe.dial, known=_is_of_the_law(found, dataset.name))


def _is_of_the_law(recipe: Any, data: str) -> bool:
    """Whether nothing but what the dial chooses differs from the default, on MNIST."""
    w, *wider = recipe.network.widths
    keys = recipe.optimizer
    usual = override(type(recipe)(), {"network.widths": (w, *wider), "warmup": keys.warmup, "ema": keys.ema})
    tables = ("network", "objective", "optimizer", "schedule")
    alike = all(getattr(recipe, name) == getattr(usual, name) for name in tables)
    return alike and wider == [2 * w] and data == "mnist" and not recipe.data.augment
