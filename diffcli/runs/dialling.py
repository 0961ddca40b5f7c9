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

TIMED = 2  # steps, of which the faster counts

Timed = Callable[[Training], float]
"""A recipe -> seconds of its training step."""


@dataclass(frozen=True)
class Dialled:
    """A recipe without open keys, and how it came about.

    choice:  None where the dial had nothing to choose
    keys:    that were open
    known:   whether the law is one of these data and this network, so that its loss can be expected
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
    return Dialled(found, choice, recipe.dial, known=dial.is_of_the_law(found, dataset.name))
