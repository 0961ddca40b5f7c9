"""Held to the package's own, which takes the eigenvalues of a symmetric matrix."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.metrics import frechet


def frechet_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """|m_a − m_b|² + tr(A + B − 2 (A B)^½), the Fréchet distance of two normal laws: a squared length, no root of it.

    (A B)^½ is a root in the sense of matrices: a matrix whose product with itself is A B, its eigenvalues being the
    roots of those of A B, which are never negative. It is not the matrix of the roots of all entries.

    mean_a, mean_b: [D], float64
    cov_a, cov_b:   [D, D], float64, A and B, symmetric; they may have eigenvalues of 0

    Returns a number, or a tensor of one.
    """
    roots = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots


def questions(ask: Ask) -> Iterator[Seen]:
    def matrix(*rows: list[float]) -> Tensor:
        return torch.tensor(rows, dtype=torch.float64)

    centre, other = torch.tensor([1.0, -2.0], dtype=torch.float64), torch.tensor([0.5, 1.0], dtype=torch.float64)
    wide, tilted = matrix([4.0, 0.0], [0.0, 0.25]), matrix([2.0, 1.2], [1.2, 1.5])
    yield Seen("in the plane, diagonal covariances", ask(centre, wide, other, matrix([1.0, 0.0], [0.0, 9.0])))
    yield Seen("in the plane, covariances that do not commute", ask(centre, wide, other, tilted))
    yield Seen("the same laws the other way round", ask(other, tilted, centre, wide))
    yield Seen("the same means, covariances that do not commute", ask(centre, wide, centre, tilted))
    yield Seen("one law twice: 0", ask(centre, tilted, centre, tilted), within=1e-6)
    flat = matrix([1.0, 1.0], [1.0, 1.0])
    yield Seen(
        "a covariance of rank 1, whose eigenvalue of 0 may come out just below 0",
        ask(centre, flat, other, tilted),
        within=1e-5,
    )
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    roots = torch.randn(2, 4, 4, generator=generator, dtype=torch.float64)
    covs = roots @ roots.mT
    yield Seen("in four dimensions", ask(means[0], covs[0], means[1], covs[1]))


def truth(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    return frechet.frechet_distance(frechet.Moments(9, mean_a, cov_a), frechet.Moments(9, mean_b, cov_b))


WRONG = [
    Swap("no-two", "with (A B)^½ once, not twice", "the factor of the root", "- 2 * roots", "- roots"),
    Swap(
        "root-of-the-whole",
        "with a root of the whole",
        "`a squared length, no root of it`",
        "return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots",
        "return ((mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots).clamp(min=0).sqrt()",
    ),
    Swap(
        "length-not-squared",
        "with |m_a − m_b| where its square belongs",
        "the first term",
        "(mean_a - mean_b).square().sum()",
        "(mean_a - mean_b).norm()",
    ),
    Swap(
        "mean-of-squares",
        "with a mean over the dimensions where |m_a − m_b|² is a sum",
        "the first term",
        "(mean_a - mean_b).square().sum()",
        "(mean_a - mean_b).square().mean()",
    ),
    Swap("no-means", "without the distance of the means", "the first term", "(mean_a - mean_b).square().sum() + ", ""),
    Swap("no-root", "with A B where its root belongs", "the exponent ½", ".clamp(min=0).sqrt().sum()", ".sum()"),
]


@wrong("with the roots of all entries of A B, for a root of the matrix", "what the docstring says of (A B)^½")
def by_entries(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    root = (cov_a @ cov_b).clamp(min=0).sqrt()
    return (mean_a - mean_b).square().sum() + (cov_a + cov_b - 2 * root).trace()


@wrong("with the root of the trace of A B, for the trace of its root", "the order: first the root of the matrix")
def root_of_the_trace(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * (cov_a @ cov_b).trace().sqrt()


@wrong("with A and B multiplied entry by entry, by `*`", "the product: it is that of matrices, `@`")
def product_by_entries(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    roots = torch.linalg.eigvals(cov_a * cov_b).real.clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots


@wrong(
    "with A^½ B^½ for (A B)^½, which is the same only where A and B commute",
    "the product: it is of A and B, and the root comes afterwards",
)
def of_the_roots(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    product = frechet.square_root(cov_a) @ frechet.square_root(cov_b)
    return (mean_a - mean_b).square().sum() + (cov_a + cov_b - 2 * product).trace()


@wrong(
    "with eigenvalues by `eigh`, which takes A B for symmetric and reads one half of it",
    "A B, which is not symmetric even though A and B are: `eigvals` is for any matrix",
)
def as_if_symmetric(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    roots = torch.linalg.eigvalsh(cov_a @ cov_b).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots


@wrong(
    "with the variances alone, as if no two features had anything in common",
    "what is off the diagonal of the covariances",
)
def diagonal(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    roots = (cov_a.diagonal() * cov_b.diagonal()).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots


@right
def by_scipy(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    import numpy as np
    from scipy import linalg

    a, b = cov_a.numpy(), cov_b.numpy()
    lift = 1e-12 * np.eye(len(a))  # a product without full rank may have no root of its own
    root = linalg.sqrtm((a + lift) @ (b + lift))
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(np.real(root)))


@right
def by_singular_values(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """The trace of (A^½ B A^½)^½ is the sum of the singular values of A^½ B^½."""

    def root(matrix: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T

    gap = mean_a - mean_b
    return gap @ gap + cov_a.trace() + cov_b.trace() - 2 * torch.linalg.svdvals(root(cov_a) @ root(cov_b)).sum()


@right
def symmetric(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(cov_b)
    half = vectors * values.clamp(min=0).sqrt()
    roots = torch.linalg.eigvalsh(half.T @ cov_a @ half).clamp(min=0).sqrt()
    return torch.sum((mean_a - mean_b) ** 2) + torch.trace(cov_a) + torch.trace(cov_b) - 2 * torch.sum(roots)
