"""What importance weights say: the constant that they estimate, how well, and bounds of it."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from diffcli.metrics.statistics import effective_weights, standard_error

SURE = 0.01  # the probability that a bound by Markov's inequality may fail with
ROUNDING = 1e-9  # nats: a standard error below it is none


class LogEstimate(NamedTuple):
    """A number in nats, its standard error, and how many draws of the law aimed at the weights are worth."""

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


class Closing(NamedTuple):
    """Bounds of the constant with so many temperatures, and its estimate, each a value and its standard error."""

    temperatures: int
    lower: tuple[float, float]
    upper: tuple[float, float]
    log_z: tuple[float, float]


def closing(temperatures: int, up: Tensor, down: Tensor) -> Closing:
    """The bounds from log-weights [B] of a run up the ladder and of one down."""
    lower, upper, found = mean_log(up), mean_log(-down), estimate(up)
    return Closing(temperatures, lower[:2], upper[:2], found[:2])


@dataclass(frozen=True)
class ConstantFound:
    """log Z in nats, by every way, beside the truth.

    closings:  the bounds, by rising number of temperatures
    up, down:  the estimates of the runs with the most temperatures; that of the run down is of -log Z
    plain:     the estimate without any moves
    """

    truth: float
    closings: list[Closing]
    up: LogEstimate
    down: LogEstimate
    plain: LogEstimate

    @property
    def last(self) -> Closing:
        """The bounds with the most temperatures."""
        return self.closings[-1]

    @property
    def surely_above(self) -> float:
        """What log Z is above, but with probability `SURE`."""
        return self.up.value - surely(SURE)

    @property
    def surely_below(self) -> float:
        """What log Z is below, but with probability `SURE`."""
        return surely(SURE) - self.down.value

    @property
    def errors_off(self) -> float:
        """How far the estimate of the run up is from the truth, in standard errors."""
        return abs(self.up.value - self.truth) / max(self.up.standard_error, ROUNDING)
