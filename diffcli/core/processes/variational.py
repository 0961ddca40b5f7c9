"""Bounds on log p(x) where z is hidden: the evidence lower bound and its importance-weighted relatives, in nats."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from diffcli.core.processes.laws.gaussian import kl

LogLikelihood = Callable[[Tensor], Tensor]
"""z [B, D] -> log p(x | z) [B], x being fixed."""


class Posterior(NamedTuple):
    """The encoder's q(z | x) = N(mean, std²), each [B, D]."""

    mean: Tensor
    std: Tensor

    def at(self, noise: Tensor) -> Tensor:
        """The place of standard normal noise [B, D]: the reparametrisation (Kingma & Welling 2014, section 2.4)."""
        return self.mean + self.std * noise

    def log_density(self, z: Tensor) -> Tensor:
        """log q(z | x) [B]."""
        return log_normal((z - self.mean) / self.std) - self.std.log().sum(1)

    def kl(self) -> Tensor:
        """KL(q(z | x) || p(z)) of each unit, [B, D] (Kingma & Welling 2014, appendix B)."""
        return kl(self.mean, self.std, 0.0, torch.ones_like(self.std))


class Terms(NamedTuple):
    """The two terms of the bound: reconstruction log p(x | z) [B], and the KL of each unit [B, D]."""

    reconstruction: Tensor
    kl: Tensor

    @property
    def elbo(self) -> Tensor:
        """log p(x) is at least this on average over z ~ q, [B] (Kingma & Welling 2014, eq. 3)."""
        return self.reconstruction - self.kl.sum(1)


def log_normal(z: Tensor) -> Tensor:
    """log N(z; 0, 1) of all coordinates of z [B, D], [B]."""
    return -(z.square().sum(1) + z.shape[1] * math.log(2 * math.pi)) / 2


def terms(posterior: Posterior, log_likelihood: LogLikelihood, noise: Tensor) -> Terms:
    """The bound at one z per item: the KL in closed form, the rest from the noise [B, D] (ibid., eq. 7)."""
    return Terms(log_likelihood(posterior.at(noise)), posterior.kl())


def objective(found: Terms, beta: float = 1.0, free_bits: float = 0.0) -> Tensor:
    """The loss to minimise, [B]: -reconstruction + β · KL (Higgins et al. 2017, eq. 4).

    free_bits:  nats that each unit may use for nothing: its KL, averaged over the batch, counts as this if it is
                less (Kingma et al. 2016, eq. 15)
    """
    free = found.kl.mean(0) <= free_bits
    return beta * torch.where(free, free_bits, found.kl).sum(1) - found.reconstruction


def log_weight(posterior: Posterior, log_likelihood: LogLikelihood, noise: Tensor) -> Tensor:
    """log p(x, z) - log q(z | x) [B] at z of the noise [B, D]: exp of it is p(x) on average."""
    z = posterior.at(noise)
    return log_likelihood(z) + log_normal(z) - posterior.log_density(z)


def log_weights(
    posterior: Posterior, log_likelihood: LogLikelihood, samples: int, generator: Generator
) -> Iterator[Tensor]:
    """The log-weights [B] of one sample after the other."""
    for _ in range(samples):
        noise = torch.randn(posterior.mean.shape, generator=generator, dtype=posterior.mean.dtype)
        yield log_weight(posterior, log_likelihood, noise.to(posterior.mean.device))


def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    """log of the mean of exp along a dimension."""
    return values.logsumexp(dim) - math.log(values.shape[dim])


def iwae(weights: Tensor, samples: int) -> Tensor:
    """The importance-weighted bound of `samples` samples, from log-weights [B, K] of K or more, [B].

    Rises with the number of samples, from the evidence lower bound to log p(x) (Burda et al. 2016, theorem 1).
    All whole groups of that many are averaged.
    """
    groups = weights.shape[1] // samples
    grouped = weights[:, : groups * samples].reshape(len(weights), groups, samples)
    return log_mean_exp(grouped, 2).mean(1)


ACTIVE = 0.01


def active_units(means: Tensor) -> Tensor:
    """Which units say anything of the data: the variance over the data of the posterior mean [N, D] is above 0.01, [D].

    Burda et al. 2016, section 5.2.
    """
    return means.var(0) > ACTIVE


def whitened(posterior: Posterior, log_likelihood: LogLikelihood) -> LogLikelihood:
    """log p(x, z) as a density of u = (z - mean) / std [B, D], [B]; its integral over u is p(x).

    There q(z | x) is a standard normal, so that one step size suits all units and images.
    """

    def log_density(u: Tensor) -> Tensor:
        z = posterior.at(u)
        return log_likelihood(z) + log_normal(z) + posterior.std.log().sum(1)

    return log_density
