"""Score matching: the trace, what the three losses are in expectation, what they are least for, and their noise."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core.diffusion import score_matching as losses
from diffcli.core.diffusion.exact import Mixture
from diffcli.lessons.scores.gradient_noise import gradients
from diffcli.lessons.scores.points import NoisedPoints

SIGMA = 0.6
ATOMS = ((0.2, (-1.0, 0.5)), (0.5, (0.8, 0.1)), (0.3, (0.2, -1.2)))
"""A law of three points: weights and places."""


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


X = tensor([[0.3, -0.7], [1.2, 0.4], [-0.9, -1.5], [0.0, 0.0]])
SIGNS = tensor(list(itertools.product((-1, 1), repeat=2)))
CROSS = math.sqrt(2) * tensor([[1, 0], [-1, 0], [0, 1], [0, -1]])
"""Four points with the mean and the covariance of N(0, 1) in the plane."""


def curved(x: Tensor) -> Tensor:
    """A field that is no gradient."""
    a, b = x.unbind(1)
    return torch.stack([(a * b).sin() + a**2, (-a).exp() * b + b**3], dim=1)


def derivatives(a: float, b: float) -> list[list[float]]:
    """Of the curved field, by [component, coordinate]."""
    return [
        [b * math.cos(a * b) + 2 * a, a * math.cos(a * b)],
        [-math.exp(-a) * b, math.exp(-a) + 3 * b**2],
    ]


@check("the trace is the sum of the derivatives along the axes, and can be differentiated", "Hyvärinen 2005, eq. 4")
def exact_traces() -> Iterator[Finding]:
    tables = tensor([derivatives(a, b) for a, b in X.tolist()])
    wanted = tables[:, 0, 0] + tables[:, 1, 1]
    square = curved(X).square().sum(1)
    s, found = losses.trace(curved, X)
    yield near("trace", wanted, found, abs=1e-12)
    yield near("field", curved(X), s, abs=1e-12)
    value, table = losses.jacobian(curved, X)
    yield near("derivatives", tables, table, abs=1e-12)
    yield near("field beside them", curved(X), value, abs=1e-12)
    yield near("loss", wanted + square / 2, losses.explicit(curved, X), abs=1e-12)
    yield near("constant field", 2.5 + torch.zeros(4), losses.explicit(lambda x: 0 * x + tensor([1.0, 2.0]), X))
    factor = tensor(0.7).requires_grad_(True)
    losses.explicit(lambda x: factor * curved(x), X).sum().backward()
    assert factor.grad is not None
    yield near("its derivative by a factor", (wanted + 0.7 * square).sum(), factor.grad, rel=1e-12)
    weights = tensor([[0.5, -1.0, 0.2], [0.3, 0.8, -0.4], [-0.6, 0.1, 1.1]])
    places = tensor([[0.2, -0.5, 1.0], [1.5, 0.3, -0.7]])
    slope = 1 - (places @ weights.mT).tanh() ** 2
    _, three = losses.trace(lambda x: (x @ weights.mT).tanh(), places)
    yield near("in three dimensions", slope @ weights.diagonal(), three, abs=1e-12)


@check("directions have mean 0 and E[v vᵀ] = 1", "Song et al. 2019 (sliced score matching), section 3; Hutchinson 1990")
def directions() -> Iterator[Finding]:
    like, count = torch.zeros(20_000, 2, dtype=torch.float64), 3
    matrix = tensor([[0.7, -0.4], [-0.4, 1.5]])
    variances = {"rademacher": 4 * 0.4**2, "gaussian": 2 * (0.7**2 + 1.5**2 + 2 * 0.4**2)}
    for name, draw in losses.DIRECTIONS.items():
        v = draw(count, like, torch.Generator().manual_seed(5)).reshape(-1, 2)
        yield near(f"how many, {name}", count * len(like), len(v))
        yield near(f"mean, {name}", 0.0, v.mean(0), abs=5 / math.sqrt(len(v)))
        yield near(f"E[v vᵀ], {name}", torch.eye(2), v.mT @ v / len(v), abs=5 * math.sqrt(2 / len(v)))
        form = ((v @ matrix) * v).sum(1)
        error = 6 * ((form - form.mean()) ** 2).std() / math.sqrt(len(v))
        yield near(f"variance of v·A v, {name}", variances[name], form.var(), abs=error.item())


@check(
    "the mean of the sliced loss over directions is the explicit loss, in either form",
    "Song et al. 2019 (sliced score matching), section 3",
)
def sliced_losses() -> Iterator[Finding]:
    tables = tensor([derivatives(a, b) for a, b in X.tolist()])
    s = curved(X)
    whole = losses.explicit(curved, X)
    for name, each in (("signs", SIGNS), ("four points", CROSS)):
        v = each.unsqueeze(1).expand(4, 4, 2)
        for reduced in (False, True):
            yield near(
                f"mean over {name}, reduced {reduced}", whole, losses.sliced(curved, X, v, reduced=reduced), abs=1e-12
            )
    for a, b in ((0.5, -1.3), (2.0, 0.4)):
        v = tensor([a, b]).expand(1, 4, 2)
        form = a * a * tables[:, 0, 0] + a * b * (tables[:, 0, 1] + tables[:, 1, 0]) + b * b * tables[:, 1, 1]
        square = (a * s[:, 0] + b * s[:, 1]) ** 2
        yield near(f"along ({a}, {b})", form + square / 2, losses.sliced(curved, X, v), abs=1e-12)
        reduced_form = form + s.square().sum(1) / 2
        yield near(f"along ({a}, {b}), reduced", reduced_form, losses.sliced(curved, X, v, reduced=True), abs=1e-12)


class Points(NamedTuple):
    """Points x = x0 + sigma eps of which any quadratic function has its mean over a Gaussian law; and that law."""

    x: Tensor
    eps: Tensor
    mean: Tensor
    covariance: Tensor


def cubature() -> Points:
    """For x0 ~ N(m, L Lᵀ): the eight points at distance √4 along the axes of (x0, eps), in units of L and of 1."""
    mean, root = tensor([0.4, -0.2]), tensor([[0.9, 0.0], [0.5, 0.7]])
    unit = 2 * torch.cat([torch.eye(4), -torch.eye(4)]).double()
    eps = unit[:, 2:]
    x = mean + unit[:, :2] @ root.mT + SIGMA * eps
    return Points(x, eps, mean, root @ root.mT + SIGMA**2 * torch.eye(2).double())


def mean_losses(field: losses.Field, p: Points) -> dict[str, Tensor]:
    """Each loss over the points, and over all directions of the sliced one."""
    v = SIGNS.unsqueeze(1).expand(4, 8, 2)
    return {
        "explicit": losses.explicit(field, p.x).mean(),
        "denoising": losses.denoising(field, p.x, p.eps, SIGMA).mean(),
        "sliced": losses.sliced(field, p.x, v).mean(),
        "sliced, reduced": losses.sliced(field, p.x, v, reduced=True).mean(),
    }


@check(
    "of a linear field on Gaussian data: tr A + (tr A C Aᵀ + |A m + b|²) / 2, and 1 / sigma² more for denoising",
    "Hyvärinen 2005, eq. 4; Vincent 2011, eq. 11",
)
def losses_of_linear_fields() -> Iterator[Finding]:
    p = cubature()
    for a, b in (
        (tensor([[-0.8, 0.3], [0.1, -1.1]]), tensor([0.2, -0.5])),
        (torch.zeros(2, 2).double(), tensor([0.0, 0.0])),
        (-p.covariance.inverse(), p.covariance.inverse() @ p.mean),
    ):
        size = (a @ p.covariance @ a.mT).trace() + (a @ p.mean + b).square().sum()
        wanted = a.trace() + size / 2
        for name, found in mean_losses(lambda x, a=a, b=b: x @ a.mT + b, p).items():  # type: ignore[misc]
            surplus = 2 / (2 * SIGMA**2) if name == "denoising" else 0.0
            yield near(f"{name}, A = {a.flatten().tolist()}", wanted + surplus, found, abs=1e-10)
    least = mean_losses(lambda x: (p.mean - x) @ p.covariance.inverse(), p)["explicit"]
    yield near("at the score, minus half the Fisher information", -p.covariance.inverse().trace() / 2, least, abs=1e-10)


@check(
    "all are least for the same linear field, the score -C⁻¹ (x - m) of the noised data",
    "least squares; Vincent 2011, section 4.2",
)
def minimisers() -> Iterator[Finding]:
    p = cubature()
    precision = p.covariance.inverse()
    truth = torch.cat([-precision.flatten(), precision @ p.mean])

    def at(name: str) -> Callable[[Tensor], Tensor]:
        return lambda w: mean_losses(lambda x: x @ w[:4].reshape(2, 2).mT + w[4:], p)[name]

    zero = torch.zeros(6).double()
    for name in ("explicit", "denoising", "sliced", "sliced, reduced"):
        weights = zero.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(at(name)(weights), weights, create_graph=True)
        rows = []
        for j in range(6):  # of the loss, which is quadratic in the weights: by differences, exact
            step = zero.clone()
            step[j] = 1.0
            step = step.requires_grad_(True)
            (there,) = torch.autograd.grad(at(name)(step), step)
            rows.append(there - slope.detach())
        yield near(name, truth, torch.linalg.solve(torch.stack(rows), -slope.detach()), abs=1e-9)


def noised_atoms(nodes: int = 80) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, x and eps of the law of atoms with noise, by Gauss-Hermite quadrature."""
    import numpy as np

    places, shares = (torch.from_numpy(v) for v in np.polynomial.hermite_e.hermegauss(nodes))
    eps = torch.cartesian_prod(places, places)
    each = torch.cartesian_prod(shares, shares).prod(1) / (2 * math.pi)
    weights = torch.cat([w * each for w, _ in ATOMS])
    return weights, torch.cat([tensor(c) + SIGMA * eps for _, c in ATOMS]), eps.repeat(len(ATOMS), 1)


def true_score(x: Tensor) -> Tensor:
    """Of the noised atoms: the pull of each by its share in the density."""
    found = []
    for a, b in x.tolist():
        bells = [w * math.exp(-((a - c) ** 2 + (b - d) ** 2) / (2 * SIGMA**2)) for w, (c, d) in ATOMS]
        pulls = [[(c - a) / SIGMA**2, (d - b) / SIGMA**2] for _, (c, d) in ATOMS]
        found.append([sum(q * p[i] for q, p in zip(bells, pulls, strict=True)) / sum(bells) for i in range(2)])
    return tensor(found)


def smooth(x: Tensor) -> Tensor:
    """A field that is not the score, and no gradient."""
    a, b = x.unbind(1)
    return torch.stack([(a + 0.5 * b).sin() - a, 0.3 * a * b - b], dim=1)


@check(
    "whatever the field on noised data, denoising - explicit = D / (2 sigma²), and half the squared error of the "
    "field is explicit + half the Fisher information",
    "Vincent 2011, section 4.2 and appendix; Hyvärinen 2005, theorem 1",
)
def constants_between_the_losses() -> Iterator[Finding]:
    weights, x, eps = noised_atoms()
    score = true_score(x)
    fisher = weights @ score.square().sum(1)
    explicit = weights @ losses.explicit(smooth, x)
    denoising = weights @ losses.denoising(smooth, x, eps, SIGMA)
    yield near("denoising - explicit", 2 / (2 * SIGMA**2), denoising - explicit, abs=1e-8)
    yield near("the constant", 2 / (2 * SIGMA**2), losses.denoising_surplus(2, SIGMA), rel=1e-12)
    error = weights @ (smooth(x) - score).square().sum(1) / 2
    yield near("explicit - error", -fisher / 2, explicit - error, abs=1e-8)
    yield near("denoising - error", 1 / SIGMA**2 - fisher / 2, denoising - error, abs=1e-8)
    data = _data(tensor([c for _, c in ATOMS]), tensor([w for w, _ in ATOMS]), SIGMA)
    some = slice(0, len(x), 97)
    yield near("the score that is the truth", score[some], data.score(x[some]), abs=1e-8)
    least = weights @ losses.explicit(data.score, x)
    yield near("explicit of the score", -fisher / 2, least, abs=1e-8)


def _data(points: Tensor, weights: Tensor, sigma: float, std: float = 0.0) -> NoisedPoints:
    law = Mixture(weights, points, torch.full((len(points),), std))
    return NoisedPoints("", points, sigma, law, known=True)


@check(
    "the points themselves as a law: their noised score is the pull of each, by its share; batches have their noise",
    "Bishop 2006, eq. 9.13",
)
def scores_of_training_points() -> Iterator[Finding]:
    points = tensor([c for _, c in ATOMS])
    data = _data(points, torch.ones(3), SIGMA)
    pulls = []
    for a, b in X.tolist():
        bells = [math.exp(-((a - c) ** 2 + (b - d) ** 2) / (2 * SIGMA**2)) for c, d in points.tolist()]
        shares = [bell / sum(bells) for bell in bells]
        pulls.append([sum(q * (p[i] - v) for q, p in zip(shares, points.tolist(), strict=True)) / SIGMA**2
                      for i, v in enumerate((a, b))])  # fmt: skip
    yield near("their score", tensor(pulls), data.own_score(X), abs=1e-9)
    for name, draw in (("batch", data.batch), ("fresh", data.fresh)):
        x, eps = draw(6000, torch.Generator().manual_seed(4))
        distance = torch.cdist((x - SIGMA * eps).double(), points)
        yield near(f"x - sigma eps is a point, {name}", 0.0, distance.amin(1), abs=1e-6)
        often = torch.bincount(distance.argmin(1), minlength=3) / 6000
        yield near(f"each as often, {name}", 1 / 3, often, abs=5 * math.sqrt(2 / 9 / 6000))
        yield near(f"noise, {name}", 1.0, eps.double().var(0), abs=5 * math.sqrt(2 / 6000))
    yield near("width", math.sqrt(points.var(0).mean() + SIGMA**2), data.scale, rel=1e-6)


@check(
    "at the score of N(0, s²) the gradients by A and b have variances, in all, of 6 + 2/c (explicit), (4 c + 2) t "
    "(denoising), 12 + 4/c and 8 + 2/c (sliced, Rademacher); c = s² + sigma², t = 1/sigma² - 1/c",
    "fourth moments of a Gaussian, written out",
)
def noise_of_the_gradients() -> Iterator[Finding]:
    s, count = 0.8, 40_000
    data = _data(torch.zeros(1, 2).double(), torch.ones(1), SIGMA, s)
    for sigma in (0.2, 1.5):
        found = gradients(data, sigma, count, 1, "rademacher", torch.Generator().manual_seed(9))
        c = s**2 + sigma**2
        t = 1 / sigma**2 - 1 / c
        variances = {
            "explicit": 6 + 2 / c,
            "denoising": (4 * c + 2) * t,
            "sliced": 12 + 4 / c,
            "sliced, reduced": 8 + 2 / c,
        }
        for name, variance in variances.items():
            each = found[name].square().sum(1)
            error = 5 * each.std().item() / math.sqrt(count)
            yield near(f"{name}, sigma {sigma}", variance, found[name].var(0).sum(), abs=error)
            mean = found[name].mean(0).abs() / (found[name].std(0) / math.sqrt(count))
            yield near(f"mean in standard errors, {name}, sigma {sigma}", 0.0, mean, abs=5.0)
    x, value, table = X, curved(X), tensor([derivatives(a, b) for a, b in X.tolist()])
    nudged, eps, v = losses.Nudged(x, value, table), X.flip(0) + 0.3, SIGNS.unsqueeze(0)
    along = (v[0] * value).sum(1, keepdim=True)
    pushes = {  # of A, and what stands beside x in A x: the gradient is push xᵀ + extra
        "explicit": (losses.explicit(nudged, x), value, torch.eye(2).double().expand(4, 2, 2)),
        "denoising": (losses.denoising(nudged, x, eps, SIGMA), value + eps / SIGMA, torch.zeros(4, 2, 2).double()),
        "sliced": (losses.sliced(nudged, x, v), along * v[0], v[0].unsqueeze(2) * v[0].unsqueeze(1)),
    }
    for name, (loss, push, extra) in pushes.items():
        by_matrix = extra + push.unsqueeze(2) * x.unsqueeze(1)
        yield near(
            f"point by point, {name}", torch.cat([by_matrix.flatten(1), push], 1), nudged.gradients(loss), abs=1e-12
        )
    yield near("the nudged field's loss", losses.explicit(curved, x), losses.explicit(nudged, x), abs=1e-12)
