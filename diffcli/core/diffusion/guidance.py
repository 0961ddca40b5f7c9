"""Denoisers made of denoisers."""

from typing import Any

from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoise, Prediction
from diffcli.core.diffusion.schedules import Level


def guided(denoise: Denoise, scale: float, **null: Any) -> Denoise:
    """Classifier-free guidance: null + scale * (conditional - null).

    scale:  1 is the conditional model, 0 the unconditional one. The paper's w is scale - 1
            (Ho & Salimans 2022, eq. 6).
    null:   the condition that means "none", e.g. label=None.
    """
    if scale == 1:
        return denoise

    def mixed(x: Tensor, level: Level, **cond: Any) -> Prediction:
        without = denoise(x, level, **{**cond, **null})
        if scale == 0:
            return without
        given = denoise(x, level, **cond)
        return Prediction(*(u + scale * (c - u) for u, c in zip(without, given, strict=True)))

    return mixed


def clipped(denoise: Denoise, limit: float = 1.0) -> Denoise:
    """The clean estimate held to [-limit, limit], and the noise that then explains x, as in DDPM's own code."""

    def held(x: Tensor, level: Level, **cond: Any) -> Prediction:
        x0 = denoise(x, level, **cond).x0.clamp(-limit, limit)
        return Prediction(x0, (x - level.alpha * x0) / level.sigma)

    return held
