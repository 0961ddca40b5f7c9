"""What importance weights say: the constant that they estimate, how well, and bounds of it."""

import math
from typing import NamedTuple

from torch import Tensor

from diffcli.metrics.statistics import effective_weights, standard_error


class LogEstimate(NamedTuple):
    """A number in nats, its standard error, and how many draws of the target the weights are worth."""

    value: float
    standard_error: float
    effective: float


def log_mean(log_weights: Tensor) -> float:
    """log of the mean of exp(log_weights) [N]."""
    return (log_weights.double().logsumexp(0) - math.log(len(log_weights))).item()


def estimate(log_weights: Tensor) -> LogEstimate:
    """log of the mean weight, with the standard error of the mean over the mean (the delta method).

    The logarithm makes it a stochastic lower bound of the truth (Jensen). Where a few of the weights [N] are nearly
    all of their sum, the error is as wrong as the value: it knows nothing of what was not drawn. Both are infinite
    where all weights are 0.
    """
    value, effective = log_mean(log_weights), effective_weights(log_weights.double())
    if not math.isfinite(value):
        return LogEstimate(value, math.inf, effective)
    relative = (log_weights.double() - value).exp()
    return LogEstimate(value, standard_error(relative), effective)


def mean_log(log_weights: Tensor) -> LogEstimate:
    """The mean of the log-weights [N], whose expectation is a lower bound of log E[exp(log_weight)] (Jensen)."""
    return LogEstimate(log_weights.double().mean().item(), standard_error(log_weights), len(log_weights))


def surely(probability: float) -> float:
    """nats by which log of a mean weight is above the truth with at most this probability, by Markov's inequality.

    Grosse, Ghahramani & Adams 2015.
    """
    return -math.log(probability)
