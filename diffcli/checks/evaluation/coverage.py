"""Precision, recall, density and coverage: by hand on a few points, their expected values, and modes that are lost."""

import math
from collections.abc import Iterator

import torch

from diffcli.checks.check import Finding, check, near
from diffcli.checks.evaluation.frechet import normal
from diffcli.metrics.coverage import coverage, expected_coverage

Points = list[list[float]]


def radius(points: Points, place: int, nearest: int) -> float:
    """The distance of a point from its k-th nearest other."""
    return sorted(math.dist(points[place], other) for i, other in enumerate(points) if i != place)[nearest - 1]


def inside(points: Points, centres: Points, nearest: int) -> list[list[bool]]:
    """Whether each point is inside the ball of each centre."""
    radii = [radius(centres, i, nearest) for i in range(len(centres))]
    return [[math.dist(p, c) <= r for c, r in zip(centres, radii, strict=True)] for p in points]


@check(
    "a point counts if it is inside a ball that reaches to the k-th neighbour of its centre in the centre's own set",
    "Kynkäänniemi et al. 2019, eq. 1 and 2; Naeem et al. 2020, section 3",
)
def coverage_by_hand() -> Iterator[Finding]:
    for n, m, nearest, of_manifold in ((14, 9, 5, 3), (9, 14, 2, 4), (30, 30, 1, 1)):
        real, generated = normal(n, 2, seed=n + m), 1.3 * normal(m, 2, seed=nearest) + 0.6
        r, g = real.tolist(), generated.tolist()
        narrow, wide, of_generated = inside(g, r, of_manifold), inside(g, r, nearest), inside(r, g, of_manifold)
        found = coverage(real, generated, nearest, of_manifold)
        case = f"of {n} and {m}, k = {nearest} and {of_manifold}"
        yield near(f"precision {case}", sum(map(any, narrow)) / m, found.precision, rel=1e-12)
        yield near(f"recall {case}", sum(map(any, of_generated)) / n, found.recall, rel=1e-12)
        yield near(f"density {case}", sum(map(sum, wide)) / (nearest * m), found.density, rel=1e-12)
        covered = sum(any(column) for column in zip(*wide, strict=True)) / n
        yield near(f"coverage {case}", covered, found.coverage, rel=1e-12)
    real = normal(20, 3, seed=5)
    yield near("density of the real set itself", 6 / 5, coverage(real, real.flip(0)).density, rel=1e-12)


@check(
    "for one law density is 1 on the average and coverage 1 - (N-1)...(N-k) / (N+M-1)...(N+M-k); precision is recall",
    "Naeem et al. 2020, section 3.3",
)
def coverage_expected() -> Iterator[Finding]:
    repeats = 200
    for n, m, nearest in ((20, 30, 3), (24, 12, 5)):
        pairs = zip(normal(repeats, n, 3, seed=51), normal(repeats, m, 3, seed=52), strict=True)
        found = torch.tensor([coverage(a, b, nearest) for a, b in pairs], dtype=torch.float64)
        mean, error = found.mean(0), (found.std(0) / math.sqrt(repeats)).tolist()
        empty = math.comb(n - 1, nearest) / math.comb(n + m - 1, nearest)
        yield near(f"formula for {n} and {m}", 1 - empty, expected_coverage(n, m, nearest), rel=1e-12)
        yield near(f"coverage of {n} and {m}", 1 - empty, mean[3], abs=4 * error[3])
        yield near(f"density of {n} and {m}", 1, mean[2], abs=4 * error[2])
    a, b = normal(40, 3, seed=53), normal(50, 3, seed=54)
    yield near("precision one way, recall the other", coverage(a, b).precision, coverage(b, a).recall, rel=1e-12)


@check(
    "a mode that is never drawn halves recall and coverage, not precision; one point alone recalls nothing",
    "Kynkäänniemi et al. 2019, section 3; Naeem et al. 2020, section 4",
)
def lost_modes() -> Iterator[Finding]:
    place = torch.tensor([50.0, 0.0]).double()
    real = torch.cat([normal(200, 2, seed=61), normal(200, 2, seed=62) + place])
    one = coverage(real, normal(400, 2, seed=63))
    everywhere = coverage(real, torch.cat([normal(200, 2, seed=64), normal(200, 2, seed=65) + place]))
    for name in ("recall", "coverage"):
        half, whole = getattr(one, name), getattr(everywhere, name)
        yield near(f"{name} of one mode", 0.5, half, abs=0.03)
        yield near(f"{name} of both", 1, whole, abs=0.06)
    yield near("precision of one mode", everywhere.precision, one.precision, abs=0.04)
    yield near("precision of both", 1, everywhere.precision, abs=0.06)
    collapsed = coverage(real, real[:1].repeat(400, 1) + 1e-9 * normal(400, 2, seed=66))
    yield near("precision of one point", 1, collapsed.precision)
    yield near("recall of one point", 0, collapsed.recall, abs=2 / 400)
    yield near("coverage of one point", 0, collapsed.coverage, abs=30 / 400)
