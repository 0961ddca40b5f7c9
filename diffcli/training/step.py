"""One optimiser step: gradients, then weights and their average."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from diffcli.core.devices import sent
from diffcli.core.diffusion.guidance import Conditions
from diffcli.core.draws import BatchDraws, Source
from diffcli.core.randomness import keyed
from diffcli.errors import EnvironmentProblem
from diffcli.ranks.group import Group, Sum
from diffcli.system.device import empty_cache, out_of_memory
from diffcli.training.sharding import shards
from diffcli.training.trainer import BY_ITEM, Trainer

Number = float | Tensor
"""A number; a tensor [] on the device where the step is recorded."""


def backward(trainer: Trainer, x0: Tensor, conditions: Conditions, seed: int, batch: int) -> Tensor:
    """The share of the batch's mean loss that this rank's part has, []; its gradients are under way to all ranks.

    Where memory runs out, half as many items are computed at once from then on: the gradient stays that of the batch.
    Raises EnvironmentProblem where the weights are divided: the other ranks wait for this one in the middle of a pass.
    """
    device, begin = next(trainer.model.parameters()).device, trainer.group.part(batch)[0]
    by_step = keyed(seed, "train", trainer.step)

    def source(here: slice) -> Source:
        sow(seed, trainer.step, begin + here.start)
        if trainer.randomness == BY_ITEM:
            return BatchDraws(seed, trainer.step, begin + here.start, here.stop - here.start, batch, device)
        return by_step

    while True:
        size = trainer.micro or len(x0)
        try:
            return accumulated(trainer, x0, conditions, batch, size, source)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if trainer.divided:
                message = f"memory ran out in process {trainer.group.rank}, which computed {size} items at once"
                hint = f"--set micro_batch={max(1, size // 2)}: processes that share weights cannot find that out"
                raise EnvironmentProblem(message, hint) from error
            if size == 1:
                raise
        trainer.micro = (min(size, len(x0)) + 1) // 2
        trainer.optimizer.forget()
        empty_cache(device)


def accumulated(
    trainer: Trainer, x0: Tensor, conditions: Conditions, batch: int, size: int, source: Callable[[slice], Source]
) -> Tensor:
    """The gradients of this rank's part of a batch, `size` items at once; its share of the mean loss.

    source:  places in this part -> the random numbers of the items there
    """
    device = next(trainer.model.parameters()).device
    total, seen = torch.zeros((), device=device), []
    trainer.model.train()
    for place in range(0, len(x0), size):
        here = slice(place, min(place + size, len(x0)))
        some, told = x0[here], {name: value[here] for name, value in conditions.items()}
        if trainer.randomness == BY_ITEM:
            some, told = sent(some, device), {name: sent(value, device) for name, value in told.items()}
        if place + size >= len(x0):
            trainer.averaging.arm()
        losses = trainer.objective.loss(trainer.model, some, told, source(here))
        loss = losses.each.sum() / batch
        loss.backward()
        total = total + loss.detach()
        seen += [] if losses.seen is None else [losses.seen]
    if seen:
        trainer.seen = torch.cat(seen)
    return total


def sow(seed: int, step: int, first: int) -> None:
    """Seed torch's own random numbers, which are those of dropout. first: place in the batch of the first item"""
    torch.manual_seed(keyed(seed, "train", step, *([first] if first else [])).initial_seed())


def moved(
    trainer: Trainer, loss: Sum, batch: int, *, clip: float, scale: Number, decay: Number, refused: Number
) -> Tensor:
    """Take the step that the gradients point to: loss, gradient norm and how many steps in a row were refused, [3].

    loss:     of the batch
    clip:     longest gradient
    scale:    factor of the learning rates
    decay:    of the average of the weights
    refused:  steps in a row up to the one before
    """
    trainer.averaging.finish()
    if trainer.seen is not None:
        trainer.objective.remember(_of_all(trainer.group, trainer.seen, batch))
        trainer.seen = None
    norm = clipped(trainer, clip)
    mean = loss.wait()
    refuse = ~(mean.isfinite() & norm.isfinite())
    trainer.optimizer.step(scale, refuse)
    if trainer.group.leads or trainer.divided:
        average(trainer.ema, trainer.model, decay)
    return torch.stack([mean, norm, torch.where(refuse, refused + 1.0, 0.0)])


@torch.no_grad()
def clipped(trainer: Trainer, longest: float) -> Tensor:
    """The length of the gradient, [], of all ranks where it is divided; afterwards it is at most `longest`."""
    if not trainer.divided:
        return nn.utils.clip_grad_norm_(trainer.model.parameters(), longest)
    held = list(trainer.optimizer.weights.values())
    own = nn.utils.get_total_norm([shard.grad for shard in held if shard.grad is not None])
    norm = trainer.group.summed(own.square()).wait().sqrt()
    nn.utils.clip_grads_with_norm_(held, longest, norm)
    return norm


def _of_all(group: Group, seen: Tensor, batch: int) -> Tensor:
    """What all ranks have seen, [batch, ...] in the order of the places; nobody asks how many the others have."""
    if group.count == 1:
        return seen
    numbers = seen[0].numel()
    sizes = [replace(group, rank=rank).part(batch)[1] * numbers for rank in range(group.count)]
    return torch.cat(group.every(seen.reshape(-1), sizes)).reshape(batch, *seen.shape[1:])


@torch.no_grad()
def average(ema: nn.Module, model: nn.Module, decay: Number) -> None:
    """ema <- decay * ema + (1 - decay) * model for the weights that are trained; buffers become the model's."""
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    means = [mean for name, mean in shards(ema).items() if name in trained]
    weights = [weight for name, weight in shards(model).items() if name in trained]
    if isinstance(decay, Tensor):
        torch._foreach_mul_(means, decay)
        torch._foreach_add_(means, torch._foreach_mul(weights, 1 - decay))
    else:
        torch._foreach_lerp_(means, weights, 1 - decay)
    for mean, buffer in zip(ema.buffers(), model.buffers(), strict=True):
        mean.copy_(buffer)
