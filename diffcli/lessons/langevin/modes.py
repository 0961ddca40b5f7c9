"""Which modes of a mixture the particles are in, how far within, and what a step of Langevin dynamics does to that."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.diffusion.exact import Mixture
from diffcli.metrics.statistics import standard_error


class ModeWeights(NamedTuple):
    """Numbers with their standard errors."""

    values: list[float]
    errors: list[float]


def responsibilities(law: Mixture, x: Tensor) -> Tensor:
    """P(component | x), [N, K]. Its mean over draws of the law is the component's weight (Bishop 2006, eq. 9.13)."""
    variance = law.stds**2
    logits = law.weights.log() - x.shape[1] / 2 * variance.log() - torch.cdist(x, law.means) ** 2 / (2 * variance)
    return logits.softmax(1)


def weights(law: Mixture, x: Tensor) -> ModeWeights:
    """The weight of each component as independent particles x [N, D] show it."""
    shares = responsibilities(law, x)
    return ModeWeights(shares.mean(0).tolist(), [standard_error(share) for share in shares.T])


def within(law: Mixture, x: Tensor) -> Tensor:
    """The squared distance of each particle [N, D] from its mode, per coordinate, [N].

    Over draws of the law its mean is the mean of the components' variances, `Σ w s²`.
    """
    return (responsibilities(law, x) * torch.cdist(x, law.means) ** 2).sum(1) / x.shape[1]


def inflated(variance: float, step: float) -> float:
    """The variance that unadjusted Langevin dynamics settles at on a Gaussian (Wibisono 2018, section 4.1, by hand).

    x' = (1 - step / 2 s²) x + √step z keeps the variance v = (1 - step / 2 s²)² v + step; inf from step = 4 s² on.
    """
    return variance / (1 - step / (4 * variance)) if step < 4 * variance else math.inf
