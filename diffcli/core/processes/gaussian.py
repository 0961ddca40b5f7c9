"""Gaussians on the way from data to noise, and the one between two of its levels."""

from typing import NamedTuple, Protocol

from torch import Tensor


class HasLevel(Protocol):
    """alpha and sigma of x = alpha * x0 + sigma * eps."""

    @property
    def alpha(self) -> Tensor: ...
    @property
    def sigma(self) -> Tensor: ...


class Bridge(NamedTuple):
    """q(x_s | x_t, x0) = N(of_x * x_t + of_x0 * x0, variance), and the variance of q(x_t | x_s)."""

    of_x: Tensor
    of_x0: Tensor
    variance: Tensor
    forward_variance: Tensor


def bridge(t: HasLevel, s: HasLevel) -> Bridge:
    """The Gaussian at the less noisy level s, given x at level t and the data.

    Ho et al. 2020, eq. 6-7, written for any pair of levels as in Kingma et al. 2021, appendix A.2;
    at s = CLEAN it is the point x0.
    """
    ratio = t.alpha / s.alpha
    forward_variance = t.sigma**2 - ratio**2 * s.sigma**2
    return Bridge(
        of_x=ratio * s.sigma**2 / t.sigma**2,
        of_x0=s.alpha * forward_variance / t.sigma**2,
        variance=forward_variance * s.sigma**2 / t.sigma**2,
        forward_variance=forward_variance,
    )


def kl(mean: Tensor, std: Tensor, other_mean: Tensor | float, other_std: Tensor) -> Tensor:
    """KL(N(mean, std²) || N(other_mean, other_std²)) per coordinate, in nats (Kingma & Welling 2014, appendix B)."""
    ratio = (std / other_std) ** 2
    return ((mean - other_mean) ** 2 / other_std**2 + ratio - 1 - ratio.log()) / 2
