"""The feature likelihood divergence: how well a model's samples explain data that it has never seen."""

import math

import torch
from torch import Tensor

from diffcli.metrics.distances import squared_distances

FLOOR = 1e-6  # of a fitted variance, in units of the training features': that of a copy is 0
LEAST = 1e-30  # training features that belong to a sample, below which its variance is not fitted again
ROUNDS = 50  # of expectation and maximisation at most
ENOUGH = 0.01  # of the training features' score, less than which a round must gain to be the last


def feature_likelihood_divergence(generated: Tensor, train: Tensor, test: Tensor) -> float:
    """-100 / D times the mean log-likelihood of test features [L, D]: the lower the better (Jiralerspong et al. 2023).

    The density is a mixture, with equal weights, of isotropic normal distributions round the generated features
    [N, D], whose variances are fitted to the training features [M, D]. A copy of training data becomes a spike that
    explains nothing else, so copies raise it. All features are standardised by the training ones first. Without the
    paper's constant, which is one number per data set. Variances are at least 10⁻⁶ of the features'.
    """
    mean, std = train.double().mean(0), train.double().std(0)
    std = torch.where(std > 0, std, 1.0)
    generated, train, test = ((features.double() - mean) / std for features in (generated, train, test))
    return _score(generated, fitted_variances(generated, train), test)


def fitted_variances(centres: Tensor, points: Tensor) -> Tensor:
    """Variances [N] of isotropic normals round centres [N, D], equally weighted, that make points [M, D] most likely.

    By expectation and maximisation (Dempster, Laird & Rubin 1977), begun where each centre has its nearest point to
    itself; where next to nothing of any point belongs to a centre, that variance stays. At least `FLOOR`.
    """
    dimensions = centres.shape[1]
    nearest = torch.full((len(centres),), torch.inf, dtype=torch.float64)
    for squares in squared_distances(points, centres):
        nearest = torch.minimum(nearest, squares.min(0).values)
    variances, before = (nearest / dimensions).clamp(min=FLOOR), math.inf
    for _ in range(ROUNDS):
        shares, weighted, likelihood = torch.zeros_like(variances), torch.zeros_like(variances), 0.0
        for squares in squared_distances(points, centres):
            logs = _log_densities(squares, variances, dimensions)
            totals = logs.logsumexp(1, keepdim=True)
            belongs = logs.sub_(totals).exp_()
            shares += belongs.sum(0)
            weighted += (belongs * squares).sum(0)
            likelihood += totals.sum().item()
        fitted = (weighted / (dimensions * shares)).clamp(min=FLOOR)
        variances = torch.where(shares > LEAST, fitted, variances)
        score = -100 * likelihood / (len(points) * dimensions)
        if before - score < ENOUGH:
            break
        before = score
    return variances


def _score(centres: Tensor, variances: Tensor, points: Tensor) -> float:
    """-100 / D times the mean log-density of points [L, D] under the mixture."""
    dimensions = centres.shape[1]
    total = sum(
        _log_densities(squares, variances, dimensions).logsumexp(1).sum().item()
        for squares in squared_distances(points, centres)
    )
    return -100 * total / (len(points) * dimensions)


def _log_densities(squares: Tensor, variances: Tensor, dimensions: int) -> Tensor:
    """log N(x; c, s² I) / N of points from N centres at these squared distances [n, N]."""
    constant = dimensions / 2 * (2 * math.pi * variances).log() + math.log(len(variances))
    return -squares / (2 * variances) - constant
