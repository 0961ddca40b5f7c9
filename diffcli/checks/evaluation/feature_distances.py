"""The kernel distance and the sliced one: by hand on a few features, in closed form on normal ones; their errors."""

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.checks.evaluation.frechet import normal
from diffcli.core.randomness import keyed
from diffcli.metrics.distances import mind, sliced_error, sliced_wasserstein, squared_distances
from diffcli.metrics.kernel_distance import kernel_distance


def discrepancy(x: list[list[float]], y: list[list[float]]) -> float:
    """The unbiased estimate, by the sums of the paper."""

    def kernel(a: list[float], b: list[float]) -> float:
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    within = [sum(kernel(a, b) for a, b in itertools.permutations(points, 2)) for points in (x, y)]
    between = sum(kernel(a, b) for a in x for b in y)
    return within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * between / (n * m)


def without(points: Tensor, places: Tensor) -> list[list[float]]:
    """The points [N, D] but for those at these places."""
    return [row for place, row in enumerate(points.tolist()) if place not in places.tolist()]


def jackknife_error(left: list[list[float]]) -> float:
    """Of the estimates with one group left out, for each of two independent sets: (G - 1) / G Σ (θ - mean)², added."""
    means = [sum(values) / len(values) for values in left]
    squares = [sum((v - mean) ** 2 for v in values) for values, mean in zip(left, means, strict=True)]
    return math.sqrt(sum((len(v) - 1) / len(v) * total for v, total in zip(left, squares, strict=True)))


@check(
    "MMD² is a mean over pairs of different features, of either set, less twice that over mixed ones",
    "Gretton et al. 2012, eq. 3; Bińkowski et al. 2018, section 4",
)
def kernel_distance_by_hand() -> Iterator[Finding]:
    for n, m, dimensions in ((7, 9, 3), (40, 23, 2), (4, 4, 1)):
        x, y = normal(n, dimensions, seed=n), 1.5 * normal(m, dimensions, seed=100 + m) + 0.5
        wanted = discrepancy(x.tolist(), y.tolist())
        yield near(f"{n} and {m}", wanted, kernel_distance(x, y).value, rel=1e-9)
        yield near(f"{n} and {m} in other blocks", wanted, kernel_distance(x, y, blocks=3).value, rel=1e-9)
    x, y = normal(14, 2, seed=5), normal(11, 2, seed=6) + 1
    orders = [torch.randperm(len(some), generator=keyed(0, "blocks")) for some in (x, y)]
    parts = [[order[group::3] for group in range(3)] for order in orders]
    left = [
        [discrepancy(without(x, part), y.tolist()) for part in parts[0]],
        [discrepancy(x.tolist(), without(y, part)) for part in parts[1]],
    ]
    yield near(
        "error by leaving out a third of either", jackknife_error(left), kernel_distance(x, y, 3).error, rel=1e-9
    )
    x, y = normal(6, 2, seed=3), normal(8, 2, seed=4) + 1
    found = kernel_distance(x, y, blocks=1000)  # at most half as many as features: pairs of x, and two or three of y
    yield near(
        "the error is the same, whatever the number of blocks asked for", kernel_distance(x, y, 3).error, found.error
    )


def moment(mean: float, deviation: float, power: int) -> float:
    """E x^power of a normal x."""
    return (1.0, mean, mean**2 + deviation**2, mean**3 + 3 * mean * deviation**2)[power]


def mean_kernel(a: tuple[float, float], b: tuple[float, float]) -> float:
    """E (x·y / 2 + 1)³ of points in the plane whose coordinates are independent, with these means and deviations."""
    total = 0.0
    for i, j in itertools.product(range(4), repeat=2):
        if i + j <= 3:
            ways = math.factorial(3) / (math.factorial(i) * math.factorial(j) * math.factorial(3 - i - j))
            total += ways * moment(*a, i) * moment(*b, i) * moment(*a, j) * moment(*b, j) / 2 ** (i + j)
    return total


@check(
    "the kernel distance is unbiased at any number of features, and its standard error is the spread of its values",
    "Bińkowski et al. 2018, section 4 and theorem 1; Efron & Stein 1981",
)
def kernel_distance_unbiased() -> Iterator[Finding]:
    laws = {"one law": ((0.3, 1.0), (0.3, 1.0)), "two laws": ((0.3, 1.0), (0.7, 1.4))}
    repeats = 100
    for name, (a, b) in laws.items():
        x, y = (mean + deviation * normal(repeats, 40, 2, seed=11 + i) for i, (mean, deviation) in enumerate((a, b)))
        found = torch.tensor([kernel_distance(p, q, blocks=10) for p, q in zip(x, y, strict=True)], dtype=torch.float64)
        values, errors = found.T
        wanted = mean_kernel(a, a) + mean_kernel(b, b) - 2 * mean_kernel(a, b)
        yield near(name, wanted, values.mean(), abs=3 * values.std().item() / math.sqrt(repeats))
        if name == "two laws":
            ratio = (errors.square().mean() / values.var()).item()
            yield near("variance said over variance seen", 1, ratio, abs=4.5 * spread_of_variance(values))


def spread_of_variance(values: Tensor) -> float:
    """The relative standard error of the variance of these values [R], by their fourth moment."""
    centred = values - values.mean()
    kurtosis = (centred.pow(4).mean() / centred.square().mean() ** 2).item()
    return math.sqrt((kurtosis - 1) / len(values))


@check(
    "the sliced distance is 3 W² on the line, whatever the counts, and 3 |v|² for a shift by v",
    "Berthet et al. 2026, alpha = 3 D; Bonneel et al. 2015",
)
def sliced_closed_forms() -> Iterator[Finding]:
    x, y = normal(6, 1, seed=21), 2 * normal(4, 1, seed=22) + 1
    longer = [sorted(v for v in values.flatten().tolist() for _ in range(12 // len(values))) for values in (x, y)]
    wanted = sum((a - b) ** 2 for a, b in zip(*longer, strict=True)) / 12
    yield near("six and four on the line", 3 * wanted, mind(x, y, projections=5), rel=1e-12)
    yield near("four and six", 3 * wanted, mind(y, x, projections=700), rel=1e-12)
    yield near("the root mean square", math.sqrt(wanted), sliced_wasserstein(x, y), rel=1e-12)
    for dimensions in (1, 3, 8):
        axes = torch.cat([torch.eye(dimensions), -torch.eye(dimensions)]).double()  # |u·x|² is 1 / D on the average
        found = mind(axes, 1.7 * axes, projections=7)
        yield near(f"scaled, {dimensions} dimensions", 3 * 0.7**2, found, rel=1e-12)
        yield near(f"twice as many, {dimensions} dimensions", found, mind(axes, 1.7 * axes.repeat(2, 1), 7), rel=1e-12)
    points, shift = normal(30, 4, seed=23), torch.tensor([1.0, -2.0, 0.0, 2.0])
    # the squared cosine with a random direction is a beta variable of mean 1 / D and variance 2 (D - 1) / D² / (D + 2)
    error = math.sqrt(2 * 3 / 16 / 6 / 3000) * 4
    yield near("shift", 3 * 9, mind(points, points + shift, projections=3000), rel=4.5 * error)
    yield near("another order", 0, mind(points, points.flip(0)), abs=1e-24)
    yield near("of another seed", 1, float(mind(points, points + shift, 9, 1) != mind(points, points + shift, 9, 2)))
    a, b = normal(9, 5, seed=24), normal(4, 5, seed=25)
    by_hand = torch.tensor(
        [[sum((p - q) ** 2 for p, q in zip(r, s, strict=True)) for s in b.tolist()] for r in a.tolist()]
    )
    yield near("squared distances", by_hand.double(), torch.cat(list(squared_distances(a, b))), rel=1e-5)


@check("the sliced distance's standard error is the spread of its values", "Efron & Stein 1981; Miller 1974")
def sliced_errors() -> Iterator[Finding]:
    x, y = normal(23, 3, seed=33), normal(17, 3, seed=34) * 1.4
    orders = [torch.randperm(len(some), generator=keyed(0, f"groups {i}")) for i, some in enumerate((x, y))]
    rest = [[torch.cat([order[other::4] for other in range(4) if other != g]) for g in range(4)] for order in orders]
    left = [
        [mind(x[places], y, 9, seed=7) for places in rest[0]],
        [mind(x, y[places], 9, seed=7) for places in rest[1]],
    ]
    yield near("by leaving out groups", jackknife_error(left), sliced_error(x, y, 9, seed=7, groups=4), rel=1e-9)
    repeats = 150
    x, y = normal(repeats, 50, 2, seed=31), normal(repeats, 70, 2, seed=32) * 1.3 + 1
    values = torch.tensor([mind(p, q, projections=8) for p, q in zip(x, y, strict=True)], dtype=torch.float64)
    errors = torch.tensor([sliced_error(p, q, projections=8) for p, q in zip(x, y, strict=True)], dtype=torch.float64)
    ratio = (errors.square().mean() / values.var()).item()
    yield near("variance said over variance seen", 1, ratio, abs=4.5 * spread_of_variance(values))


@check("noise and shift only ever raise both", "Heusel et al. 2017, section 2; Berthet et al. 2026")
def raised_by_corruption() -> Iterator[Finding]:
    clean, other, noise = normal(500, 5, seed=41), normal(500, 5, seed=42), normal(500, 5, seed=43)
    for name, direction in (("noise", noise), ("shift", torch.ones(5).double())):
        corrupted = [clean + amount * direction for amount in (0.0, 0.6, 1.2, 2.4)]
        for measure, values in {
            "kernel": [kernel_distance(some, other).value for some in corrupted],
            "sliced": [mind(some, other, projections=50) for some in corrupted],
        }.items():
            yield near(f"{measure}, {name}", 3, sum(a < b for a, b in itertools.pairwise(values)))
