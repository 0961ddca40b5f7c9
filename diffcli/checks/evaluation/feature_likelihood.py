"""The feature likelihood divergence: one centre in closed form, the maximum for several, and copies that raise it."""

import math
from collections.abc import Iterator

import torch

from diffcli.checks.check import Finding, check, near
from diffcli.checks.evaluation.frechet import normal
from diffcli.metrics.likelihood_divergence import FLOOR, feature_likelihood_divergence, fitted_variances

Points = list[list[float]]


def likelihood(centres: Points, variances: list[float], points: Points) -> float:
    """The mean log-density of points under the mixture, written out."""
    total, dimensions = 0.0, len(points[0])
    for point in points:
        density = sum(
            math.exp(-(math.dist(point, centre) ** 2) / (2 * v)) / (2 * math.pi * v) ** (dimensions / 2)
            for centre, v in zip(centres, variances, strict=True)
        )
        total += math.log(density / len(centres))
    return total / len(points)


@check(
    "one centre's variance is the mean squared distance over D; several centres' variances are at the maximum",
    "Jiralerspong et al. 2023, section 3; Dempster, Laird & Rubin 1977",
)
def fitted_widths() -> Iterator[Finding]:
    points = 1.5 * normal(40, 3, seed=101) + 0.5
    centre = torch.tensor([[0.2, -0.1, 0.4]]).double()
    wanted = sum(math.dist(p, centre[0].tolist()) ** 2 for p in points.tolist()) / (40 * 3)
    yield near("one centre", wanted, fitted_variances(centre, points), rel=1e-10)
    centres = normal(3, 3, seed=102)
    found = fitted_variances(centres, points).tolist()
    best = likelihood(centres.tolist(), found, points.tolist())
    for place in range(3):
        for factor in (0.8, 1.25):
            changed = [v * factor if i == place else v for i, v in enumerate(found)]
            below = likelihood(centres.tolist(), changed, points.tolist())
            yield near(f"variance {place} times {factor} is less likely", 1, float(below < best))
    far = torch.cat([centres, torch.full((1, 3), 1e12, dtype=torch.float64)])
    nearest = min(math.dist(p, [1e12] * 3) for p in points.tolist())
    yield near("far from all", nearest**2 / 3, fitted_variances(far, points)[3], rel=1e-9)
    yield near("on a point of its own", FLOOR, fitted_variances(torch.cat([centres, points[:1]]), points)[3])
    yield near("the floor is above 0", 1, float(FLOOR > 0))


@check(
    "the divergence is -100 / D times the mean log-likelihood of test features, standardised as the training ones are",
    "Jiralerspong et al. 2023, section 3",
)
def divergence_by_hand() -> Iterator[Finding]:
    scale, shift = torch.tensor([2.0, 0.1]).double(), torch.tensor([-3.0, 40.0]).double()
    train, test, generated = (normal(n, 2, seed=110 + n) for n in (50, 30, 4))
    mean, std = train.mean(0), train.std(0)
    standard = [(some - mean) / std for some in (generated, train, test)]
    variances = fitted_variances(standard[0], standard[1]).tolist()
    wanted = -100 / 2 * likelihood(standard[0].tolist(), variances, standard[2].tolist())
    found = feature_likelihood_divergence(generated, train, test)
    yield near("in the plane", wanted, found, rel=1e-9)
    moved = [some * scale + shift for some in (generated, train, test)]
    yield near("in other units", found, feature_likelihood_divergence(*moved), rel=1e-9)
    flat = [torch.cat([some, torch.full((len(some), 1), 7.0)], dim=1) for some in (generated, train, test)]
    yield near("with a feature that never changes", 1, float(math.isfinite(feature_likelihood_divergence(*flat))))


@check("copies of training data raise the divergence, the more the worse, and so do noise and a lost mode", "the same")
def raised_by_copies() -> Iterator[Finding]:
    modes = torch.tensor([[3.0, 0.0, 0.0, 0.0], [-3.0, 0.0, 0.0, 0.0]]).double()

    def drawn(count: int, seed: int) -> torch.Tensor:
        return normal(count, 4, seed=seed) + modes.repeat_interleave(count // 2, 0)

    train, test, fresh = drawn(300, 121), drawn(300, 122), drawn(200, 123)
    half = torch.cat([fresh[::2], train[::3]])
    good = feature_likelihood_divergence(fresh, train, test)
    some = feature_likelihood_divergence(half, train, test)
    every = feature_likelihood_divergence(train[::2], train, test)
    yield near("fresh, half copies, all copies", 1, float(good < some < every))
    for name, worse in (("noise", fresh + normal(200, 4, seed=124)), ("one mode", fresh[:100])):
        yield near(
            f"{name} is worse than fresh draws", 1, float(good < feature_likelihood_divergence(worse, train, test))
        )
    entropy = 100 / 4 * (2 * math.log(2 * math.pi * math.e) + math.log(2))
    std = train.std(0).log().sum().item() * 100 / 4
    yield near("no less than the entropy", 1, float(good > entropy - std))
