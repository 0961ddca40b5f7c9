"""Held to the KL between two Gaussians in general, at the best variances."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.core.processes.laws.gaussian import Normal
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def independence_gap(covariance: Tensor) -> Tensor:
    """How many nats the bound stays below log p(x) at best, where q has independent units and the posterior does not.

    covariance: S, [L, L], of the posterior N(m, S); symmetric, positive definite

    The least KL(q || N(m, S)) over all q = N(m, diag(v)), v [L] being variances above 0 that may be chosen freely.

    Returns a number, 0 where S is diagonal.
    """
    precision = torch.linalg.inv(covariance)
    return 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision))


def truth(covariance: Tensor) -> Tensor:
    covariance = covariance.double()
    zeros = torch.zeros(len(covariance), dtype=torch.float64)
    best = 1 / torch.linalg.inv(covariance).diagonal()
    return Normal(zeros, torch.diag(best)).kl(Normal(zeros, covariance))


def questions(ask: Ask) -> Iterator[Seen]:
    yield Seen("S [[2, 1.2], [1.2, 1]]", ask(torch.tensor([[2.0, 1.2], [1.2, 1.0]])))
    yield Seen("S diagonal, 0.5 and 3", ask(torch.diag(torch.tensor([0.5, 3.0]))))
    generator = torch.Generator().manual_seed(5)
    for units in (3, 4):
        root = torch.randn(units, units, generator=generator) + torch.eye(units)
        covariance = root @ root.T + 0.3 * torch.eye(units)
        rows = [[round(value, 3) for value in row] for row in covariance.tolist()]
        yield Seen(f"S {rows}", ask(covariance))


WRONG = [
    Swap("no-half", "without the ½", "the KL of two Gaussians, all of which is halved", "0.5 * ", ""),
    Swap("sign", "with the sign turned", "the sign of a divergence", "return 0.5", "return -0.5"),
    Swap("determinant-alone", "with log det S alone", "the other terms: for a diagonal S the gap is 0",
         "precision.diagonal().log().sum() - torch.logdet(precision)", "torch.logdet(covariance)"),
    Swap("determinant-added", "with the logarithm of the determinant added",
         "the sign of log det: for a diagonal S the gap is 0",
         " - torch.logdet(precision)", " + torch.logdet(precision)"),
]  # fmt: skip


@wrong(
    "with the least KL(N(m, S) || q), whose best v are the marginal variances",
    "which of the two the average is over: q avoids what p calls unlikely, and is narrower than the marginals",
)
def other_way_round(covariance: Tensor) -> Tensor:
    return 0.5 * (covariance.diagonal().log().sum() - torch.logdet(covariance))


@wrong(
    "with the marginal variances S_ii in q: a KL in the right direction, but not the least",
    "the derivative of the KL by v_i, which has the diagonal of S⁻¹ in it, not that of S",
)
def marginal_variances(covariance: Tensor) -> Tensor:
    precision, variances = torch.linalg.inv(covariance), covariance.diagonal()
    trace = (precision.diagonal() * variances).sum() - len(variances)
    return 0.5 * (trace + torch.logdet(covariance) - variances.log().sum())


@wrong("with v = 1, the prior's variances", "v, which may be chosen freely")
def prior_variances(covariance: Tensor) -> Tensor:
    precision = torch.linalg.inv(covariance)
    return 0.5 * (precision.trace() - len(precision) + torch.logdet(covariance))


@right
def by_the_divergence(covariance: Tensor) -> Tensor:
    from torch.distributions import MultivariateNormal, kl_divergence

    zeros = torch.zeros(len(covariance))
    best = torch.linalg.inv(covariance).diagonal().reciprocal()
    found: Tensor = kl_divergence(MultivariateNormal(zeros, torch.diag(best)), MultivariateNormal(zeros, covariance))
    return found


@right
def by_numpy(covariance: Tensor) -> float:
    matrix = covariance.numpy().astype(np.float64)
    _, log_det = np.linalg.slogdet(matrix)
    return float((np.log(np.diag(np.linalg.inv(matrix))).sum() + log_det) / 2)


@right
def by_conditional_variances(covariance: Tensor) -> Tensor:
    """The best v_i is the variance of unit i given all others."""
    total = torch.linalg.slogdet(covariance).logabsdet
    for i in range(len(covariance)):
        rest = [j for j in range(len(covariance)) if j != i]
        slope = torch.linalg.solve(covariance[rest][:, rest], covariance[rest][:, i])
        total = total - (covariance[i, i] - slope @ covariance[rest][:, i]).log()
    return total / 2
