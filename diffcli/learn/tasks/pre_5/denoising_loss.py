"""Held to the package's loss of a denoiser that says what is clean, and to the gradients that reach the network."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.core.processes.corruption import per_image
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right
from diffcli.learn.props import SmallDenoiser


def denoising_loss(denoiser: nn.Module, x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    """The loss of each item: the denoiser's mean squared error, times 1 + 1/σ².

    denoiser: takes two arguments, y (like x) and sigma [B]; gives the estimate of the clean items, like x
    x:        [B, D] or [B, C, H, W], clean items
    sigma:    [B], the standard deviation of the noise on each item, above 0
    noise:    like x, standard normal; the denoiser sees y = item + its σ times its noise

    Returns [B]: the mean over the values of an item of (estimate − clean)², multiplied by 1 + 1/σ² of that item.
    Gradients reach the denoiser's weights.
    """
    y = x + sigma.reshape(-1, *[1] * (x.dim() - 1)) * noise
    error = (denoiser(y, sigma) - x).square().flatten(1).mean(1)
    return error * (1 + 1 / sigma**2)


def truth(denoiser: nn.Module, x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    """The error of v = (σ x − ε)/√(1 + σ²) that comes with the estimate; the package trains denoisers on it."""
    each = per_image(sigma, x)
    y, length = x + each * noise, (1 + each**2).sqrt()
    estimate = denoiser(y, sigma)
    v = ((y - estimate) / each - each * estimate) / length
    return (v - (noise - each * x) / length).square().flatten(1).mean(1)


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(6)
    for shape in ((2, 2), (4, 1, 2, 4), (3, 5)):
        x, noise = 2 * torch.rand(shape, generator=generator) - 1, torch.randn(shape, generator=generator)
        sigma = torch.linspace(0.2, 1.7, shape[0])
        model = SmallDenoiser(x[0].numel(), seed=len(shape))
        yield Seen(f"x of shape {list(shape)}, sigma {sigma.tolist()}", ask(model, x, sigma, noise))
    told = "the gradients of the sum of the results by the weights of the denoiser (three items of five values)"
    yield Seen(told, ask(model, x, sigma, noise, want="gradients"))


WRONG = [
    Swap("no-weight", "without the weight 1 + 1/σ²", "the second factor", "return error * (1 + 1 / sigma**2)",
         "return error"),
    Swap("weight-without-one", "with 1/σ² for 1 + 1/σ²", "the weight at large σ: it goes to 1, not to 0",
         "(1 + 1 / sigma**2)", "(1 / sigma**2)"),
    Swap("weight-of-std", "with 1 + 1/σ for 1 + 1/σ²", "the weight: the inverse of a squared error", "1 / sigma**2",
         "1 / sigma"),
    Swap("batch-weight", "with the mean weight of the batch for every item",
         "the weight of an item: its own σ is in it",
         "(1 + 1 / sigma**2)", "(1 + 1 / sigma**2).mean()"),
    Swap("sum", "with the sum over the values of an item for the mean",
         "the values of an item, which are averaged", ".mean(1)", ".sum(1)"),
    Swap("whole-batch", "with one error for the whole batch", "the shape [B]",
         ".square().flatten(1).mean(1)", ".square().mean()"),
    Swap("batch-mean", "with the mean over the batch", "the shape [B]",
         "return error * (1 + 1 / sigma**2)", "return (error * (1 + 1 / sigma**2)).mean()"),
    Swap("clean-input", "when the denoiser is shown the clean items", "what the denoiser is shown: y",
         "denoiser(y, sigma)", "denoiser(x, sigma)"),
    Swap("noisy-target", "when the noisy items are what is to be found: the denoiser learns to do nothing",
         "the target: x",
         "sigma) - x)", "sigma) - y)"),
    Swap("noise-target", "when the noise is what is to be found",
         "the target: it is x; networks that find the noise come in Core 3",
         "sigma) - x)", "sigma) - noise)"),
    Swap("root", "with the root of the mean squared error", "the loss: the squared error itself, without a root",
         ".mean(1)\n", ".mean(1).sqrt()\n"),
    Swap("along-the-columns", "when each σ goes to a column of every item, not to an item",
         "broadcasting: [B] is lined up with the last dimension, so σ needs the shape [B, 1, ..., 1] beside x",
         "sigma.reshape(-1, *[1] * (x.dim() - 1)) * noise", "sigma * noise"),
]  # fmt: skip


@right
def one_item_after_the_other(denoiser: nn.Module, x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    found = []
    for i in range(len(x)):
        estimate = denoiser((x[i] + sigma[i] * noise[i]).unsqueeze(0), sigma[i : i + 1])
        weight = (sigma[i] ** 2 + 1) / sigma[i] ** 2
        found.append(weight * F.mse_loss(estimate[0], x[i]))
    return torch.stack(found)


@right
def by_torch(denoiser: nn.Module, x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    each = sigma.view(len(x), *(1 for _ in x.shape[1:]))
    error = F.mse_loss(denoiser(torch.addcmul(x, each, noise), sigma), x, reduction="none")
    return (error + error / each**2).reshape(len(x), -1).mean(dim=1)


@right
def with_a_root_of_the_weight(denoiser: nn.Module, x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    def beside(values: Tensor) -> Tensor:
        return values[(...,) + (None,) * (x.ndim - 1)]

    miss = beside(torch.hypot(torch.ones_like(sigma), sigma) / sigma) * (denoiser(x + beside(sigma) * noise, sigma) - x)
    return torch.linalg.vector_norm(miss.flatten(1), dim=1) ** 2 / x[0].numel()
