"""Held to the package's levels. Batches are as large as an item's last dimension, where a wrong broadcast is silent."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.levels import Level
from diffcli.core.processes.corruption import per_image
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def add_noise(x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    """Items with Gaussian noise on them, each with its own amount: item b becomes item b + its σ times its noise.

    x:     [B, D] or [B, C, H, W]; what is returned is not clipped to any range
    sigma: [B], the standard deviation for each item, at least 0
    noise: like x, standard normal

    Returns a tensor like x.
    """
    return x + sigma.reshape(-1, *[1] * (x.dim() - 1)) * noise


def truth(x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    each = per_image(sigma.double(), x.double())
    return Level(torch.ones_like(each), each).noised(x.double(), noise.double())


def questions(ask: Ask) -> Iterator[Seen]:
    x, noise = torch.tensor([[0.9, -0.5], [0.1, 0.7]]), torch.tensor([[1.0, -0.4], [2.0, 0.5]])
    yield Seen(f"x {x.tolist()}, sigma [0.1, 2], noise {noise.tolist()}", ask(x, torch.tensor([0.1, 2.0]), noise))
    generator = torch.Generator().manual_seed(1)
    for shape in ((3, 3), (4, 1, 2, 4), (2, 3, 1, 2)):
        x, noise = 2 * torch.rand(shape, generator=generator) - 1, torch.randn(shape, generator=generator)
        sigma = 3 * torch.rand(shape[0], generator=generator)
        yield Seen(f"x of shape {list(shape)}, a sigma for each item", ask(x, sigma, noise))


WRONG = [
    Swap("along-the-columns", "when each σ goes to a column of every item, not to an item",
         "broadcasting: [B] is lined up with the last dimension, so σ needs the shape [B, 1, ..., 1]",
         "sigma.reshape(-1, *[1] * (x.dim() - 1))", "sigma"),
    Swap("variance-for-std", "with σ² in the place of σ", "what noise is multiplied by", ") * noise", ") ** 2 * noise"),
    Swap("root-of-sigma", "with the root of σ", "what `sigma` is: a standard deviation, not a variance", ") * noise",
         ") ** 0.5 * noise"),
    Swap("one-for-all", "with the first σ for all items", "the shape of sigma: one for each item",
         "sigma.reshape(-1, *[1] * (x.dim() - 1))", "sigma[0]"),
    Swap("clipped", "when the result is clipped to [-1, 1]", "the docstring: clipped noise is no longer Gaussian",
         "return x + sigma.reshape(-1, *[1] * (x.dim() - 1)) * noise",
         "return (x + sigma.reshape(-1, *[1] * (x.dim() - 1)) * noise).clamp(-1, 1)"),
    Swap("subtracted", "with the noise subtracted: the same law, another number", "the sign", "x + sigma", "x - sigma"),
]  # fmt: skip


@wrong("when the items shrink as the noise grows", "the docstring: here the signal keeps its size, α = 1")
def variance_preserving(x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    each = sigma.reshape(-1, *[1] * (x.dim() - 1))
    return (x + each * noise) / (1 + each**2).sqrt()


@wrong(
    "when the noise is clipped to [-1, 1] before it is scaled",
    "`noise`: all of it counts, clipped noise is not Gaussian",
)
def clipped_noise(x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    return x + sigma.reshape(-1, *[1] * (x.dim() - 1)) * noise.clamp(-1, 1)


@wrong("with noise of its own", "the last argument")
def own_noise(x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    return x + sigma.reshape(-1, *[1] * (x.dim() - 1)) * torch.randn_like(x)


@right
def one_item_after_the_other(x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    return torch.stack([item + float(s) * eps for item, s, eps in zip(x, sigma, noise, strict=True)])


@right
def with_the_batch_last(x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    y = x.clone().movedim(0, -1)
    y += sigma * noise.movedim(0, -1)
    return y.movedim(-1, 0)


@right
def by_einsum(x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    return x.double() + torch.einsum("b,b...->b...", sigma, noise)
