"""Held to enumeration and Bayes' rule: the laws are coins along turned axes and a Gaussian, their denoisers modules."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def expected_error(denoiser: nn.Module, y: Tensor, sigma: float) -> Tensor:
    """E[|x − E[x | y]|² | y]: how far, squared, the best denoiser is off on average when it sees y = x + σ ε.

    denoiser: takes one argument, y [B, D], and knows σ; gives E[x | y] [B, D], each row from its own y only. It can be
              differentiated
    y:        [B, D]
    sigma:    σ, a number above 0

    Returns [B]: the sum over the D numbers of an item of their variances given y. The clean x is not needed for it.
    """
    y = y.clone().requires_grad_(True)
    estimate = denoiser(y)
    total = torch.zeros(len(y))
    for i in range(y.shape[1]):
        (slopes,) = torch.autograd.grad(estimate[:, i].sum(), y, retain_graph=True)
        total = total + slopes[:, i]
    return sigma**2 * total


def truth(denoiser: nn.Module, y: Tensor, sigma: float) -> Tensor:
    """From the law of x itself, which the weights of the denoiser tell."""
    if isinstance(denoiser, nn.Linear):  # C (C + σ²)⁻¹: the error is the trace of the posterior's covariance
        gain = denoiser.weight.detach().double()
        covariance = sigma**2 * torch.linalg.solve(torch.eye(len(gain)).double() - gain, gain)
        precision = torch.linalg.inv(covariance) + torch.eye(len(gain)).double() / sigma**2
        return torch.linalg.inv(precision).trace().expand(len(y))
    last = list(denoiser.modules())[-1]
    assert isinstance(last, nn.Linear)
    axes = last.weight.detach().double()
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=len(axes)))).double()
    points = signs @ axes.T
    shares = (-(torch.cdist(y.double(), points) ** 2) / (2 * sigma**2)).softmax(1)
    return shares @ points.square().sum(1) - (shares @ points).square().sum(1)


def questions(ask: Ask) -> Iterator[Seen]:
    y = torch.tensor([[0.2, -0.4], [1.5, 0.1]])
    for sigma in (0.6, 1.4):
        told = f"x is one of the four corners of a square that is turned by 30°, y {y.tolist()}, sigma {sigma:g}"
        yield Seen(told, ask(_coins(_turned(30), sigma), y, sigma))
    yield Seen("x is -1 or 1, y [[0], [0.3], [-2]], sigma 0.5", ask(
        _coins(torch.eye(1), 0.5), torch.tensor([[0.0], [0.3], [-2.0]]), 0.5
    ))  # fmt: skip
    root = torch.randn(3, 3, generator=torch.Generator().manual_seed(7))
    yield Seen("x is Gaussian, three numbers that are correlated, two y, sigma 0.8", ask(
        _gaussian(root @ root.T, 0.8), torch.tensor([[0.5, -1.0, 2.0], [3.0, 0.0, 0.1]]), 0.8
    ))  # fmt: skip


def _turned(degrees: float) -> Tensor:
    angle = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])


def _coins(axes: Tensor, sigma: float) -> nn.Sequential:
    """The best denoiser of x = axes s, s being independent signs, for orthogonal axes: axes tanh(axesᵀ y / σ²)."""
    into, out = (nn.Linear(len(axes), len(axes), bias=False) for _ in range(2))
    into.weight.data, out.weight.data = axes.T / sigma**2, axes.clone()
    return nn.Sequential(into, nn.Tanh(), out)


def _gaussian(covariance: Tensor, sigma: float) -> nn.Linear:
    """The best denoiser of N(0, covariance)."""
    made = nn.Linear(len(covariance), len(covariance), bias=False)
    made.weight.data = torch.linalg.solve(covariance + sigma**2 * torch.eye(len(covariance)), covariance).T.contiguous()
    return made


WRONG = [
    Swap("std-for-variance", "with σ in the place of σ²", "the unit of a squared error", "sigma**2 * total",
         "sigma * total"),
    Swap("divergence-alone", "without σ²", "the unit of a squared error", "sigma**2 * total", "total"),
    Swap("mean", "with the mean over the D numbers for the sum", "what is asked for: the error of the whole item",
         "sigma**2 * total", "sigma**2 * total / y.shape[1]"),
    Swap("whole-jacobian", "with all entries of the Jacobian for those of its diagonal",
         "the gradient of a sum of outputs: it mixes ∂r_i/∂y_j with ∂r_i/∂y_i", "slopes[:, i]", "slopes.sum(1)"),
    Swap("first-only", "with one number's variance alone", "the sum over all D numbers", "total + slopes[:, i]",
         "slopes[:, i]"),
]  # fmt: skip


@wrong("with how far the denoiser moves y", "what is asked for: how far the estimate is from x, not from y")
def residual(denoiser: nn.Module, y: Tensor, sigma: float) -> Tensor:
    return (denoiser(y) - y).square().sum(1).detach()


@wrong("with σ² (D − trace) for σ² times the trace", "a denoiser that is sure: its Jacobian is 0, and so is its error")
def taken_away(denoiser: nn.Module, y: Tensor, sigma: float) -> Tensor:
    return sigma**2 * y.shape[1] - expected_error(denoiser, y, sigma)


@wrong(
    "with Stein's estimate of the error, which is right on average over y and not for each y",
    "the covariance of x given y: σ² times the Jacobian, nothing else",
)
def steins_estimate(denoiser: nn.Module, y: Tensor, sigma: float) -> Tensor:
    moved = (denoiser(y) - y).square().sum(1).detach()
    return moved + 2 * expected_error(denoiser, y, sigma) - sigma**2 * y.shape[1]


@right
def by_jacobians(denoiser: nn.Module, y: Tensor, sigma: float) -> Tensor:
    found = torch.autograd.functional.jacobian(denoiser, y)  # [B, D, B, D], 0 between items
    return sigma**2 * torch.einsum("bibi->b", found)


@right
def one_y_after_the_other(denoiser: nn.Module, y: Tensor, sigma: float) -> Tensor:
    found = []
    for row in y:
        here = row.clone().requires_grad_(True)
        parts = [torch.autograd.grad(denoiser(here[None])[0, i], here)[0][i] for i in range(len(row))]
        found.append(torch.stack(parts).sum() * sigma**2)
    return torch.stack(found)


@right
def by_small_differences(denoiser: nn.Module, y: Tensor, sigma: float) -> list[float]:
    width, exact = 1e-4, denoiser.double()
    found = torch.zeros(len(y), dtype=torch.float64)
    for i, axis in enumerate(torch.eye(y.shape[1], dtype=torch.float64)):
        found += (exact(y + width * axis) - exact(y - width * axis))[:, i].detach() / (2 * width)
    return [sigma**2 * value for value in found.tolist()]
