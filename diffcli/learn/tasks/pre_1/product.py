"""Held to the package's own product of densities, which `verify` holds to the two densities and to an integral."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.processes.laws.gaussian import Normal
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import parted


def product(
    mean: Tensor, variance: Tensor, other_mean: Tensor, other_variance: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The product of two densities, N(x; mean, variance) N(x; other_mean, other_variance) = c N(x; m, v).

    mean, variance:             [B], variances (not standard deviations) above 0
    other_mean, other_variance: [B], of the second

    Returns (m [B], v [B], log c [B]): mean and variance of the product as a density, and the log of its integral.
    """
    precision = 1 / variance + 1 / other_variance
    m = (mean / variance + other_mean / other_variance) / precision
    total = variance + other_variance
    log_integral = -((mean - other_mean) ** 2) / (2 * total) - 0.5 * torch.log(2 * math.pi * total)
    return m, 1 / precision, log_integral


def truth(mean: Tensor, variance: Tensor, other_mean: Tensor, other_variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    found = []
    for m, v, n, w in torch.stack([mean, variance, other_mean, other_variance], dim=1).double():
        law, constant = Normal(m.reshape(1), v.reshape(1, 1)).times(Normal(n.reshape(1), w.reshape(1, 1)))
        found.append(torch.stack([law.mean[0], law.covariance[0, 0], constant]))
    m, v, constant = torch.stack(found, dim=1)
    return m, v, constant


THREE = "the mean", "the variance", "the log of the integral"


def questions(ask: Ask) -> Iterator[Seen]:
    def numbers(*values: float) -> Tensor:
        return torch.tensor(values)

    def asked(case: str, *given: Tensor) -> Iterator[Seen]:
        for name, found in zip(THREE, parted(ask(*given), *THREE), strict=True):
            yield Seen(f"{case}: {name}", found)

    yield from asked("N(0, 1) times N(2, 1)", numbers(0.0), numbers(1.0), numbers(2.0), numbers(1.0))
    case = "the prior N(0, 1), and 1 seen through noise of variance 0.25"
    yield from asked(case, numbers(0.0), numbers(1.0), numbers(1.0), numbers(0.25))
    mean, variance = numbers(-1.0, 0.5, 3.0, 0.0), numbers(0.3, 2.0, 4.0, 0.01)
    other_mean, other_variance = numbers(0.7, 0.5, -2.0, 1.0), numbers(1.5, 0.2, 9.0, 0.04)
    yield from asked("four pairs at once", mean, variance, other_mean, other_variance)
    case = "N(0, 0.01) times N(9, 0.01), which have next to nothing in common"
    yield from asked(case, numbers(0.0), numbers(0.01), numbers(9.0), numbers(0.01))


WRONG = [
    Swap("sum", "with the variance of a sum, which grows", "what multiplying by a second density does to the spread",
         "return m, 1 / precision,", "return m, total,"),
    Swap("precision-for-variance", "with the precision for the variance", "the sum of the precisions: it is 1/v",
         "return m, 1 / precision,", "return m, precision,"),
    Swap("weights-swapped", "when each mean counts by its variance, not by its precision",
         "which of the two should count more: the one that is known better",
         "(mean / variance + other_mean / other_variance) / precision",
         "(mean * variance + other_mean * other_variance) / (variance + other_variance)"),
    Swap("no-v", "without the factor v in front of the weighted means", "the sum of the weights: it has to divide",
         "(mean / variance + other_mean / other_variance) / precision",
         "mean / variance + other_mean / other_variance"),
    Swap("plain-average", "with the plain average of the means", "the case that one of them is known exactly",
         "(mean / variance + other_mean / other_variance) / precision", "(mean + other_mean) / 2"),
    Swap("stds-add", "with the squared sum of the standard deviations in the integral",
         "what adds: variances", "total = variance + other_variance",
         "total = (variance.sqrt() + other_variance.sqrt()) ** 2"),
    Swap("normalised", "with log c = 0, as if the product were a density already",
         "the integral of the product: two humps far apart have next to none in common",
         "return m, 1 / precision, log_integral", "return m, 1 / precision, 0 * log_integral"),
    Swap("narrow-integral", "with the variance of the product in log c, where the sum of the variances belongs",
         "the density that c is a value of: that of a sum",
         "total = variance + other_variance", "total = 1 / precision"),
    Swap("not-log", "with the integral itself, not its logarithm", "the third of what is returned",
         "1 / precision, log_integral", "1 / precision, log_integral.exp()"),
    Swap("log-total", "with the log of v₁ + v₂ where that of its root belongs",
         "the ½ in ½ log(v₁ + v₂): a density is divided by a standard deviation",
         "- 0.5 * torch.log(2 * math.pi * total)", "- torch.log(total) - 0.5 * math.log(2 * math.pi)"),
    Swap("no-root", "without the ½ of ½ log 2π(v₁ + v₂)", "the root in front of a normal density",
         "- 0.5 * torch.log(2", "- torch.log(2"),
    Swap("no-spread", "without the term ½ log 2π(v₁ + v₂) in the integral", "the density that c is a value of",
         " - 0.5 * torch.log(2 * math.pi * total)", ""),
]  # fmt: skip


@wrong("with the logarithm of an integral that is 0 in floating point", "where the logarithm of c is taken: on paper")
def through_the_integral(
    mean: Tensor, variance: Tensor, other_mean: Tensor, other_variance: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    m, v, log_integral = product(mean, variance, other_mean, other_variance)
    return m, v, torch.log(torch.exp(log_integral.float()))


@wrong("with `variance` taken for the standard deviation", "the kind of what is given: variances")
def stds(mean: Tensor, variance: Tensor, other_mean: Tensor, other_variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return product(mean, variance**2, other_mean, other_variance**2)


@right
def by_a_gain(
    mean: Tensor, variance: Tensor, other_mean: Tensor, other_variance: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """As a Kalman filter does it."""
    gain = variance / (variance + other_variance)
    log_integral = torch.distributions.Normal(other_mean, (variance + other_variance).sqrt()).log_prob(mean)
    return mean + gain * (other_mean - mean), (1 - gain) * variance, log_integral


@right
def by_a_loop(mean: Tensor, variance: Tensor, other_mean: Tensor, other_variance: Tensor) -> list[list[float]]:
    rows = []
    for m, v, n, w in zip(*(t.tolist() for t in (mean, variance, other_mean, other_variance)), strict=True):
        total = v + w
        rows.append(
            [(m * w + n * v) / total, v * w / total, -((m - n) ** 2) / total / 2 - math.log(2 * math.pi * total) / 2]
        )
    return [list(column) for column in zip(*rows, strict=True)]


@right
def by_completing_the_square(
    mean: Tensor, variance: Tensor, other_mean: Tensor, other_variance: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """-a x²/2 + b x + c of each, added."""
    mean, variance, other_mean, other_variance = (t.double() for t in (mean, variance, other_mean, other_variance))
    a, b = 1 / variance + 1 / other_variance, mean / variance + other_mean / other_variance
    c = sum(-m * m / (2 * v) - (2 * math.pi * v).log() / 2 for m, v in ((mean, variance), (other_mean, other_variance)))
    return b / a, 1 / a, c + b * b / (2 * a) + (2 * math.pi / a).log() / 2
