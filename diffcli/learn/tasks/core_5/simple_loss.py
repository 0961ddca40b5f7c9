"""Values and gradients held to the loss item by item; once there are as many items as numbers in each, on purpose."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import Mlp


def simple_loss(network: nn.Module, x0: Tensor, alpha: Tensor, sigma: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """L_simple of a batch: how well the network tells the noise in noisy data.

    network:       (x [B, ...], t [B]) -> like x, its estimate of the noise in x
    x0:            [B, ...], data
    alpha, sigma:  [B], what the data and the noise of each item are multiplied by: x_t = α x0 + σ ε
    t:             [B], the time that the network is told
    eps:           [B, ...], the noise, standard normal

    Returns the squared error, its mean over all numbers of all items: [], with a graph back to the weights.
    """
    column = (-1, *[1] * (x0.dim() - 1))
    noisy = alpha.reshape(column) * x0 + sigma.reshape(column) * eps
    error = network(noisy, t) - eps
    return error.square().mean()


def truth(network: nn.Module, x0: Tensor, alpha: Tensor, sigma: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    total = torch.zeros(())
    for i in range(len(x0)):
        found = network((alpha[i] * x0[i] + sigma[i] * eps[i]).unsqueeze(0), t[i : i + 1])
        total = total + (found[0] - eps[i]).flatten().pow(2).sum()
    return total / x0.numel()


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)
    for shape, seed in (((3, 3), 1), ((4, 2), 0), ((2, 1, 2, 2), 2)):
        network = Mlp(torch.Size(shape[1:]).numel(), width=8, seed=seed)
        x0, eps = torch.randn(2, *shape, generator=generator)
        t = torch.rand(len(x0), generator=generator)
        alpha, sigma = torch.cos(t * torch.pi / 2), torch.sin(t * torch.pi / 2)
        yield Seen(f"x0 {list(shape)}", ask(network, x0, alpha, sigma, t, eps))
    yield Seen(
        f"the gradients of the weights, x0 {list(shape)}", ask(network, x0, alpha, sigma, t, eps, want="gradients")
    )


WRONG = [
    Swap("sum", "with the sum for the mean: its gradient grows with the batch",
         "the number of terms: a mean does not grow with it",
         "error.square().mean()", "error.square().sum()"),
    Swap("sum-of-an-item", "with the sum over the numbers of an item", "the mean over *all* numbers",
         "error.square().mean()", "error.square().flatten(1).sum(1).mean()"),
    Swap("half", "with ½ of the squared error", "the factor: 1",
         "error.square().mean()", "0.5 * error.square().mean()"),
    Swap("absolute", "with the absolute error", "the square", "error.square().mean()", "error.abs().mean()"),
    Swap("root", "with the root of the mean square", "the root that should not be there", "error.square().mean()",
         "error.square().mean().sqrt()"),
    Swap("data-for-noise", "with x0 as the target", "the target: the noise",
         "network(noisy, t) - eps", "network(noisy, t) - x0"),
    Swap("clean-input", "when the network sees x0, without noise", "the input of the network: x_t",
         "network(noisy, t)", "network(x0, t)"),
    Swap("variance", "with σ² for σ", "the docstring: alpha and sigma are factors, no variances",
         "sigma.reshape(column) *", "sigma.reshape(column) ** 2 *"),
    Swap("roots", "with √α and √σ, as if they were variances", "the docstring: alpha and sigma are factors as they are",
         "alpha.reshape(column) * x0 + sigma.reshape(column) * eps",
         "alpha.reshape(column).sqrt() * x0 + sigma.reshape(column).sqrt() * eps"),
    Swap("exchanged", "with α and σ exchanged", "the factor of the data: α",
         "alpha.reshape(column) * x0 + sigma.reshape(column) * eps",
         "sigma.reshape(column) * x0 + alpha.reshape(column) * eps"),
    Swap("along-the-columns", "with a noise level for each column, not for each item",
         "the shape of alpha and sigma: [B] has to become [B, 1, ..., 1] before it meets x0",
         "alpha.reshape(column) * x0 + sigma.reshape(column) * eps", "alpha * x0 + sigma * eps"),
    Swap("two-axes-only", "with alpha and sigma as [B, 1], which suits x0 [B, D] alone: in images they go by rows",
         "the number of axes of x0, which varies", "(-1, *[1] * (x0.dim() - 1))", "(-1, 1)"),
    Swap("untold", "when the network is told time 0 for every item", "its second argument",
         "network(noisy, t)", "network(noisy, 0 * t)"),
]  # fmt: skip


@wrong("when the mean is squared, not the error", "the order: first square, then mean")
def square_of_the_mean(network: nn.Module, x0: Tensor, alpha: Tensor, sigma: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    column = (-1, *[1] * (x0.dim() - 1))
    found: Tensor = network(alpha.reshape(column) * x0 + sigma.reshape(column) * eps, t)
    return (found - eps).mean().square()


@right
def by_mse_loss(network: nn.Module, x0: Tensor, alpha: Tensor, sigma: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    a, s = (part[(...,) + (None,) * (x0.ndim - 1)] for part in (alpha, sigma))
    return F.mse_loss(network(a * x0 + s * eps, t), eps)


@right
def item_by_item(network: nn.Module, x0: Tensor, alpha: Tensor, sigma: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    losses = []
    for i in range(len(x0)):
        error = network(alpha[i] * x0[i : i + 1] + sigma[i] * eps[i : i + 1], t[i : i + 1]) - eps[i : i + 1]
        losses.append((error**2).mean())
    return torch.stack(losses).mean()


@right
def with_items_last(network: nn.Module, x0: Tensor, alpha: Tensor, sigma: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    noisy = (alpha * x0.movedim(0, -1) + sigma * eps.movedim(0, -1)).movedim(-1, 0)
    return torch.linalg.vector_norm(network(noisy, t) - eps) ** 2 / eps.numel()
