"""What the training of a diffusion model minimises: L_simple under any weighting, the bound itself, or both."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from diffcli import specs
from diffcli.core.diffusion import bound
from diffcli.core.diffusion.denoiser import LOG_SNR_LIMIT
from diffcli.core.diffusion.grids import levels
from diffcli.core.diffusion.guidance import Conditions, dropped
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.diffusion.times import LossHistory, stratified
from diffcli.core.diffusion.weightings import WEIGHTINGS, rate, target_weight
from diffcli.core.draws import Source, drawn_normal
from diffcli.core.levels import Level
from diffcli.data.kinds import Items
from diffcli.training.fit import Losses, Objective
from diffcli.training.recipes.diffusion import Recipe

HYBRID = 0.001  # the bound's share in `hybrid` (Nichol & Dhariwal 2021, section 3.1)

LossAt = Callable[..., Tensor]
"""(denoiser, x0 [B, ...], t [B], eps like x0, conditions) -> loss [B]."""


def objective(recipe: Recipe, items: Items) -> Objective:
    """The loss of each item at a random time (Ho et al. 2020, algorithm 1), some of its conditions dropped."""
    schedule = specs.schedule(recipe.schedule)
    losses = _losses(recipe, schedule, discrete=items.kind.bounded)
    history = LossHistory() if recipe.objective.draws == "importance" else None

    def loss(denoiser: Any, x0: Tensor, conditions: Conditions, source: Source) -> Losses:
        device = next(denoiser.parameters()).device
        t, density = history.draw(len(x0), source) if history else (stratified(len(x0), source), None)
        eps = drawn_normal(source, "noise", x0.shape)
        told = dropped(conditions, getattr(denoiser.network, "nulls", {}), recipe.objective.drop, source)
        told = {name: value.to(device) for name, value in told.items()}
        found: Tensor = losses(denoiser, x0.to(device), t, eps.to(device), told)
        if history is None or density is None:
            return Losses(found)
        seen = torch.stack([t, found.detach().cpu().to(t)], 1)
        return Losses(found / density.to(found.dtype).to(device), seen)

    def remember(seen: Tensor) -> None:
        assert history is not None
        history.record(*seen.unbind(1))

    return Objective(loss, history, remember)


def _losses(recipe: Recipe, schedule: Schedule, *, discrete: bool) -> LossAt:
    """The loss of a recipe at given times and noises. discrete: whether the data are 8-bit values."""
    wanted = recipe.objective
    if wanted.name == "simple":
        return partial(_simple, wanted, schedule)
    chain = bound.stacked(levels(schedule, wanted.chain))

    def with_bound(denoiser: Any, x0: Tensor, t: Tensor, eps: Tensor, conditions: Conditions) -> Tensor:
        """The bound in bits per dimension, as if every step cost what this one does; in hybrid beside L_simple."""
        place = wanted.chain - (t * wanted.chain).ceil().long().clamp(1, wanted.chain)
        column = (-1, *[1] * (x0.dim() - 1))
        here, after = (Level(*(part[i].reshape(column).to(x0.device) for part in chain)) for i in (place, place + 1))
        level = Level(*(part.to(x0) for part in here))
        found = denoiser(level.noised(x0, eps), level, **conditions)
        estimate = found.x0.detach() if wanted.name == "hybrid" else found.x0
        kind = "learned" if denoiser.learned else "small"
        nats = bound.terms(kind, x0, estimate, here, after, fraction=found.variance_fraction, discrete=discrete)
        bits = wanted.chain / math.log(2) * nats.flatten(1).mean(1)
        if wanted.name == "vlb":
            return bits
        log_snr = here.log_snr.clamp(-LOG_SNR_LIMIT, LOG_SNR_LIMIT).flatten()
        weight = _weight(wanted, log_snr, rate(schedule, t)) * log_snr.exp()
        return weight.to(x0) * (found.x0 - x0).square().flatten(1).mean(1) + HYBRID * bits

    return with_bound


def _weight(wanted: Any, log_snr: Tensor, rate: Tensor) -> Tensor:
    """The weight of the squared error of eps, as the objective's keys weigh the levels."""
    if wanted.weighting == "target":
        return target_weight(wanted.predict, log_snr)
    return WEIGHTINGS[wanted.weighting](log_snr, rate)


def _simple(
    wanted: Any, schedule: Schedule, denoiser: Any, x0: Tensor, t: Tensor, eps: Tensor, conditions: Conditions
) -> Tensor:
    """L_simple: the loss of what is predicted, or that under another weighting of the levels."""
    level = schedule.training_level(t, x0)
    loss: Tensor = denoiser.loss(x0, level, eps, **conditions)
    if wanted.weighting == "target":
        return loss
    log_snr = level.log_snr.double().flatten().clamp(-LOG_SNR_LIMIT, LOG_SNR_LIMIT).cpu()
    ratio = _weight(wanted, log_snr, rate(schedule, t)) / target_weight(wanted.predict, log_snr)
    return ratio.to(loss) * loss
