"""Values, and the gradients that have to pass: 1 to the mean, ½ σ ε to the log of the variance."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def reparameterise(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """A draw from N(mean, exp(log_variance)), made of standard normal noise; gradients reach mean and log_variance.

    mean:         [B, D]
    log_variance: [B, D], the natural logarithm of the variance, any numbers
    noise:        [B, D], draws of N(0, 1)

    Returns [B, D].
    """
    return mean + torch.exp(0.5 * log_variance) * noise


def questions(ask: Ask) -> Iterator[Seen]:
    noise = torch.tensor([[1.0, -0.5], [0.0, 2.0]])
    for mean, log_variance in ((0.0, 0.0), (1.0, 0.0), (-1.0, 2.0), (0.5, -3.0)):
        mu, log_var = torch.full((2, 2), mean), torch.full((2, 2), log_variance)
        yield Seen(f"mean {mean:g}, log of the variance {log_variance:g}", ask(mu, log_var, noise))
    mu, log_var = (torch.full((2, 2), value, requires_grad=True) for value in (0.3, 1.2))
    yield Seen("the gradients at mean 0.3, log of the variance 1.2", ask(mu, log_var, noise, want="gradients"))


WRONG = [
    Swap("variance-for-std", "with the variance in the place of the standard deviation",
         "the unit of what noise is multiplied by", "0.5 * log_variance", "log_variance"),
    Swap("log-for-std", "with the logarithm itself as the standard deviation", "the name of the second argument",
         "torch.exp(0.5 * log_variance)", "log_variance"),
    Swap("root-of-the-log", "with the root of the logarithm, not of the variance",
         "the order: the exponential first, then the root",
         "torch.exp(0.5 * log_variance)", "torch.sqrt(log_variance)"),
    Swap("detached", "if gradients do not reach the variance",
         "what cuts the graph: `detach`, `item` and `.data`",
         "torch.exp(0.5 * log_variance)", "torch.exp(0.5 * log_variance.detach())"),
]  # fmt: skip


@wrong("with new noise instead of the noise that is given", "the third argument")
def own_noise(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    return mean + torch.exp(0.5 * log_variance) * torch.randn_like(noise)


@right
def by_square_root(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    return torch.sqrt(log_variance.exp()) * noise + mean


@right
def in_place(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    draw = noise.clone()
    draw *= (log_variance / 2).exp()
    draw += mean
    return draw


@right
def by_addcmul(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    return torch.addcmul(mean, (log_variance / 2).exp(), noise)
