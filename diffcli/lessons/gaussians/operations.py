"""What is done with two Gaussians: an affine map, sum, product and conditional, of the laws and of their draws."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.processes.laws.gaussian import Normal
from diffcli.errors import UsageProblem
from diffcli.lessons.gaussians.measures import (
    Divergence,
    MeasuredMoments,
    accepted,
    along_regression,
    divergence,
    moments,
    regression_error,
)
from diffcli.lessons.gaussians.named import WrittenGaussian, matrix, normal, numbers

MATRICES = {1: "2", 2: "1,-0.5/0.5,1"}
COVARIANCES = {1: ("1.5", "0.5"), 2: ("1,0.6/0.6,2", "0.8,-0.3/-0.3,0.5")}  # the first's, the other's
FEWEST = 10  # draws that say something of a product


@dataclass(frozen=True)
class GaussianSetting:
    """The laws of x and z, and what is done with them.

    matrix, shift:  A and b of the affine map
    mapped:         the law of A x + b
    given:          where the second coordinate is, or x + z in one dimension, for the conditional
    """

    first: Normal
    second: Normal
    matrix: Tensor
    shift: Tensor
    mapped: Normal
    given: float
    count: int
    seed: int


def gaussian_setting(
    dim: int, first: WrittenGaussian, second: WrittenGaussian, *, turn: str | None, shift: str, given: str, count: int,
    seed: int,
) -> GaussianSetting:  # fmt: skip
    """What was asked for, checked; `turn` is the matrix of the map. Raises UsageProblem, or DataProblem for files."""
    own, others = COVARIANCES[dim]
    x, z = normal(first, dim, own), normal(second, dim, others, "other-")
    a, b = matrix(turn or MATRICES[dim], (dim, dim), "--matrix"), numbers(shift, dim, "--shift")
    value = numbers(given, 1, "--given").item()
    try:
        mapped = x.affine(a, b)
    except ValueError:
        raise UsageProblem("--matrix must have an inverse", "else A x + b has no density") from None
    return GaussianSetting(x, z, a, b, mapped, value, count, seed)


class Operation(NamedTuple):
    """What became of draws: the law predicted for them, the draws [N, D], and what was measured; None if too few."""

    name: str
    formula: str
    truth: Normal
    draws: Tensor
    measured: MeasuredMoments | None


def operation(name: str, formula: str, truth: Normal, draws: Tensor) -> Operation:
    """Draws beside the law predicted for them, with their moments if they are enough."""
    return Operation(name, formula, truth, draws, moments(draws, truth) if len(draws) >= FEWEST else None)


class ProductConstant(NamedTuple):
    """The integral of p(x) q(x): its logarithm and itself by the formula, measured by rejection, and by how many draws.

    accepted:  of the draws of p, as draws of the product
    """

    log: float
    integral_true: float
    integral: float
    standard_error: float
    accepted: int


def product(first: Normal, second: Normal, x: Tensor, uniform: Tensor) -> tuple[Operation, ProductConstant]:
    """Draws of the product by rejection from draws x [N, D] of the first; how many stay measures its constant."""
    truth, constant = first.times(second)
    kept, peak = accepted(x, second, uniform), second.log_density(second.mean)
    share = (constant - peak).exp().item()
    found = ProductConstant(
        log=constant.item(),
        integral_true=constant.exp().item(),
        integral=len(kept) / len(x) * peak.exp().item(),
        standard_error=math.sqrt(share * (1 - share) / len(x)) * peak.exp().item(),
        accepted=len(kept),
    )
    return operation("product", "p(x) q(x), normalised", truth, kept), found


def conditional(first: Normal, second: Normal, x: Tensor, z: Tensor, value: float) -> Operation:
    """In 2-D the first coordinate given the second; in 1-D x given x + z, which is what a denoiser looks for."""
    if len(first.mean) == 2:
        joint, pairs, formula = first, x, f"x 1 where x 2 = {value:g}"
    else:
        both = Normal(torch.cat([first.mean, second.mean]), torch.block_diag(first.covariance, second.covariance))
        rows = torch.tensor([[1, 0], [1, 1]], dtype=torch.float64)
        joint, pairs = both.affine(rows, torch.zeros(2, dtype=torch.float64)), torch.cat([x, x + z], dim=1)
        formula = f"x where x + z = {value:g}"
    truth = joint.given([1], torch.tensor([value], dtype=torch.float64))
    draws = along_regression(pairs, value).unsqueeze(1)
    mean_error, variance_error = regression_error(pairs, value, truth.covariance[0, 0])
    variance = (draws - draws.mean()).square().sum().reshape(1, 1) / (len(draws) - 2)  # a line has two parameters
    found = MeasuredMoments(draws.mean(0), variance, mean_error.reshape(1), variance_error.reshape(1, 1))
    return Operation("conditional", formula, truth, draws, found)


def divergences(laws: tuple[Normal, Normal], draws: tuple[Tensor, Tensor]) -> dict[str, Divergence]:
    """The divergence of each law from the other, by name."""
    (first, second), (x, z) = laws, draws
    return {"first_from_other": divergence(first, second, x), "other_from_first": divergence(second, first, z)}
