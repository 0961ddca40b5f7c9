"""What draws are worth: their moments with standard errors, effective size, cost, and a test against their law."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.processes.laws.line import Law
from diffcli.core.processes.laws.plane import TableLaw
from diffcli.core.processes.montecarlo.methods import Batch
from diffcli.metrics.statistics import (
    autocorrelation_time,
    chi2_p_value,
    effective_weights,
    kolmogorov_distance,
    ks_p_value,
)

PER_CELL = 10  # draws that a cell of the chi-squared test expects, at least
MOST_CELLS = 10  # along each side of the plane
FEWEST = 8  # draws with which a test still says something


class CoordinateEstimate(NamedTuple):
    """A number per coordinate and its standard error, [D] each."""

    value: Tensor
    error: Tensor


class Worth(NamedTuple):
    """What a sample knows of its law.

    time:        autocorrelation time, in moves; 1 for independent draws
    effective:   how many independent draws would know the mean and the spread as well
    cost:        evaluations per effective draw
    p_value:     of the test against the law; nan if there are too few effective draws
    tested:      how many draws the test counts as independent
    """

    mean: CoordinateEstimate
    std: CoordinateEstimate
    time: float
    effective: float
    acceptance: float
    cost: float
    p_value: float
    tested: float


def joined(batches: list[Batch]) -> Batch:
    """All batches as one."""
    weighted = batches[0].log_weights is not None
    weights = torch.cat([b.log_weights for b in batches if b.log_weights is not None]) if weighted else None
    accepted, proposals, evaluations = (sum(numbers) for numbers in list(zip(*batches, strict=True))[1:4])
    return Batch(torch.cat([b.x for b in batches]), accepted, proposals, evaluations, weights)


def worth(sample: Batch, law: Law, *, chained: bool) -> Worth:
    """What a whole sample is worth. chained: whether its states depend on those before."""
    values = law.worth(sample.x.flatten(0, 1)).reshape(sample.x.shape)
    weights = None if sample.log_weights is None else sample.log_weights.flatten()
    times = [1.0]
    if weights is not None:
        mean, std = weighted_moments(values.flatten(0, 1), weights)
        effective, tested = effective_weights(weights), effective_weights(weights)
        p_value = p_value_of(sample.x.flatten(0, 1), law, tested, weights)
    else:
        mean, std, times = chain_moments(values, chained=chained)
        effective = values.shape[0] * values.shape[1] / max(times)
        thin = thinned(sample.x, law) if chained else sample.x
        tested = thin.shape[0] * thin.shape[1]
        p_value = p_value_of(thin.flatten(0, 1), law, tested)
    cost = sample.evaluations / effective if effective > 0 else math.inf
    acceptance = sample.accepted / sample.proposals
    return Worth(mean, std, max(times), effective, acceptance, cost, p_value, tested)


def chain_moments(values: Tensor, *, chained: bool) -> tuple[CoordinateEstimate, CoordinateEstimate, list[float]]:
    """Mean and standard deviation of chains of values [S, C, D]; the times of every coordinate and of its square.

    The error of the spread is that of the variance over twice the spread.
    """
    count = values.shape[0] * values.shape[1]
    mean, std = values.mean((0, 1)), values.flatten(0, 1).std(0)
    squares = (values - mean) ** 2
    times = [autocorrelation_time(v[..., i]) if chained else 1.0 for v in (values, squares) for i in range(len(mean))]
    of_mean, of_square = torch.tensor(times, dtype=torch.float64).reshape(2, -1)
    error = std * (of_mean / count).sqrt()
    spread_error = squares.flatten(0, 1).std(0) * (of_square / count).sqrt() / (2 * std)
    return CoordinateEstimate(mean, error), CoordinateEstimate(std, spread_error), times


def weighted_moments(values: Tensor, log_weights: Tensor) -> tuple[CoordinateEstimate, CoordinateEstimate]:
    """Self-normalised: Σ w x / Σ w, error √Σ w² (x - mean)² / Σ w (Owen 2013, eq. 9.9), and the spread likewise."""
    shares = log_weights.softmax(0).unsqueeze(1)
    mean = (shares * values).sum(0)
    squares = (values - mean) ** 2
    std = (shares * squares).sum(0).sqrt()
    error = (shares**2 * squares).sum(0).sqrt()
    spread_error = (shares**2 * (squares - std**2) ** 2).sum(0).sqrt() / (2 * std)
    return CoordinateEstimate(mean, error), CoordinateEstimate(std, spread_error)


def plain_moments(values: Tensor, log_weights: Tensor) -> tuple[CoordinateEstimate, CoordinateEstimate]:
    """Not normalised: the mean of w x, and of w, whose truth is 1; each with its standard error."""
    weights = log_weights.exp().unsqueeze(1)
    root = math.sqrt(len(values))
    return tuple(CoordinateEstimate(v.mean(0), v.std(0) / root) for v in (weights * values, weights))  # type: ignore[return-value]


def thinned(x: Tensor, law: Law) -> Tensor:
    """Every so many states of chains [S, C, D] that the rest are nearly independent: two of the longest times.

    The times are those of the distribution function and of its distance from 1/2, which see where draws lie and how
    far out, whatever the tails.
    """
    u = (law.worth(x.flatten(0, 1)) if law.discrete else law.cdf(x.flatten(0, 1))).reshape(x.shape)
    middle = u.mean() if law.discrete else 0.5
    kinds = (u, (u - middle).abs())
    longest = max(autocorrelation_time(v[..., i]) for v in kinds for i in range(x.shape[2]))
    return x if longest < 1.1 else x[:: math.ceil(2 * min(longest, len(x)))]


def p_value_of(x: Tensor, law: Law, count: float, log_weights: Tensor | None = None) -> float:
    """The p-value of a test of points [N, D] against a law; they count as so many independent draws, nan for too few.

    On the line Kolmogorov's test. In the plane Pearson's, on squares of the distribution functions, all equally
    probable; on a table over its entries. Weighted points have a weighted share in both, and their effective count in
    the p-value, which is an approximation.
    """
    if count < FEWEST:
        return math.nan
    shares = torch.full((len(x),), 1 / len(x), dtype=torch.float64) if log_weights is None else log_weights.softmax(0)
    if isinstance(law, TableLaw):
        return pearson(x[:, 0].long(), law.p, shares, count)
    u = law.cdf(x)
    if law.dim == 1:
        return ks_p_value(kolmogorov_distance(u[:, 0], shares), count)
    side = int(min(MOST_CELLS, math.sqrt(count / PER_CELL)))
    places = (side * u).long().clamp(max=side - 1)
    return pearson(
        side * places[:, 0] + places[:, 1], torch.full((side**2,), side**-2.0, dtype=torch.float64), shares, count
    )


def pearson(cell: Tensor, probabilities: Tensor, shares: Tensor, count: float) -> float:
    """The p-value of Pearson's test of points in cells [N] that hold shares of 1 and count as `count` draws.

    Neighbours are put together until they expect `PER_CELL` draws; nan if there are no two such groups.
    """
    groups = grouped(probabilities * count)
    size = int(groups.max()) + 1
    wanted, got = torch.zeros(2, size, dtype=torch.float64)
    wanted.index_add_(0, groups, probabilities)
    got.index_add_(0, groups[cell], shares)
    if size < 2:
        return math.nan
    return chi2_p_value(count * ((got - wanted) ** 2 / wanted).sum().item(), size - 1)


def grouped(expected: Tensor) -> Tensor:
    """The group of every cell [K]: each begins where the one before expects enough, and the last is large enough."""
    groups, have, number = [], 0.0, 0
    for value in expected.tolist():
        if have >= PER_CELL * (1 - 1e-9):
            have, number = 0.0, number + 1
        have += value
        groups.append(number)
    last = number if have >= PER_CELL * (1 - 1e-9) else max(0, number - 1)
    return torch.tensor(groups).clamp(max=last)
