"""Training: `fit` yields once per optimiser step. No clock, no file, no printing here."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from diffcli.training.progress import LOOK_EVERY, Progress, check, read
from diffcli.training.recording import Recorder
from diffcli.training.step import backward, moved
from diffcli.training.trainer import Trainer

Batches = Callable[[int], Iterator[tuple[Tensor, dict[str, Tensor]]]]
"""Place in the stream of items -> batches from there: x0 [B, ...], and conditions [B, ...] by name."""


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
    record: bool = True,
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
    record:  whether a GPU may play steps back: a loss of the user's may count on being called each time

    Raises Diverged after three refused steps in a row; a refused step (nan or inf) changes no weight. On an accelerator
    nothing is waited for but now and then, so there it may go on for up to LOOK_EVERY steps before it raises.
    """
    stream, group = batches(trainer.step * batch), trainer.group
    device = next(trainer.model.parameters()).device
    recorder = Recorder(trainer, seed=seed, batch=batch, clip=clip) if record else None
    unread: list[Progress] = []
    refused = torch.zeros((), device=device)
    while trainer.step < trainer.plan.total:
        step = trainer.step
        x0, conditions = next(stream)
        scale = min(1, (step + 1) / warmup) * (1 + math.cos(math.pi * trainer.plan.at(step))) / 2
        decay = min(ema, (1 + step) / (10 + step))
        measured = None
        if recorder is not None:
            measured = recorder.step(x0, conditions, scale=scale, decay=decay, refused=refused)
        if measured is None:
            loss = group.summed(backward(trainer, x0, conditions, seed, batch))
            measured = moved(trainer, loss, batch, clip=clip, scale=scale, decay=decay, refused=refused)
        refused = measured[2]
        trainer.step += 1
        wish = group.summed(torch.tensor(float(stop())))
        unread.append(Progress(trainer.step, scale, wish.wait().item() > 0, measured))
        if device.type == "cpu" or trainer.step % LOOK_EVERY == 0 or trainer.step >= trainer.plan.total:
            read(unread)
        yield unread[-1]
        if unread[-1].known:
            check(unread)
            unread.clear()
