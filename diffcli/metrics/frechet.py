"""The Fréchet distance of two sets of features: that of the normal distributions with their means and covariances."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """What the Fréchet distance knows of a set of features.

    count:       of features
    mean:        [D], float64
    covariance:  [D, D], float64, with the divisor count - 1
    """

    count: int
    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "Moments":
        """Of features [N, D]; raises ValueError where there are fewer than two."""
        return moments([features])

    @property
    def singular(self) -> bool:
        """Whether there are too few features to span their space, so that some directions have no variance at all."""
        return self.count < len(self.mean) + 1


def moments(parts: Iterable[Tensor]) -> Moments:
    """The moments of features that come in parts [n, D] of any size, of which none is kept.

    Counts, means and centred sums of products are merged, which is stable wherever the mean lies (Chan, Golub &
    LeVeque 1979). Raises ValueError where there are fewer than two features.
    """
    count, mean, scatter = 0, torch.zeros(()), torch.zeros(())
    for part in parts:
        if not len(part):
            continue
        features = part.double()
        of_part = features.mean(0)
        centred = features - of_part
        gap, total = of_part - mean, count + len(part)
        scatter = scatter + centred.T @ centred + gap.outer(gap) * (count * len(part) / total)
        mean = mean + gap * (len(part) / total)
        count = total
    if count < 2:
        raise ValueError(f"a covariance needs two features at least, not {count}")
    return Moments(count, mean, scatter / (count - 1))


def shrunk(features: Tensor) -> Moments:
    """Moments of features [N, D] whose covariance is drawn towards a multiple of the identity (Ledoit & Wolf 2004).

    The share is the one of their lemma 3.4, with the least expected squared error for any law; the trace stays that of
    the sample. The result has full rank also where there are fewer features than dimensions. How sure the covariance
    is shows in the fourth moments, which `Moments` do not have: so this needs the features.
    """
    plain = Moments.of(features)
    count, dimensions = features.shape
    covariance = plain.covariance * ((count - 1) / count)
    level = covariance.trace() / dimensions
    target = level * torch.eye(dimensions, dtype=torch.float64)
    spread = (covariance - target).square().sum()
    fourth = (features.double() - plain.mean).square().sum(1).square().mean()
    noise = (fourth - covariance.square().sum()) / count
    share = (noise / spread).clamp(0, 1) if spread > 0 else torch.ones((), dtype=torch.float64)
    mixed = share * target + (1 - share) * covariance
    return Moments(count, plain.mean, mixed * (count / (count - 1)))


def frechet_distance(a: Moments, b: Moments) -> float:
    """|m_a - m_b|² + tr A + tr B - 2 tr (A^½ B A^½)^½, never negative (Heusel et al. 2017, eq. 6).

    The eigenvalues of A^½ B A^½ are those of A B, but of a symmetric matrix: so no root is complex, whatever the ranks.
    It has the unit of a squared feature. Where a covariance is singular (`Moments.singular`) it is still a number, and
    grossly too large or too small for the law that the features came from; whoever calls decides what to do then.
    """
    root = square_root(a.covariance)
    return distance_of(
        (a.mean - b.mean).square().sum(), a.covariance.trace() + b.covariance.trace(), root @ b.covariance @ root
    )


def square_root(matrix: Tensor) -> Tensor:
    """The symmetric square root of a covariance matrix [D, D]."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def distance_of(gap: Tensor, traces: Tensor, product: Tensor) -> float:
    """The Fréchet distance of the squared gap between the means, the sum of the traces, and A^½ B A^½ [D, D]."""
    roots = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt().sum()
    return max(0.0, (gap + traces - 2 * roots).item())
