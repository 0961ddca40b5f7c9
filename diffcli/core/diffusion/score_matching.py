"""Score matching: three losses whose minimiser is the score of the data's density, the gradient of its logarithm.

With p the density of x [B, D] and s the field that is fitted, all of them differ from half the squared error of the
field, E |s - ∇ log p|² / 2, by a constant:

    explicit, sliced    by -E |∇ log p|² / 2, the least that they can be (Hyvärinen 2005, theorem 1)
    denoising           by D / (2 sigma²) more than that (Vincent 2011, section 4.2)
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

Field = Callable[[Tensor], Tensor]
"""x [B, D] -> a vector at each, like x; each depends on its own x only, and can be differentiated."""


def trace(field: Field, x: Tensor) -> tuple[Tensor, Tensor]:
    """The field at x [B, D], and there the trace of its Jacobian [B], exactly: D derivatives backwards."""
    x = x.detach().requires_grad_(True)
    s = field(x)
    total = torch.zeros_like(s[:, 0])
    for i in range(x.shape[1]):
        total = total + _gradient(s[:, i], x)[:, i]
    return s, total


def explicit(field: Field, x: Tensor) -> Tensor:
    """tr ∇s(x) + |s(x)|² / 2 at draws x [B, D] of the density, [B] (Hyvärinen 2005, eq. 4)."""
    s, total = trace(field, x)
    return total + s.square().sum(1) / 2


def denoising(field: Field, x: Tensor, eps: Tensor, sigma: float) -> Tensor:
    """|s(x) - ∇ log p(x | x0)|² / 2 at x = x0 + sigma eps, [B, D] each; [B] (Vincent 2011, eq. 11)."""
    return (field(x) + eps / sigma).square().sum(1) / 2


def sliced(field: Field, x: Tensor, directions: Tensor, *, reduced: bool = False) -> Tensor:
    """v·∇s(x) v + (v·s(x))² / 2, the mean over directions v [P, B, D] with E[v vᵀ] = 1; [B].

    Song et al. 2019 (sliced score matching), section 3. One derivative backwards for each direction, whatever D is.

    reduced:  with |s(x)|² / 2 for the second term, its mean over v: the paper's SSM-VR, of less variance
    """
    x = x.detach().requires_grad_(True)
    s = field(x)
    total = torch.zeros_like(s[:, 0])
    for v in directions:
        along = (v * s).sum(1)
        square = s.square().sum(1) if reduced else along.square()
        total = total + (_gradient(along, x) * v).sum(1) + square / 2
    return total / len(directions)


def _gradient(values: Tensor, x: Tensor) -> Tensor:
    """Of each value [B] by its own x [B, D], such that it can be differentiated again; 0 where there is none."""
    if not values.requires_grad:
        return torch.zeros_like(x)
    (found,) = torch.autograd.grad(values.sum(), x, create_graph=True, allow_unused=True, materialize_grads=True)
    return found


def rademacher(count: int, x: Tensor, generator: Generator) -> Tensor:
    """Directions of -1 and 1, as likely one as the other, [count, *x.shape] like x."""
    signs = torch.randint(0, 2, (count, *x.shape), generator=generator)
    return (2 * signs - 1).to(x)


def gaussian(count: int, x: Tensor, generator: Generator) -> Tensor:
    """Directions from N(0, 1), [count, *x.shape] like x."""
    return torch.randn(count, *x.shape, generator=generator, dtype=torch.float64).to(x)


DIRECTIONS: dict[str, Callable[[int, Tensor, Generator], Tensor]] = {"rademacher": rademacher, "gaussian": gaussian}
"""Laws of v with mean 0 and E[v vᵀ] = 1. The variance of v·A v is 2 Σ a_ij² off the diagonal, or over all of it."""


def denoising_surplus(dimensions: int, sigma: float) -> float:
    """How much the denoising loss exceeds the explicit one in expectation, whatever the field: D / (2 sigma²).

    E[s · ∇ log p(x | x0)] = -E[tr ∇s] by parts, and E |∇ log p(x | x0)|² = D / sigma² (Vincent 2011, appendix).
    """
    return dimensions / (2 * sigma**2)


class Nudged:
    """A fixed field, plus A x + b with an A [B, D, D] and b [B, D] of each point's own, both 0.

    The gradient of a loss by them is, point by point, what that point says of how to change the field. Its mean is 0
    at the true score; how much it varies is the noise of the estimator.

    value, jacobian:  of the field at the points x [B, D]: [B, D] and [B, D, D], the latter by [component, coordinate]
    """

    def __init__(self, x: Tensor, value: Tensor, jacobian: Tensor) -> None:
        self.x, self.value, self.jacobian = x, value, jacobian
        self.matrix = torch.zeros_like(jacobian).requires_grad_(True)
        self.shift = torch.zeros_like(value).requires_grad_(True)

    def __call__(self, x: Tensor) -> Tensor:
        fixed = self.value + (self.jacobian @ (x - self.x).unsqueeze(2)).squeeze(2)
        return fixed + (self.matrix @ x.unsqueeze(2)).squeeze(2) + self.shift

    def gradients(self, loss: Tensor) -> Tensor:
        """Of a loss [B] by each point's numbers, [B, D² + D]."""
        found = torch.autograd.grad(loss.sum(), (self.matrix, self.shift))
        return torch.cat([part.flatten(1) for part in found], dim=1)


def jacobian(field: Field, x: Tensor) -> tuple[Tensor, Tensor]:
    """A field at x [B, D], and its derivatives [B, D, D], by [component, coordinate]; without a graph."""
    x = x.detach().requires_grad_(True)
    s = field(x)
    rows = [torch.autograd.grad(s[:, i].sum(), x, retain_graph=True)[0] for i in range(x.shape[1])]
    return s.detach(), torch.stack(rows, dim=1)
