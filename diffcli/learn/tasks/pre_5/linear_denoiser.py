"""Held to the package's best affine denoiser, in double precision, also where the covariance is singular."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.core.processes.corruption import GaussianNoise, best_affine
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def linear_denoiser(y: Tensor, mean: Tensor, covariance: Tensor, sigma: float) -> Tensor:
    """The best affine estimate of x from y = x + σ ε, in the mean squared error; for Gaussian x the best of all.

    y:          [B, D]
    mean:       [D], of x
    covariance: C, [D, D], of x; some pixels never vary, so it may have no inverse, while C + σ² I always has one
    sigma:      σ, a number above 0, the standard deviation of the noise

    Returns [B, D].
    """
    total = covariance + sigma**2 * torch.eye(len(mean), dtype=covariance.dtype)
    gain = torch.linalg.solve(total, covariance)  # Cov(y)⁻¹ C, which is C Cov(y)⁻¹ where Cov(y) = C + σ² I
    return mean + (y - mean) @ gain


def truth(y: Tensor, mean: Tensor, covariance: Tensor, sigma: float) -> Tensor:
    return best_affine(GaussianNoise(), mean.double(), covariance.double(), sigma)(y.double())


def questions(ask: Ask) -> Iterator[Seen]:
    y, mean, covariance = torch.tensor([[1.5], [-0.4]]), torch.tensor([0.5]), torch.tensor([[2.0]])
    yield Seen("y [[1.5], [-0.4]], mean [0.5], covariance [[2]], sigma 0.7", ask(y, mean, covariance, 0.7))
    generator = torch.Generator().manual_seed(4)
    for dimensions, sigma in ((3, 0.5), (4, 1.8)):
        root = torch.randn(dimensions, dimensions, generator=generator) * torch.linspace(0.3, 1.5, dimensions)
        mean, y = torch.randn(dimensions, generator=generator), 2 * torch.randn(3, dimensions, generator=generator)
        yield Seen(f"three y of {dimensions} numbers, sigma {sigma:g}", ask(y, mean, root @ root.T, sigma))
    flat = torch.tensor([[1.0, 0.5, 0.0], [0.5, 0.25, 0.0], [0.0, 0.0, 0.0]])
    told = f"a singular covariance, {flat.tolist()}, sigma 0.5"
    yield Seen(told, ask(torch.tensor([[0.7, -1.0, 0.2]]), torch.tensor([0.1, -0.3, 0.4]), flat, 0.5))


WRONG = [
    Swap("std-for-variance", "with σ in the place of σ²", "what is added to a covariance", "sigma**2 *", "sigma *"),
    Swap("no-mean", "without the mean: it is denoised as if it were 0", "what is shrunk: the distance from the mean",
         "mean + (y - mean) @ gain", "y @ gain"),
    Swap("mean-not-added", "when the mean is subtracted and not added again", "what is estimated: x, not x − mean",
         "mean + (y", "(y"),
    Swap("noise-estimate", "with an estimate of the noise, y − x, for one of x", "what is asked for: the clean item",
         "return mean + (y - mean) @ gain", "return y - mean - (y - mean) @ gain"),
    Swap("each-total-alone", "when Cov(y) is taken to have its diagonal alone", "what is inverted: all of C + σ² I",
         "covariance + sigma", "covariance.diag().diag() + sigma"),
]  # fmt: skip


@wrong(
    "when each value is denoised on its own, without what its neighbours say", "the entries of C beside the diagonal"
)
def variances_only(y: Tensor, mean: Tensor, covariance: Tensor, sigma: float) -> Tensor:
    variance = covariance.diagonal()
    return mean + variance / (variance + sigma**2) * (y - mean)


@wrong(
    "with the factors the other way round: where x varies most, least is kept",
    "the limit σ² → 0, where y itself is best",
)
def shares_swapped(y: Tensor, mean: Tensor, covariance: Tensor, sigma: float) -> Tensor:
    total = covariance + sigma**2 * torch.eye(len(mean))
    return mean + sigma**2 * torch.linalg.solve(total, (y - mean).T).T


@wrong(
    "with the pseudo-inverse of C, by which a value that never varies is not known at all",
    "what is inverted: C itself cannot be, C + σ² I can",
)
def pseudo_inverse(y: Tensor, mean: Tensor, covariance: Tensor, sigma: float) -> Tensor:
    precision = torch.linalg.pinv(covariance, hermitian=True)
    return mean + (y - mean) @ torch.linalg.inv(sigma**2 * precision + torch.eye(len(mean)))


@wrong("when y is whitened rather than denoised", "the factor C before the inverse")
def whitened(y: Tensor, mean: Tensor, covariance: Tensor, sigma: float) -> Tensor:
    total = covariance + sigma**2 * torch.eye(len(mean))
    return mean + torch.linalg.solve(total, (y - mean).T).T


@right
def by_principal_axes(y: Tensor, mean: Tensor, covariance: Tensor, sigma: float) -> Tensor:
    """The Wiener filter: along each axis, v / (v + σ²) of the distance."""
    variance, axes = torch.linalg.eigh(covariance.double())
    along = (y - mean).double() @ axes
    return mean + (along * variance / (variance + sigma**2)) @ axes.T


@right
def one_y_after_the_other(y: Tensor, mean: Tensor, covariance: Tensor, sigma: float) -> Tensor:
    inverse = torch.linalg.inv(covariance + torch.eye(len(mean)) * sigma * sigma)
    return torch.stack([mean + covariance @ inverse @ (one - mean) for one in y])


@right
def by_what_is_taken_away(y: Tensor, mean: Tensor, covariance: Tensor, sigma: float) -> Tensor:
    total = covariance.numpy().astype(np.float64) + sigma**2 * np.eye(len(mean))
    noise = sigma**2 * np.linalg.solve(total, (y - mean).numpy().T.astype(np.float64)).T
    return y - torch.from_numpy(noise)
