"""Which of several settings to take: the cheapest that cannot be told from the best."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

NEAR = 2.0  # standard errors of a paired difference within which a setting is as good as the best


class Verdict(NamedTuple):
    """Places among the settings: of the smallest distance, and of the cheapest that is as good."""

    lowest: int
    best: int


def verdict_of(distances: Sequence[float], errors: Tensor, evaluations: Sequence[float]) -> Verdict:
    """The verdict on K settings.

    errors:       standard errors of the differences of any two distances, measured on the same start noise, [K, K]
    evaluations:  of the network per image; of two that cost the same the one with the smaller distance is taken
    """
    places = range(len(distances))
    lowest = min(places, key=lambda i: distances[i])
    good = [i for i in places if distances[i] - distances[lowest] <= NEAR * errors[i, lowest].item()]
    return Verdict(lowest, min(good, key=lambda i: (evaluations[i], distances[i])))
