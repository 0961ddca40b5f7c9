"""The Fréchet distance against closed forms, and the moments that it is made of against sums written out."""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.metrics.frechet import Moments, frechet_distance, moments, shrunk


def normal(*shape: int, seed: int) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def law(mean: list[float], covariance: list[list[float]]) -> Moments:
    """Moments as of ten thousand features."""
    return Moments(10_000, torch.tensor(mean).double(), torch.tensor(covariance).double())


@check(
    "|m - n|² + Σ (√a - √b)² where the covariances commute; in the plane tr (AB)^½ = √(tr AB + 2 √det AB) always",
    "Dowson & Landau 1982, eq. 4; Heusel et al. 2017, eq. 6",
)
def frechet_closed_forms() -> Iterator[Finding]:
    a, b = law([1, 2, 0], [[4, 0, 0], [0, 1, 0], [0, 0, 9]]), law([0, 2, 2], [[1, 0, 0], [0, 25, 0], [0, 0, 9]])
    yield near("diagonal", 1 + 4 + (2 - 1) ** 2 + (1 - 5) ** 2, frechet_distance(a, b), rel=1e-12)
    rotation = torch.linalg.qr(normal(3, 3, seed=1)).Q
    turned = [Moments(9, rotation @ x.mean, rotation @ x.covariance @ rotation.T) for x in (a, b)]
    yield near("turned", 22, frechet_distance(*turned), rel=1e-12)
    p, q = [[3.0, 1.0], [1.0, 2.0]], [[1.0, -0.5], [-0.5, 4.0]]
    product = 3 * 1 + 1 * -0.5 + 1 * -0.5 + 2 * 4
    wanted = 0.25 + 5 + 5 - 2 * math.sqrt(product + 2 * math.sqrt((6 - 1) * (4 - 0.25)))
    for name, one, other in (
        ("plane", law([0, 0.5], p), law([0, 0], q)),
        ("swapped", law([0, 0], q), law([0, 0.5], p)),
    ):
        yield near(name, wanted, frechet_distance(one, other), rel=1e-12)
    yield near("with itself", 0, frechet_distance(law([1, 1], p), law([1, 1], p)), abs=1e-14)
    u, v = torch.tensor([3.0, 4.0]).double(), torch.tensor([1.0, -2.0]).double()
    of_u, of_v = (Moments(2, torch.zeros(2).double(), w.outer(w)) for w in (u, v))
    yield near("of rank one", 25 + 5 - 2 * 5, frechet_distance(of_u, of_v), abs=1e-6)  # a root of rounding
    few = [Moments.of(normal(5, 20, seed=seed)) for seed in (2, 3)]
    yield near("few in 20 dimensions", frechet_distance(*few), frechet_distance(*reversed(few)), rel=1e-6)
    yield near("and with itself", 0, frechet_distance(few[0], few[0]), abs=1e-6)


@check(
    "moments of parts of any size are those of the whole, far from 0 too, with the divisor N - 1",
    "Chan, Golub & LeVeque 1979, eq. 2.1",
)
def moments_in_parts() -> Iterator[Finding]:
    for far in (0.0, 1e6):
        features = (normal(23, 3, seed=4) * torch.tensor([1.0, 2.0, 0.5]) + far).float().double()
        rows = [[Fraction(value) for value in row] for row in features.tolist()]
        mean = [sum(column) / 23 for column in zip(*rows, strict=True)]
        covariance = [
            [float(sum((row[i] - mean[i]) * (row[j] - mean[j]) for row in rows) / 22) for j in range(3)]
            for i in range(3)
        ]
        for sizes in ([23], [1, 1, 0, 2, 19], [12, 11]):
            found = moments(features.float().split(sizes))
            yield near(f"count of {sizes}", 23, found.count)
            yield near(
                f"mean of {sizes} at {far}",
                torch.tensor([float(m) for m in mean], dtype=torch.float64),
                found.mean,
                rel=1e-14,
            )
            wanted = torch.tensor(covariance, dtype=torch.float64)
            yield near(f"covariance of {sizes} at {far}", wanted, found.covariance, rel=1e-9, abs=1e-9)
    for count, singular in ((3, 1), (4, 0)):
        yield near(f"{count} in 3 dimensions", singular, float(Moments.of(normal(count, 3, seed=5)).singular))


@check(
    "shrinkage mixes in the share b² / d² of the mean variance; it nears the truth and keeps the trace",
    "Ledoit & Wolf 2004, lemmas 3.2 to 3.4, eq. 14",
)
def shrinkage() -> Iterator[Finding]:
    for count, dimensions in ((12, 3), (6, 9), (40, 2)):
        scales = torch.arange(1, dimensions + 1, dtype=torch.float64).sqrt()
        features = normal(count, dimensions, seed=count) * scales + 3
        found, plain = shrunk(features), Moments.of(features)
        case = f"{count} in {dimensions} dimensions"
        centred = features - features.mean(0)
        sample = sum((row.outer(row) for row in centred), torch.zeros_like(plain.covariance)) / count
        level = sum(sample[i, i].item() for i in range(dimensions)) / dimensions
        target = torch.diag(torch.full((dimensions,), level, dtype=torch.float64))
        d2 = (sample - target).square().sum().item() / dimensions
        b2 = sum((row.outer(row) - sample).square().sum().item() / dimensions for row in centred) / count**2
        share = min(b2, d2) / d2
        wanted = (share * target + (1 - share) * sample) * count / (count - 1)
        yield near(f"covariance of {case}", wanted, found.covariance, rel=1e-10, abs=1e-12)
        yield near(f"trace of {case}", plain.covariance.trace(), found.covariance.trace(), rel=1e-12)
    sets, truth = normal(50, 12, 4, seed=6), torch.eye(4).double()
    misses = [sum((of(rows).covariance - truth).square().sum().item() for rows in sets) for of in (Moments.of, shrunk)]
    yield near("nearer the truth on the average", 1, float(misses[1] < misses[0] / 2))
    least = torch.linalg.eigvalsh(shrunk(normal(6, 9, seed=7)).covariance)[0]
    yield near("full rank with few features", 1, float(least > 0.1))


@check("distances grow with every step of noise and of shift, by the closed form", "Heusel et al. 2017, section 2")
def frechet_of_noise() -> Iterator[Finding]:
    clean, noise = normal(4000, 6, seed=8), normal(4000, 6, seed=9)
    reference, before = Moments.of(clean), 0.0
    for sigma in (0.25, 0.5, 1.0, 2.0):
        found = frechet_distance(Moments.of(clean + sigma * noise), reference)
        wanted = 6 * (math.sqrt(1 + sigma**2) - 1) ** 2
        # twice the gap of the roots, times their deviation in each of six dimensions; and sums of squares of deviations
        error = 2 * math.sqrt(wanted * (1 + sigma**2) / 4000) + 12 * sigma**2 / 4000
        yield near(f"noise {sigma}", wanted, found, abs=4.5 * error)
        yield near(f"more than before, noise {sigma}", 1, float(found > before))
        before = found
    for one, other in itertools.pairwise((0.0, 0.5, 1.0)):
        gaps = [frechet_distance(Moments.of(clean + shift), reference) for shift in (one, other)]
        yield near(f"shift {other}", 6 * other**2, gaps[1], rel=1e-9)
        yield near(f"more than before, shift {other}", 1, float(gaps[1] > gaps[0]))
