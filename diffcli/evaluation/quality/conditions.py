"""Do images show the class that they were asked for? As a judge reads them."""

from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.evaluation.features.encoders import Encoder
from diffcli.metrics.statistics import standard_error


class ClassReading(NamedTuple):
    """What a judge reads.

    agreement:   share of images read as the class asked for, and its standard error; None where none was asked for
    per_class:   the same of each class asked for, by its number; None for a class that was not
    confidence:  mean of the highest probability
    shares:      of the images, that are read as each class [K]
    imbalance:   half the sum of the differences between these shares and those of the real images, 0 to 1
    """

    agreement: float | None
    agreement_error: float | None
    per_class: list[float | None]
    confidence: float
    shares: list[float]
    imbalance: float


def read_classes(encoder: Encoder, features: Tensor, asked: Tensor | None, real: Tensor) -> ClassReading | None:
    """What a judge reads of features [N, D]; None of an encoder that tells no classes.

    real:  classes of the real images [M], whose shares are to be met
    """
    if encoder.probabilities is None:
        return None
    kinds = len(encoder.classes)
    probabilities = torch.cat([encoder.probabilities(part) for part in features.split(10_000)])
    confidence, read = probabilities.max(1)
    shares = read.bincount(minlength=kinds) / len(read)
    wanted = real.bincount(minlength=kinds) / len(real)
    agreement = error = None
    per_class: list[float | None] = [None] * kinds
    if asked is not None:
        right = (read == asked).double()
        agreement, error = right.mean().item(), standard_error(right)
        per_class = [right[asked == c].mean().item() if (asked == c).any() else None for c in range(kinds)]
    imbalance = (shares - wanted).abs().sum().item() / 2
    return ClassReading(agreement, error, per_class, confidence.mean().item(), shares.tolist(), imbalance)
