"""What the training of a diffusion model minimises: L_simple under any weighting, the bound itself, or both."""

import functools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from diffcli import specs
from diffcli.core.devices import sent, widest
from diffcli.core.diffusion import bound
from diffcli.core.diffusion.denoiser import LOG_SNR_LIMIT
from diffcli.core.diffusion.grids import levels
from diffcli.core.diffusion.guidance import Conditions, dropped
from diffcli.core.diffusion.latent import drawn_latents
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.diffusion.times import LossHistory, stratified
from diffcli.core.diffusion.weightings import WEIGHTINGS, rate, target_weight
from diffcli.core.draws import Source, drawn_normal
from diffcli.core.levels import Level
from diffcli.data.kinds import HINT, LATENTS, Items
from diffcli.training.hinting import hinted
from diffcli.training.recipes.diffusion import Recipe
from diffcli.training.trainer import Losses, Objective

HYBRID = 0.001  # the bound's share in `hybrid` (Nichol & Dhariwal 2021, section 3.1)

LossAt = Callable[..., Tensor]
"""(denoiser, x0 [B, ...], t [B], eps like x0, conditions) -> loss [B]."""


def objective(recipe: Recipe, items: Items) -> Objective:
    """The loss of each item at a random time (Ho et al. 2020, algorithm 1), some of its conditions dropped."""
    schedule = specs.schedule(recipe.schedule)
    losses = _losses(recipe, schedule, discrete=items.kind.bounded)
    without_hint = {HINT: recipe.control.own().get("drop", 0.0)}
    history = LossHistory() if recipe.objective.draws == "importance" else None

    def loss(denoiser: Any, x0: Tensor, conditions: Conditions, source: Source) -> Losses:
        device = next(denoiser.parameters()).device
        t, density = stratified(len(x0), source), None
        if history:
            t, density = history.draw(sent(t.to(history.losses.dtype), device))
        conditions = hinted(recipe, x0, conditions)
        if items.kind is LATENTS:
            x0 = drawn_latents(x0, drawn_normal(source, "latent", (len(x0), *items.shape)))
        eps = drawn_normal(source, "noise", x0.shape)
        nulls = getattr(denoiser.network, "nulls", {})
        told = dropped(conditions, nulls, recipe.objective.drop, source, without_hint)
        told = {name: sent(value, device) for name, value in told.items()}
        found: Tensor = losses(denoiser, sent(x0, device), t, sent(eps, device), told)
        if density is None:
            return Losses(found)
        return Losses(found / density.to(found.dtype), torch.stack([t, found.detach().to(t.dtype)], 1))

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

    @functools.cache
    def chain_on(device: torch.device) -> Level:
        return Level(*(part.to(device, widest(device)) for part in chain))

    def with_bound(denoiser: Any, x0: Tensor, t: Tensor, eps: Tensor, conditions: Conditions) -> Tensor:
        """The bound in bits per dimension, as if every step cost what this one does; in hybrid beside L_simple."""
        place = wanted.chain - (t * wanted.chain).ceil().long().clamp(1, wanted.chain)
        column = (-1, *[1] * (x0.dim() - 1))
        pair = [Level(*(part[i].reshape(column) for part in chain_on(t.device))) for i in (place, place + 1)]
        here, after = (_sent(level, x0.device, widest(x0.device)) for level in pair)
        level = Level(*(part.to(x0) for part in here))
        found = denoiser(level.noised(x0, eps), level, **conditions)
        estimate = found.x0.detach() if wanted.name == "hybrid" else found.x0
        kind = "learned" if denoiser.learned else "small"
        nats = bound.terms(kind, x0, estimate, here, after, fraction=found.variance_fraction, discrete=discrete)
        bits = wanted.chain / math.log(2) * nats.flatten(1).mean(1)
        if wanted.name == "vlb":
            return bits
        log_snr = pair[0].log_snr.clamp(-LOG_SNR_LIMIT, LOG_SNR_LIMIT).flatten()
        weight = (_weight(wanted, log_snr, rate(schedule, t)) * log_snr.exp()).to(x0.dtype)
        return sent(weight, x0.device) * (found.x0 - x0).square().flatten(1).mean(1) + HYBRID * bits

    return with_bound


def _sent(level: Level, device: torch.device, dtype: torch.dtype) -> Level:
    """A level on its way to a device, which need not have the type that it comes in."""
    return Level(*(sent(part.to(dtype), device) for part in level))


def _weight(wanted: Any, log_snr: Tensor, rate: Tensor) -> Tensor:
    """The weight of the squared error of eps, as the objective's keys weigh the levels."""
    if wanted.weighting == "target":
        return target_weight(wanted.predict, log_snr)
    return WEIGHTINGS[wanted.weighting](log_snr, rate)


def _simple(
    wanted: Any, schedule: Schedule, denoiser: Any, x0: Tensor, t: Tensor, eps: Tensor, conditions: Conditions
) -> Tensor:
    """L_simple: the loss of what is predicted, or that under another weighting of the levels."""
    wide = schedule(schedule.training_time(t).reshape(-1, *[1] * (x0.dim() - 1)))
    level = Level(*(part.to(x0.dtype) for part in wide))  # where the times are
    loss: Tensor = denoiser.loss(x0, _sent(level, x0.device, x0.dtype), eps, **conditions)
    if wanted.weighting == "target":
        return loss
    log_snr = level.log_snr.to(t.dtype).flatten().clamp(-LOG_SNR_LIMIT, LOG_SNR_LIMIT)
    ratio = _weight(wanted, log_snr, rate(schedule, t)) / target_weight(wanted.predict, log_snr)
    return sent(ratio.to(loss.dtype), loss.device) * loss
