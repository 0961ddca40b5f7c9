"""What a training run is made of: what it minimises, how far it goes, and its state."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from diffcli.core.devices import widest
from diffcli.core.diffusion.guidance import Conditions
from diffcli.core.draws import Source
from diffcli.ranks.averaging import Averaging
from diffcli.ranks.group import ALONE, Group
from diffcli.training.optimizers import Optimizer
from diffcli.training.sharding import Divided, divide, shard_of, shards, whole

BY_ITEM, BY_STEP = "item", "step"  # what has random numbers of its own


class Losses(NamedTuple):
    """The losses of some items, and what is to be remembered of them.

    each:  [B]
    seen:  [B, ...] on the same device; None where nothing is remembered
    """

    each: Tensor
    seen: Tensor | None = None


class Objective(NamedTuple):
    """What training minimises.

    loss:      (model, x0 [B, ...], conditions, source) -> losses on the model's device. What it is given is where the
               source's numbers are. All randomness is the source's: every item of every step has its own. It changes
               nothing, so it may be asked again
    state:     what is remembered from step to step, None if nothing; it is saved, and never part of the model
    remember:  put what was seen of the whole batch into the state, once a step
    """

    loss: Callable[[Any, Tensor, Conditions, Source], Losses]
    state: nn.Module | None = None
    remember: Callable[[Tensor], None] = lambda _: None


@dataclass(frozen=True)
class Plan:
    """How far a run is: at `step` it had `progress` in [0, 1], and it ends at `total`.

    A run of N steps keeps Plan(N). A run by the clock makes a new plan at each checkpoint, from the speed so
    far, and stores it there; between checkpoints the clock is not consulted, so a resume repeats every step.
    """

    total: int
    step: int = 0
    progress: float = 0.0

    def at(self, step: int) -> float:
        """The progress at a step, linear from here to 1 at `total`."""
        return self.progress + (1 - self.progress) * (step - self.step) / max(1, self.total - self.step)

    def revised(self, step: int, total: int) -> "Plan":
        """The same progress at `step`, another end."""
        return Plan(max(total, step), step, self.at(step))


class Trainer:
    """The state of a training run, all of it: weights, their average, optimiser, objective, step and plan.

    group:    ranks that train it together, each with a trainer of its own; set by `join` or `divide`
    divided:  whether each rank holds its shards only: of weights, average and moments
    micro:    items of this rank's part of a batch that are computed at once; 0 is all. It becomes smaller where memory
              runs out, and is no part of the run: the gradient is that of the batch
    seen:     what this step's losses have to remember
    randomness:  BY_ITEM, or BY_STEP of a run from before random numbers were keyed by item
    """

    randomness = BY_ITEM
    divided = False
    seen: Tensor | None = None
    averaging: Averaging | Divided

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        objective: Objective,
        plan: Plan,
        micro: int = 0,
    ) -> None:
        self.model, self.optimizer, self.objective, self.plan = model, optimizer, objective, plan
        self.micro = micro
        self.ema = copy.deepcopy(model).eval().requires_grad_(False)
        self.step = 0
        self.join(ALONE)

    def join(self, group: Group) -> None:
        """Train with other ranks from now on, or alone again."""
        self.group = self.optimizer.group = group
        self.averaging = Averaging(self.model.parameters(), group)

    def divide(self, group: Group, device: torch.device) -> None:
        """Train with other ranks from now on, each on its device with its shards. There is no way back."""
        moments = self.optimizer.state()
        for model in (self.model, self.ema):
            divide(model, device, group.count)
        self.optimizer = self.optimizer.again(self.model)
        self.optimizer.load({name: shard_of(value, group) for name, value in moments.items()})
        if self.objective.state is not None:
            self.objective.state.to(device, widest(device))
        self.group = self.optimizer.group = group
        self.averaging, self.divided = Divided(self.model, self.optimizer.weights), True

    def tensors(self) -> dict[str, Tensor]:
        """All that a resume needs, by name; what is divided is whole on rank 0 alone. All ranks must call this."""
        moments, state = self.optimizer.state(), self.objective.state
        found = _below("model", self.model.state_dict()) | _below("ema", self.ema.state_dict())
        found |= _below("optimizer", moments) | _below("objective", state.state_dict() if state else {})
        if not self.divided:
            return found
        parts = _below("model", shards(self.model)) | _below("ema", shards(self.ema))
        parts |= _below("optimizer", {name: value for name, value in moments.items() if value.dim()})
        return found | whole(parts, self.group)


def _below(folder: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{folder}/{name}": tensor for name, tensor in tensors.items()}
