"""Training: `fit` yields once per optimiser step. No clock, no file, no printing here."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from diffcli.core.devices import sent
from diffcli.core.diffusion.exact import linear_loss
from diffcli.core.diffusion.guidance import Conditions
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.draws import BatchDraws, Source
from diffcli.core.levels import Level
from diffcli.core.randomness import image_noise, keyed
from diffcli.ranks.averaging import Averaging
from diffcli.ranks.group import ALONE, Group
from diffcli.system.device import empty_cache, out_of_memory
from diffcli.training.optimizers import Optimizer
from diffcli.training.progress import LOOK_EVERY, Progress, check, read

BY_ITEM, BY_STEP = "item", "step"  # what has random numbers of its own

Batches = Callable[[int], Iterator[tuple[Tensor, dict[str, Tensor]]]]
"""Place in the stream of items -> batches from there: x0 [B, ...], and conditions [B, ...] by name."""


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

    group:  ranks that train it together, each with a trainer of its own; set by `join`
    micro:  items of this rank's part of a batch that are computed at once; 0 is all. It becomes smaller where memory
            runs out, and is no part of the run: the gradient is that of the batch
    seen:   what this step's losses have to remember
    randomness:  BY_ITEM, or BY_STEP of a run from before random numbers were keyed by item
    """

    randomness = BY_ITEM
    seen: Tensor | None = None

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


def fit(
    trainer: Trainer,
    batches: Batches,
    *,
    seed: int,
    batch: int,
    warmup: int,
    clip: float,
    ema: float,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Minimise the trainer's objective until the plan ends.

    Step n sees the images from n * batch on, with randomness from its own key: whoever starts at step n from the
    same state does the same. `trainer` is up to date at each yield, and its plan may be revised there.

    batches: of the items that are this rank's
    seed:    of all randomness
    batch:   items per step, of all ranks together
    warmup:  steps over which the learning rate rises; then it falls along a half cosine to 0
    clip:    longest gradient
    ema:     decay of the average of the weights, min(ema, (1 + n) / (10 + n)) at step n
    stop:    whether this rank is to stop; asked once a step, and what any of them says all are told

    Raises Diverged after three refused steps in a row; a refused step (nan or inf) changes no weight. On an accelerator
    nothing is waited for but now and then, so there it may go on for up to LOOK_EVERY steps before it raises.
    """
    stream, group = batches(trainer.step * batch), trainer.group
    on_cores = next(trainer.model.parameters()).device.type == "cpu"
    unread: list[Progress] = []
    refused: Tensor | float = 0.0
    while trainer.step < trainer.plan.total:
        step = trainer.step
        x0, conditions = next(stream)
        loss = group.summed(_backward(trainer, x0, conditions, seed, batch))
        trainer.averaging.finish()
        if trainer.seen is not None:
            trainer.objective.remember(_of_all(group, trainer.seen, batch))
            trainer.seen = None
        norm = nn.utils.clip_grad_norm_(trainer.model.parameters(), clip)

        scale = min(1, (step + 1) / warmup) * (1 + math.cos(math.pi * trainer.plan.at(step))) / 2
        mean = loss.wait()
        refuse = ~(mean.isfinite() & norm.isfinite())
        trainer.optimizer.step(scale, refuse)
        refused = torch.where(refuse, refused + 1.0, 0.0)
        trainer.step += 1
        wish = group.summed(torch.tensor(float(stop())))
        if group.leads:
            average(trainer.ema, trainer.model, min(ema, (1 + step) / (10 + step)))
        unread.append(Progress(trainer.step, scale, wish.wait().item() > 0, torch.stack([mean, norm, refused])))
        if on_cores or trainer.step % LOOK_EVERY == 0 or trainer.step >= trainer.plan.total:
            read(unread)
        yield unread[-1]
        if unread[-1].known:
            check(unread)
            unread.clear()


def _of_all(group: Group, seen: Tensor, batch: int) -> Tensor:
    """What all ranks have seen, [batch, ...] in the order of the places; nobody asks how many the others have."""
    if group.count == 1:
        return seen
    numbers = seen[0].numel()
    sizes = [replace(group, rank=rank).part(batch)[1] * numbers for rank in range(group.count)]
    return torch.cat(group.every(seen.reshape(-1), sizes)).reshape(batch, *seen.shape[1:])


def _backward(trainer: Trainer, x0: Tensor, conditions: Conditions, seed: int, batch: int) -> Tensor:
    """The share of the batch's mean loss that this rank's part has, []; its gradients are under way to all ranks.

    Where memory runs out, half as many items are computed at once from then on: the gradient stays that of the batch.
    """
    while True:
        size = trainer.micro or len(x0)
        try:
            return _accumulated(trainer, x0, conditions, seed, batch, size)
        except (RuntimeError, MemoryError) as error:
            if size == 1 or not out_of_memory(error):
                raise
        trainer.micro = (min(size, len(x0)) + 1) // 2
        trainer.optimizer.forget()
        empty_cache(next(trainer.model.parameters()).device)


def _accumulated(trainer: Trainer, x0: Tensor, conditions: Conditions, seed: int, batch: int, size: int) -> Tensor:
    """The gradients of this rank's part of a batch, `size` items at once."""
    device = next(trainer.model.parameters()).device
    total, seen = torch.zeros((), device=device), []
    begin, _ = trainer.group.part(batch)
    by_step = keyed(seed, "train", trainer.step)
    trainer.model.train()
    for place in range(0, len(x0), size):
        here = slice(place, place + size)
        some, told = x0[here], {name: value[here] for name, value in conditions.items()}
        first = begin + place
        source: Source = by_step
        if trainer.randomness == BY_ITEM:
            source = BatchDraws(seed, trainer.step, first, len(some), batch, device)
            some, told = sent(some, device), {name: sent(value, device) for name, value in told.items()}
        torch.manual_seed(keyed(seed, "train", trainer.step, *([first] if first else [])).initial_seed())  # of dropout
        if place + size >= len(x0):
            trainer.averaging.arm()
        losses = trainer.objective.loss(trainer.model, some, told, source)
        loss = losses.each.sum() / batch
        loss.backward()
        total = total + loss.detach()
        seen += [] if losses.seen is None else [losses.seen]
    if seen:
        trainer.seen = torch.cat(seen)
    return total


@torch.no_grad()
def average(ema: nn.Module, model: nn.Module, decay: float) -> None:
    """ema <- decay * ema + (1 - decay) * model for the weights; buffers, which are no weights, become the model's."""
    torch._foreach_lerp_(list(ema.parameters()), list(model.parameters()), 1 - decay)
    for mean, buffer in zip(ema.buffers(), model.buffers(), strict=True):
        mean.copy_(buffer)


@dataclass(frozen=True)
class Validation:
    """Images with levels and noise that never change, so that their loss changes with the network only."""

    x0: Tensor
    conditions: Conditions
    level: Level
    eps: Tensor

    @classmethod
    def fixed(cls, x0: Tensor, conditions: Conditions, schedule: Schedule, seed: int) -> "Validation":
        """Levels spread evenly over t, image by image; noise keyed by image."""
        t = (torch.arange(len(x0), dtype=torch.float64) + 0.5) / len(x0)
        level = schedule(schedule.training_time(t).reshape(-1, *[1] * (x0.dim() - 1)))
        eps = image_noise(seed, "validation", range(len(x0)), x0.shape[1:])
        return cls(x0, conditions, Level(*(part.to(x0.dtype) for part in level)), eps)

    @torch.no_grad()
    def loss(self, denoiser: Any, batch: int = 256) -> float:
        """The mean loss of a `Denoiser` or `Corrector` on them, conditions given."""
        device = next(denoiser.parameters()).device
        total = 0.0
        for i in range(0, len(self.x0), batch):
            x0, alpha, sigma, eps = (part[i : i + batch].to(device) for part in (self.x0, *self.level, self.eps))
            told = {name: value[i : i + batch].to(device) for name, value in self.conditions.items()}
            total += denoiser.loss(x0, Level(alpha, sigma), eps, **told).sum().item()
        return total / len(self.x0)

    def linear_loss(self, spectrum: Tensor, predicts: str) -> float:
        """The expected loss, at the same levels, of the best linear denoiser of data with this spectrum."""
        return linear_loss(spectrum, self.x0[0].numel(), self.level, predicts).mean().item()
