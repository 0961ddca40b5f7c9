"""Gaussians, and the chain of the forward process: sums, products, conditionals, divergences."""

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.schedules import alpha_bar, at, linear_paper
from diffcli.core.diffusion import grids
from diffcli.core.diffusion.exact import Gaussian
from diffcli.core.diffusion.schedules import SCHEDULES, VE, VP, Flow, SubVP
from diffcli.core.levels import CLEAN, Level, bridge, chain, correlation, shares
from diffcli.core.processes.laws.gaussian import Normal, kl
from diffcli.lessons.gaussians import measures
from diffcli.metrics.statistics import kolmogorov_distance

DRAWS = 50_000
SIGMAS = 4.5  # standard errors that a statistical finding may be off


def matrix(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


FIRST = Normal(
    torch.tensor([0.5, -1.0, 0.3], dtype=torch.float64), matrix([[1.0, 0.6, -0.2], [0.6, 2.0, 0.3], [-0.2, 0.3, 0.5]])
)
OTHER = Normal(
    torch.tensor([-0.4, 0.2, 1.0], dtype=torch.float64), matrix([[0.7, -0.1, 0.2], [-0.1, 0.4, 0.0], [0.2, 0.0, 1.5]])
)


def places(dimensions: int, count: int = 7) -> Tensor:
    """Some points [count, dimensions] around the origin."""
    return 1.5 * torch.randn(count, dimensions, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@check(
    "the density of a Gaussian is (2 pi)^(-D/2) |S|^(-1/2) exp(-(x - m)^T S^-1 (x - m) / 2), and integrates to 1",
    "Bishop 2006, eq. 2.43",
)
def normal_density() -> Iterator[Finding]:
    for law in (FIRST, OTHER, FIRST.marginal([1, 2]), OTHER.marginal([0])):
        size, x = len(law.mean), places(len(law.mean))
        off = x - law.mean
        square = torch.einsum("bi,ij,bj->b", off, torch.linalg.inv(law.covariance), off)
        wanted = -square / 2 - torch.linalg.det(law.covariance).log() / 2 - size / 2 * math.log(2 * math.pi)
        yield near(f"{size} dimensions", wanted, law.log_density(x), rel=1e-12, abs=1e-12)
    line = torch.linspace(-14, 14, 401, dtype=torch.float64)
    plane = torch.cartesian_prod(line, line)
    total = FIRST.marginal([0, 1]).log_density(plane).exp().sum() * (line[1] - line[0]) ** 2
    yield near("integral", 1, total, abs=1e-9)


@check(
    "draws of a Gaussian have its mean and covariance, and along every direction its distribution",
    "Bishop 2006, section 2.3; Massart 1990, corollary 1",
)
def normal_draws() -> Iterator[Finding]:
    draws = FIRST.draw(DRAWS, torch.Generator().manual_seed(2))
    for i in range(3):
        variance = FIRST.covariance[i, i]
        yield near(f"mean {i}", FIRST.mean[i], draws[:, i].mean(), abs=SIGMAS * math.sqrt(variance / DRAWS))
        for j in range(3):
            moved = (draws[:, i] - FIRST.mean[i]) * (draws[:, j] - FIRST.mean[j])
            error = (FIRST.covariance[i, j] ** 2 + variance * FIRST.covariance[j, j]).sqrt().item()
            yield near(f"covariance {i}{j}", FIRST.covariance[i, j], moved.mean(), abs=SIGMAS * error / DRAWS**0.5)
    bound = math.sqrt(math.log(2 / 1e-6) / (2 * DRAWS))
    for direction in ([1.0, 0.0, 0.0], [0.0, 1.0, -1.0], [1.0, 1.0, 1.0]):
        u = torch.tensor(direction, dtype=torch.float64)
        along = (draws @ u - u @ FIRST.mean) / (u @ FIRST.covariance @ u).sqrt()
        yield near(f"along {direction}", 0, kolmogorov_distance(torch.special.ndtr(along)), abs=bound)


@check(
    "under an affine map means map and covariances are A S A^T; the density divides by |det A|",
    "Bishop 2006, eq. 1.27 and 2.115",
)
def affine_maps() -> Iterator[Finding]:
    turn, shift = matrix([[2.0, -1.0, 0.5], [0.3, 1.0, 0.0], [1.0, 0.2, -1.5]]), torch.tensor([1.0, -2.0, 0.5]).double()
    x, mapped = places(3), FIRST.affine(turn, shift)
    wanted = FIRST.log_density(x) - torch.linalg.det(turn).abs().log()
    yield near("density", wanted, mapped.log_density(x @ turn.T + shift), rel=1e-11, abs=1e-11)
    row = FIRST.affine(turn[:1], shift[:1])  # of less dimensions than there were
    variance = sum(turn[0, i] * turn[0, j] * FIRST.covariance[i, j] for i in range(3) for j in range(3))
    yield near("mean of one row", sum(turn[0, i] * FIRST.mean[i] for i in range(3)) + 1.0, row.mean, rel=1e-12)
    yield near("variance of one row", torch.as_tensor(variance), row.covariance, rel=1e-12)


@check("the density of a sum is the convolution of the densities, by quadrature", "Bishop 2006, eq. 2.115")
def sums_are_convolutions() -> Iterator[Finding]:
    line = torch.linspace(-12, 12, 241, dtype=torch.float64)
    grid, cell = torch.cartesian_prod(line, line), (line[1] - line[0]) ** 2
    first, other = FIRST.marginal([0, 1]), OTHER.marginal([0, 1])
    density = first.log_density(grid).exp()
    for place in places(2, 4):
        wanted = (density * other.log_density(place - grid).exp()).sum() * cell
        yield near(f"at {place.tolist()}", wanted.log(), first.plus(other).log_density(place), abs=1e-9)


@check(
    "the product of two densities is a constant times a Gaussian, at every point; the constant is its integral",
    "Rasmussen & Williams 2006, eq. A.7-A.8",
)
def products_of_densities() -> Iterator[Finding]:
    x = places(3)
    product, constant = FIRST.times(OTHER)
    wanted = FIRST.log_density(x) + OTHER.log_density(x)
    yield near("density", wanted, product.log_density(x) + constant, rel=1e-11, abs=1e-11)
    precision = torch.linalg.inv(FIRST.covariance) + torch.linalg.inv(OTHER.covariance)
    yield near("precisions add", precision, torch.linalg.inv(product.covariance), rel=1e-9, abs=1e-12)
    line = torch.linspace(-12, 12, 20_001, dtype=torch.float64).unsqueeze(1)
    first, other = FIRST.marginal([1]), OTHER.marginal([1])
    integral = (first.log_density(line) + other.log_density(line)).exp().sum() * (line[1] - line[0])
    yield near("constant", integral.log(), first.times(other)[1], abs=1e-9)


@check(
    "a joint density is the marginal's times the conditional's; the conditional's precision is a block of the joint's",
    "Bishop 2006, eq. 2.73, 2.75, 2.81-2.82, 2.98",
)
def conditionals() -> Iterator[Finding]:
    precision = torch.linalg.inv(FIRST.covariance)
    for known in ([0], [1], [2], [0, 2], [2, 0], [2, 1]):
        rest = [i for i in range(3) if i not in known]
        for x in places(3, 3):
            law = FIRST.given(known, x[known])
            parts = FIRST.marginal(known).log_density(x[known]) + law.log_density(x[rest])
            yield near(f"density given {known}", FIRST.log_density(x), parts, rel=1e-11, abs=1e-11)
            block = precision[rest][:, rest]
            pull = torch.linalg.solve(block, precision[rest][:, known] @ (x[known] - FIRST.mean[known]))
            yield near(f"mean given {known}", FIRST.mean[rest] - pull, law.mean, rel=1e-10, abs=1e-12)
            yield near(f"precision given {known}", block, torch.linalg.inv(law.covariance), rel=1e-10, abs=1e-12)


@check(
    "KL between Gaussians: torch's, quadrature, the sum over coordinates where they are independent, 0 to itself",
    "Rasmussen & Williams 2006, eq. A.23; Kingma & Welling 2014, appendix B",
)
def divergences() -> Iterator[Finding]:
    for name, p, q in (("there", FIRST, OTHER), ("back", OTHER, FIRST)):
        there, back = (MultivariateNormal(law.mean, law.covariance) for law in (p, q))
        yield near(f"closed, {name}", kl_divergence(there, back), p.kl(q), rel=1e-11)
        for kept in ([0], [0, 1]):
            small, wide = p.marginal(kept), q.marginal(kept)
            yield near(f"quadrature, {name}, {kept}", small.kl(wide), measures.quadrature(small, wide), rel=1e-9)
        draws = p.draw(DRAWS, torch.Generator().manual_seed(3))
        found = measures.divergence(p.marginal([0, 1]), q.marginal([0, 1]), draws[:, :2])
        yield near(f"Monte Carlo, {name}", found.closed, found.monte_carlo, abs=SIGMAS * found.standard_error)
    spreads, others = (torch.tensor(v, dtype=torch.float64) for v in ([0.5, 1.2, 2.0], [1.0, 0.7, 2.0]))
    p, q = (Normal(law.mean, std.square().diag()) for law, std in ((FIRST, spreads), (OTHER, others)))
    yield near("by coordinate", kl(p.mean, spreads, q.mean, others).sum(), p.kl(q), rel=1e-12)
    yield near("to itself", 0, FIRST.kl(FIRST), abs=1e-14)


PAIRS = [(VP, 0.3, 0.7), (VP, 0.01, 0.02), (SubVP, 0.2, 0.9), (VE, 0.4, 0.5), (Flow, 0.1, 0.6), (Flow, 0.5, 1.0)]


@check(
    "the posterior q(x_s | x_t, x0) is the conditional of a joint Gaussian, and the product of the step and the jump",
    "Ho et al. 2020, eq. 6-7; Bishop 2006, eq. 2.81-2.82; Rasmussen & Williams 2006, eq. A.7",
)
def bridge_from_normals() -> Iterator[Finding]:
    x0, x_t = 0.7, -0.4
    for make, early, late in PAIRS:
        s, t = (make()(at(time)) for time in (early, late))
        step, case = bridge(t, s), f"{make.__name__} {early} to {late}"
        shared = t.alpha / s.alpha * s.sigma**2
        rows = torch.stack([s.sigma**2, shared, shared, t.sigma**2]).reshape(2, 2)
        joint = Normal(torch.stack([s.alpha, t.alpha]) * x0, rows)
        mean, variance = step.of_x * x_t + step.of_x0 * x0, step.variance
        found = joint.given([1], at(x_t).reshape(1))
        yield near(f"conditional mean, {case}", found.mean, mean, rel=1e-9, abs=1e-12)
        yield near(f"conditional variance, {case}", found.covariance, variance, rel=1e-9)
        forward = joint.given([0], at(0.2).reshape(1))
        yield near(f"forward mean, {case}", forward.mean, t.alpha / s.alpha * 0.2, rel=1e-9, abs=1e-12)
        yield near(f"forward variance, {case}", forward.covariance, step.forward_variance, rel=1e-9)
        if t.alpha > 0:
            ratio = t.alpha / s.alpha
            seen = Normal((x_t / ratio).reshape(1), (step.forward_variance / ratio**2).reshape(1, 1))
            product, _ = seen.times(Normal((s.alpha * x0).reshape(1), (s.sigma**2).reshape(1, 1)))
            yield near(f"product's mean, {case}", product.mean, mean, rel=1e-9, abs=1e-12)
            yield near(f"product's variance, {case}", product.covariance, variance, rel=1e-9)


@check(
    "the exact denoiser of a Gaussian is the conditional mean of x0 given x = alpha x0 + sigma eps",
    "Bishop 2006, eq. 2.113-2.117",
)
def denoiser_from_normals() -> Iterator[Finding]:
    law, eye = Gaussian.of_covariance(FIRST.mean, FIRST.covariance), torch.eye(3, dtype=torch.float64)
    both = Normal(torch.cat([FIRST.mean, torch.zeros(3).double()]), torch.block_diag(FIRST.covariance, eye))
    x = places(3, 4)
    for name, level in (("vp", VP()(at(0.4))), ("ve", VE()(at(0.8))), ("flow", Flow()(at(0.3)))):
        rows = torch.cat([torch.cat([eye, 0 * eye], 1), torch.cat([level.alpha * eye, level.sigma * eye], 1)])
        joint = both.affine(rows, torch.zeros(6, dtype=torch.float64))
        for number, place in enumerate(x):
            wanted = joint.given([3, 4, 5], place).mean
            yield near(f"{name}, {number}", wanted, law(x, level).x0[number], rel=1e-9, abs=1e-11)
        density = joint.marginal([3, 4, 5]).log_density(x)
        yield near(f"log density, {name}", density, law.log_density(x, level), rel=1e-11)


def responses(levels: list[Level], x0: float) -> tuple[Tensor, Tensor]:
    """The chain from x0 without noise, [T], and by how much it answers to a pulse in each step's noise, [T, T]."""
    start = torch.full((len(levels),), x0, dtype=torch.float64)

    def pulse(step: int) -> Tensor:
        noise = torch.zeros_like(start)
        noise[step + 1] = 1
        return noise

    walk = torch.stack(list(chain(start, levels, pulse)))
    return walk[:, 0], walk[:, 1:] - walk[:, :1]


@check(
    "the chain has the jump's mean and variance at every step, and x_s, x_t share sqrt(abar_t / abar_s) (1 - abar_s)",
    "Ho et al. 2020, eq. 2, 4",
)
def chain_law() -> Iterator[Finding]:
    bars, x0 = alpha_bar(linear_paper()), 0.8
    for entries in (list(range(101)), list(range(0, 1001, 20)), [0, 1, 30, 500, 1000]):
        levels = [CLEAN, *(SCHEDULES["linear"]()(at(i / 1000)) for i in entries[1:])]
        mean, answers = responses(levels, x0)
        covariance = answers @ answers.T
        case = f"{len(entries) - 1} steps to {entries[-1]}"
        for row, t in enumerate(entries[1:]):
            yield near(f"mean at {t}, {case}", math.sqrt(bars[t]) * x0, mean[row], rel=1e-9)
            wanted = [math.sqrt(bars[t] / bars[s]) * (1 - bars[s]) for s in entries[1 : row + 2]]
            yield near(f"covariances at {t}, {case}", matrix([wanted]), covariance[row, : row + 1], rel=1e-9)
            for column in (0, row // 2, row):
                found = correlation(levels[column + 1], levels[row + 1])
                wanted_here = covariance[row, column] / (covariance[row, row] * covariance[column, column]).sqrt()
                yield near(f"correlation of {column}, {row}, {case}", wanted_here, found, rel=1e-8)


@check(
    "a chain ends where the jump does, its eps being a weighted sum of the steps' noises with squares that sum to 1",
    "Ho et al. 2020, eq. 4",
)
def chain_is_a_jump() -> Iterator[Finding]:
    x0 = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3)
    for name, make in SCHEDULES.items():
        for steps in (1, 7, 100):
            levels = [CLEAN, *(make()(at((i + 1) / steps)) for i in range(steps))]
            noises = torch.randn(steps, 2, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
            *_, end = chain(x0, levels, lambda step, noises=noises: noises[step])  # type: ignore[misc]
            weights = shares(levels)
            eps = torch.einsum("t,tij->ij", weights, noises)
            scale = 1 + levels[-1].sigma.item()
            yield near(f"{name}, {steps} steps", levels[-1].noised(x0, eps), end, abs=1e-12 * scale)
            yield near(f"squares of {name}, {steps}", 1, weights.square().sum(), abs=1e-12)
    walk = grids.levels(VP(), 10)[::-1]
    factors = [math.sqrt(1 - bridge(t, s).forward_variance / t.sigma**2) for s, t in pairwise(walk[1:])]
    for (s, t), factor in zip(pairwise(walk[1:]), factors, strict=True):
        yield near(f"correlation, log-SNR {t.log_snr:.1f}", factor, correlation(s, t), rel=1e-9)


@check(
    "moments of draws lie within their standard errors, rejection draws the product, regression the conditional",
    "von Neumann 1951; Bishop 2006, eq. 2.81",
)
def measured_normals() -> Iterator[Finding]:
    first, other = FIRST.marginal([0, 1]), OTHER.marginal([0, 1])
    generator = torch.Generator().manual_seed(5)
    draws, uniform = first.draw(DRAWS, generator), torch.rand(DRAWS, generator=generator, dtype=torch.float64)
    errors = measures.moments(draws, first)
    exact = [[math.sqrt((a * b + c * c) / (DRAWS - 1)) for a, b, c in row] for row in _products(first.covariance)]
    yield near("standard errors of covariances", matrix(exact), errors.covariance_error, rel=1e-12)
    yield near("standard errors of means", (first.covariance.diagonal() / DRAWS).sqrt(), errors.mean_error, rel=1e-12)
    yield near("sample covariance", torch.cov(draws.T), errors.covariance, rel=1e-12)
    product, constant = first.times(other)
    kept = measures.accepted(draws, other, uniform)
    yield near("product", 0, measures.moments(kept, product).deviation(product), abs=SIGMAS)
    peak = other.log_density(other.mean).exp().item()
    share = constant.exp().item() / peak
    yield near("accepted", share, len(kept) / DRAWS, abs=SIGMAS * math.sqrt(share * (1 - share) / DRAWS))
    for value in (-1.0, 2.5):
        law, moved = first.given([1], at(value).reshape(1)), measures.along_regression(draws, value)
        mean_error, variance_error = measures.regression_error(draws, value, law.covariance[0, 0])
        yield near(f"conditional mean at {value}", law.mean[0], moved.mean(), abs=SIGMAS * mean_error.item())
        yield near(f"conditional variance at {value}", law.covariance, moved.var(), abs=SIGMAS * variance_error.item())


def _products(covariance: Tensor) -> Iterator[list[tuple[float, float, float]]]:
    """For each entry, the two variances and the covariance that its error is made of."""
    rows = covariance.tolist()
    for i, row in enumerate(rows):
        yield [(rows[i][i], rows[j][j], entry) for j, entry in enumerate(row)]
