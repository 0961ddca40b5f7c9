"""Denoisers made of denoisers, and what they are told: conditions, tensors [B, ...] by name."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from diffcli.core.devices import sent
from diffcli.core.diffusion.denoiser import Denoise, Prediction
from diffcli.core.draws import Source, drawn_uniform
from diffcli.core.levels import Level

Conditions = Mapping[str, Tensor]
"""What a denoiser is told of each item: a class, an image, a mask, ... A condition that is absent is not given."""


def dropped(
    conditions: Conditions, nulls: Mapping[str, float], share: float, source: Source,
    others: Mapping[str, float] | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """Conditions [B, ...], each replaced by its null for a share of the items (Ho & Salimans 2022, algorithm 1).

    nulls:  what stands for "not given", by name; a condition without one is always given
    share:  of the items that lose a condition, drawn for each condition by itself
    others: the share of conditions for which it is another, by name
    """
    found, others = {}, others or {}
    for name, value in sorted(conditions.items()):
        found[name] = value
        if name in nulls:
            lost = drawn_uniform(source, f"drop {name}", (len(value),)).to(value.device) < others.get(name, share)
            found[name] = value.masked_fill(lost.reshape(-1, *[1] * (value.dim() - 1)), nulls[name])
    return found


def guided(
    denoise: Denoise,
    scale: float,
    *,
    drop: Collection[str] | None = None,
    interval: tuple[float, float] = (0.0, float("inf")),
    rescale: float = 0.0,
) -> Denoise:
    """Classifier-free guidance: null + scale * (conditional - null), where null is told fewer conditions.

    scale:     1 is the conditional model, 0 the unconditional one. The paper's w is scale - 1
               (Ho & Salimans 2022, eq. 6).
    drop:      the conditions that null is not told, which are those that are followed, by name; None is all
    interval:  noise levels sigma / alpha, above the first and up to the second, outside of which there is no
               guidance (Kynkäänniemi et al. 2024, section 3)
    rescale:   phi in [0, 1]: how far the spread of each clean estimate is brought back to the conditional one's
               (Lin et al. 2024, eq. 15-16)
    """
    if scale == 1:
        return denoise
    low, high = interval

    def mixed(x: Tensor, level: Level, **cond: Any) -> Prediction:
        ratio = level.sigma / level.alpha
        inside = (low < ratio) & (ratio <= high)  # of each item, where the items have levels of their own
        if not inside.any():
            return denoise(x, level, **cond)
        without = denoise(x, level, **{k: v for k, v in cond.items() if drop is not None and k not in drop})
        if scale == 0 and rescale == 0 and inside.all():
            return without
        given = denoise(x, level, **cond)
        x0, eps = (u + scale * (c - u) for u, c in zip(without[:2], given[:2], strict=True))
        if rescale > 0:
            x0 = x0 * (1 - rescale + rescale * _spread(given.x0) / _spread(x0))
            eps = (x - level.alpha * x0) / level.sigma
        if inside.device.type != "cpu" or not inside.all():
            here = sent(inside, x.device)
            x0, eps = (torch.where(here, a, b) for a, b in zip((x0, eps), given[:2], strict=True))
        return Prediction(x0, eps, given.variance_fraction)

    return mixed


def clipped(denoise: Denoise, limit: float = 1.0) -> Denoise:
    """The clean estimate held to [-limit, limit], and the noise that then explains x, as in DDPM's own code."""

    def held(x: Tensor, level: Level, **cond: Any) -> Prediction:
        found = denoise(x, level, **cond)
        x0 = found.x0.clamp(-limit, limit)
        return Prediction(x0, (x - level.alpha * x0) / level.sigma, found.variance_fraction)

    return held


def thresholded(denoise: Denoise, share: float = 0.995, limit: float = 1.0) -> Denoise:
    """Dynamic thresholding: values beyond an image's own quantile are cut, and the rest shrunk until it fits.

    An image whose quantile of |x0| is s > limit is held to [-s, s] and multiplied by limit / s; others are clipped
    (Saharia et al. 2022, section 2.3).

    share:  the quantile, in (0, 1]
    """

    def held(x: Tensor, level: Level, **cond: Any) -> Prediction:
        found = denoise(x, level, **cond)
        x0 = found.x0
        bound = _quantile(x0.flatten(1).abs(), share).clamp(min=limit).reshape(-1, *[1] * (x0.dim() - 1))
        x0 = x0.clamp(-bound, bound) * (limit / bound)
        return Prediction(x0, (x - level.alpha * x0) / level.sigma, found.variance_fraction)

    return held


def _quantile(x: Tensor, share: float) -> Tensor:
    """Of each row of x [B, N], between the two nearest values, [B]: torch's takes no more than 2^24 numbers."""
    ordered, place = x.sort(1).values, share * (x.shape[1] - 1)
    below = math.floor(place)
    return ordered[:, below].lerp(ordered[:, min(below + 1, x.shape[1] - 1)], place - below)


def _spread(x: Tensor) -> Tensor:
    """Standard deviation over each image's values, [B, 1, ..., 1]."""
    return x.flatten(1).std(1).reshape(-1, *[1] * (x.dim() - 1))


GUIDANCE: dict[str, Callable[..., Denoise]] = {"cfg": guided}
"""Ways to follow conditions, by name: (denoise, scale, *, options) -> denoise."""
