"""Probabilistic principal components: z ~ N(0, 1), x = W z + mean + std * eps, all of it in closed form."""

import math

import torch
from torch import Tensor

from diffcli.core.processes.variational import Posterior


def log_density(x: Tensor, weight: Tensor, mean: Tensor, std: float) -> Tensor:
    """log p(x) of points x [B, D], [B]: N(mean, W Wᵀ + std²) (Tipping & Bishop 1999, eq. 4).

    Computed in the latent space: only an L x L matrix is inverted.

    weight:  W, [D, L]
    """
    centred, numbers = x - mean, x.shape[1]
    inner = _inner(weight, std)
    explained = (centred @ weight).unsqueeze(2)
    squares = centred.square().sum(1) - (explained * torch.linalg.solve(inner, explained)).sum((1, 2))
    log_det = 2 * (numbers - weight.shape[1]) * math.log(std) + torch.linalg.slogdet(inner).logabsdet
    return -(numbers * math.log(2 * math.pi) + log_det + squares / std**2) / 2


def posterior(x: Tensor, weight: Tensor, mean: Tensor, std: float) -> tuple[Tensor, Tensor]:
    """Mean [B, L] and covariance [L, L] of z given x [B, D] (ibid., section 3.2)."""
    inverse = torch.linalg.inv(_inner(weight, std))
    return (x - mean) @ weight @ inverse, std**2 * inverse


def diagonal_posterior(x: Tensor, weight: Tensor, mean: Tensor, std: float) -> Posterior:
    """The best independent Gaussian for z given x; it is the posterior itself where W has orthogonal columns."""
    centre, covariance = posterior(x, weight, mean, std)
    width = torch.linalg.inv(covariance).diagonal().rsqrt()
    return Posterior(centre, width.expand_as(centre))


def best_weight(covariance: Tensor, latent: int, std: float) -> Tensor:
    """The most likely W [D, L] for data of this covariance, std being known (ibid., eq. 7, rotated to the axes).

    Directions whose variance is below std² have length 0.
    """
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0)[:latent], vectors.flip(1)[:, :latent]
    return vectors * (values - std**2).clamp(min=0).sqrt()


def mean_log_density(covariance: Tensor, weight: Tensor, std: float) -> Tensor:
    """log p averaged over data of this covariance about the model's mean (ibid., eq. 5, per point)."""
    numbers = len(covariance)
    inner = _inner(weight, std)
    trace = covariance.trace() - (weight * (covariance @ weight @ torch.linalg.inv(inner))).sum()
    log_det = 2 * (numbers - weight.shape[1]) * math.log(std) + torch.linalg.slogdet(inner).logabsdet
    return -(numbers * math.log(2 * math.pi) + log_det + trace / std**2) / 2


def _inner(weight: Tensor, std: float) -> Tensor:
    """Wᵀ W + std², [L, L]."""
    return weight.T @ weight + std**2 * torch.eye(weight.shape[1], dtype=weight.dtype)
