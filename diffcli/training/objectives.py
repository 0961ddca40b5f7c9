"""What the training of a diffusion model minimises: L_simple under any weighting, the bound itself, or both."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, Tensor

from diffcli import specs
from diffcli.core.diffusion import bound
from diffcli.core.diffusion.denoiser import LOG_SNR_LIMIT, Denoiser
from diffcli.core.diffusion.grids import levels
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.diffusion.times import stratified
from diffcli.core.diffusion.weightings import WEIGHTINGS, rate, target_weight
from diffcli.core.levels import Level
from diffcli.data.kinds import kind_of
from diffcli.training.families.base import Objective
from diffcli.training.recipes.diffusion import Recipe

HYBRID = 0.001  # the bound's share in `hybrid` (Nichol & Dhariwal 2021, section 3.1)


def objective(recipe: Recipe) -> Objective:
    """The loss of a recipe, of each item at a random time (Ho et al. 2020, algorithm 1).

    Some labels become the null label (Ho & Salimans 2022, algorithm 1).
    """
    schedule = specs.schedule(recipe.schedule)
    terms = _terms(recipe, schedule)

    def loss(denoiser: Denoiser, x0: Tensor, label: Tensor | None, generator: Generator) -> Tensor:
        device = next(denoiser.parameters()).device
        history = denoiser.history
        t, density = history.draw(len(x0), generator) if history else (stratified(len(x0), generator), None)
        eps = torch.randn(x0.shape, generator=generator)
        if label is not None:
            dropped = torch.rand(len(label), generator=generator) < recipe.label_drop
            label = label.masked_fill(dropped, int(denoiser.network.classes)).to(device)  # type: ignore[arg-type]
        losses = terms(denoiser, x0.to(device), t, eps.to(device), label)
        if history is None or density is None:
            return losses
        if denoiser.training:
            history.record(t, losses)
        return losses / density.to(losses)

    return loss


def _terms(recipe: Recipe, schedule: Schedule) -> Callable[..., Tensor]:
    """(denoiser, x0 [B, ...], t [B], eps like x0, label [B] or None) -> loss [B]."""
    if recipe.objective == "simple":
        return partial(_simple, recipe, schedule)
    chain = bound.stacked(levels(schedule, recipe.chain))

    def with_bound(denoiser: Denoiser, x0: Tensor, t: Tensor, eps: Tensor, label: Tensor | None) -> Tensor:
        """The bound in bits per dimension, as if every step cost what this one does; in hybrid beside L_simple."""
        place = recipe.chain - (t * recipe.chain).ceil().long().clamp(1, recipe.chain)
        column = (-1, *[1] * (x0.dim() - 1))
        here, after = (Level(*(part[i].reshape(column).to(x0.device) for part in chain)) for i in (place, place + 1))
        level = Level(*(part.to(x0) for part in here))
        found = denoiser(level.noised(x0, eps), level, label=label)
        estimate = found.x0.detach() if recipe.objective == "hybrid" else found.x0
        kind, discrete = "learned" if denoiser.learned else "small", kind_of(x0.shape[1:]).bounded
        nats = bound.terms(kind, x0, estimate, here, after, share=found.share, discrete=discrete)
        bits = recipe.chain / math.log(2) * nats.flatten(1).mean(1)
        if recipe.objective == "vlb":
            return bits
        log_snr = here.log_snr.clamp(-LOG_SNR_LIMIT, LOG_SNR_LIMIT).flatten()
        weight = _weight(recipe, log_snr, rate(schedule, t)) * log_snr.exp()
        return weight.to(x0) * (found.x0 - x0).square().flatten(1).mean(1) + HYBRID * bits

    return with_bound


def _weight(recipe: Recipe, log_snr: Tensor, rate: Tensor) -> Tensor:
    """Of the squared error of eps, as the recipe weighs the levels."""
    if recipe.weighting == "target":
        return target_weight(recipe.predict, log_snr)
    return WEIGHTINGS[recipe.weighting](log_snr, rate)


def _simple(
    recipe: Recipe, schedule: Schedule, denoiser: Denoiser, x0: Tensor, t: Tensor, eps: Tensor, label: Tensor | None
) -> Tensor:
    """L_simple: the loss of what is predicted, or that under another weighting of the levels."""
    level = schedule.drawn(t, x0)
    loss = denoiser.loss(x0, level, eps, label=label)
    if recipe.weighting == "target":
        return loss
    log_snr = level.log_snr.double().flatten().clamp(-LOG_SNR_LIMIT, LOG_SNR_LIMIT).cpu()
    ratio = _weight(recipe, log_snr, rate(schedule, t)) / target_weight(recipe.predict, log_snr)
    return ratio.to(loss) * loss
