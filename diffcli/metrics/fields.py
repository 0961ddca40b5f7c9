"""How near one field of vectors is to another, at points of a law."""

import math
from typing import NamedTuple

from torch import Tensor


class Agreement(NamedTuple):
    """Of a field with the true one.

    correlation:        Pearson's, of all coordinates
    cosine:             the mean cosine of the angle between them
    relative_error:     root of the mean squared error over the mean squared length of the true one
    relative_error_se:  its standard error
    """

    correlation: float
    cosine: float
    relative_error: float
    relative_error_se: float


def compare(found: Tensor, true: Tensor) -> Agreement:
    """Vectors [N, D] at N independent points; the standard error is that of a ratio of means (the delta method)."""
    found, true = found.double(), true.double()
    a, b = (field.flatten() - field.mean() for field in (found, true))
    cosine = (found * true).sum(1) / (found.norm(dim=1) * true.norm(dim=1))
    error, size = (field.square().sum(1) for field in (found - true, true))
    ratio = (error.mean() / size.mean()).item()
    spread = (error - ratio * size).std().item() / math.sqrt(len(error)) / size.mean().item()
    relative = math.sqrt(ratio)
    correlation = (a @ b / (a.norm() * b.norm())).item()
    return Agreement(correlation, cosine.mean().item(), relative, spread / (2 * relative) if relative else 0.0)
