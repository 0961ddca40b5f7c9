"""The bootstrap of the Fréchet distance: row by row, against the true distance, and of paired models."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.checks.evaluation.frechet import normal
from diffcli.core.randomness import keyed
from diffcli.metrics.frechet import Moments, frechet_distance
from diffcli.metrics.resampling import frechet_differences, frechet_resampled


def standard(dimensions: int) -> Moments:
    """Those of the standard normal distribution."""
    return Moments(10**6, torch.zeros(dimensions).double(), torch.eye(dimensions).double())


def plane_distance(rows: Tensor, reference: Moments) -> float:
    """The Fréchet distance in the plane, by tr (AB)^½ = √(tr AB + 2 √det AB)."""
    centred = rows - rows.mean(0)
    a, b = centred.T @ centred / (len(rows) - 1), reference.covariance
    root = ((a @ b).trace() + 2 * (torch.linalg.det(a) * torch.linalg.det(b)).sqrt()).sqrt()
    return ((rows.mean(0) - reference.mean).square().sum() + a.trace() + b.trace() - 2 * root).item()


@check("weights of rows are rows drawn again: bias is the mean of the repeats less the value", "Efron 1979, section 3")
def bootstrap_by_hand() -> Iterator[Finding]:
    features, repeats = normal(25, 2, seed=71) * torch.tensor([1.0, 2.0]) + 0.4, 6
    reference = Moments.of(normal(50, 2, seed=72) @ torch.tensor([[1.0, 0.5], [0.0, 1.0]]).double() - 0.3)
    found = frechet_resampled(features, reference, repeats, seed=3)
    drawn = []
    for i in range(repeats):
        places = torch.randint(25, (25,), generator=keyed(3, "bootstrap", i))
        drawn.append(plane_distance(features[places], reference))
    value = plane_distance(features, reference)
    mean = sum(drawn) / repeats
    spread = math.sqrt(sum((d - mean) ** 2 for d in drawn) / (repeats - 1))
    yield near("value", value, found.value, rel=1e-10)
    yield near("bias", mean - value, found.bias, rel=1e-8)
    yield near("error", spread, found.error, rel=1e-8)
    others = features * 1.2 + normal(25, 2, seed=73)
    both = frechet_differences([features, others], reference, repeats, seed=3)
    again = [
        plane_distance(others[torch.randint(25, (25,), generator=keyed(3, "bootstrap", i))], reference)
        for i in range(repeats)
    ]
    gaps = [a - b for a, b in zip(drawn, again, strict=True)]
    mean = sum(gaps) / repeats
    spread = math.sqrt(sum((g - mean) ** 2 for g in gaps) / (repeats - 1))
    yield near(
        "error of a difference", torch.tensor([[0, spread], [spread, 0]], dtype=torch.float64), both.errors, rel=1e-7
    )
    yield near("value of the other", plane_distance(others, reference), both.resampled[1].value, rel=1e-10)
    yield near("bias of the other", sum(again) / repeats - both.resampled[1].value, both.resampled[1].bias, rel=1e-8)


@check(
    "the distance less its bias is the true one on the average, and its standard error is the spread of its values",
    "Efron & Tibshirani 1993, chapters 6 and 10",
)
def bootstrap_of_normals() -> Iterator[Finding]:
    repeats, dimensions, count = 50, 6, 150
    true = dimensions * (0.3**2 + 0.2**2)
    sets = 1.2 * normal(repeats, count, dimensions, seed=81) + 0.3
    found = torch.tensor(
        [frechet_resampled(rows, standard(dimensions), 30, seed=i) for i, rows in enumerate(sets)], dtype=torch.float64
    )
    value, bias, error = found.T
    corrected = value - bias
    seen = corrected.std().item()
    yield near("mean of value - bias", true, corrected.mean(), abs=4 * seen / math.sqrt(repeats))
    yield near("the plain mean is above it", 1, float(value.mean() > true + 3 * seen / math.sqrt(repeats)))
    yield near("variance said over seen", 1, error.square().mean() / seen**2, abs=4.5 * math.sqrt(2 / repeats))
    covers = ((corrected - true).abs() < 1.96 * error).double().mean()
    yield near("share of intervals that hold the truth", 0.95, covers, abs=0.05)


@check(
    "rows of one number are drawn together: of a model and its shifted copy, only the error of the mean remains",
    "Efron & Tibshirani 1993, section 8.3",
)
def paired_bootstrap() -> Iterator[Finding]:
    count, repeats, shift = 300, 100, 0.5
    rows = 3 * normal(count, 2, seed=91)
    found = frechet_differences([rows, rows + torch.tensor([shift, 0.0])], standard(2), repeats)
    # |m + c|² - |m|² = 2 c·m + |c|², and the covariances cancel
    wanted = 2 * shift * rows[:, 0].std(correction=0).item() / math.sqrt(count)
    yield near("error of the difference", wanted, found.errors[0, 1], rel=4.5 / math.sqrt(2 * repeats))
    yield near("it is the same both ways", found.errors[0, 1], found.errors[1, 0], rel=1e-12)
    alone = math.sqrt(sum(one.error**2 for one in found.resampled))
    yield near("much less than of independent ones", 1, float(alone > 3 * found.errors[0, 1]))
    yield near("a set with itself", 0, frechet_differences([rows, rows], standard(2), 5).errors.abs().max(), abs=1e-12)
    yield near("value", frechet_distance(Moments.of(rows), standard(2)), found.resampled[0].value, rel=1e-12)
