"""Held to the KL between two Gaussians of any mean and width, in double precision, and its gradients."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from diffcli.core.processes.laws.gaussian import kl
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q || p) of each item in nats, q = N(mean, diag(exp(log_variance))) and p = N(0, I).

    mean:         [B, L], those of the L units of a code
    log_variance: [B, L], the natural logarithm of σ², not of σ

    Returns [B], the sum over the units; it is 0 where q = p and above 0 elsewhere. Gradients reach both.
    """
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)


def truth(mean: Tensor, log_variance: Tensor) -> Tensor:
    std = (log_variance.double() / 2).exp()
    return kl(mean.double(), std, 0.0, torch.ones_like(std)).sum(1)


def questions(ask: Ask) -> Iterator[Seen]:
    mean, log_variance = torch.tensor([[0.7], [-1.5]]), torch.tensor([[-2.0], [0.8]])
    yield Seen(f"mean {mean.tolist()}, log_variance {log_variance.tolist()}", ask(mean, log_variance))
    generator = torch.Generator().manual_seed(2)
    mean, log_variance = torch.randn(3, 4, generator=generator), 2 * torch.randn(3, 4, generator=generator)
    yield Seen("three items of four units", ask(mean, log_variance))
    yield Seen("mean 0 and log_variance 0, two items of three units", ask(torch.zeros(2, 3), torch.zeros(2, 3)))
    mean, log_variance = mean.requires_grad_(True), log_variance.requires_grad_(True)
    yield Seen("the gradients of the sum of the results, by mean and log_variance", ask(
        mean, log_variance, want="gradients"
    ))  # fmt: skip


WRONG = [
    Swap("negative", "with the sign turned: −KL, the term as it stands in the bound",
         "the sign of a divergence, which is never negative", "return 0.5", "return -0.5"),
    Swap("no-half", "without the ½", "the exponent of a Gaussian density", "0.5 * ", ""),
    Swap("mean", "with the mean over the units for the sum", "what independence does to a KL", ".sum(1)", ".mean(1)"),
    Swap("whole-batch", "with one sum over the whole batch", "the shape [B]", ".sum(1)", ".sum()"),
    Swap("log-std", "when log_variance is taken for log σ", "the second argument: exp of it is σ² already",
         "log_variance.exp() - 1 - log_variance", "(2 * log_variance).exp() - 1 - 2 * log_variance"),
    Swap("std-for-variance", "with σ in the place of σ²", "the power of σ in E[z²]",
         "log_variance.exp()", "(0.5 * log_variance).exp()"),
    Swap("squared-variance", "with exp(log_variance) squared, σ⁴", "log_variance: exp of it is σ² already",
         "log_variance.exp() -", "log_variance.exp() ** 2 -"),
    Swap("no-one", "without the −1 of each unit, so that KL(p || p) is not 0", "the value at mean 0 and σ 1",
         " - 1 -", " -"),
    Swap("log-sign", "with + log σ² for − log σ²", "what happens as σ goes to 0: a sharp code is dear",
         "- 1 - log_variance", "- 1 + log_variance"),
]  # fmt: skip


@wrong("with KL(p || q) for KL(q || p)", "which of the two the average is over: q, the first")
def other_way_round(mean: Tensor, log_variance: Tensor) -> Tensor:
    return 0.5 * ((1 + mean**2) / log_variance.exp() - 1 + log_variance).sum(1)


@right
def by_torch(mean: Tensor, log_variance: Tensor) -> Tensor:
    q, p = Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros_like(mean), torch.ones_like(mean))
    found: Tensor = kl_divergence(q, p)
    return found.sum(dim=-1)


@right
def unit_by_unit(mean: Tensor, log_variance: Tensor) -> Tensor:
    total = torch.zeros(len(mean), dtype=torch.float64)
    for unit in range(mean.shape[1]):
        std = torch.exp(0.5 * log_variance[:, unit])
        total = total + (std**2 + mean[:, unit] ** 2) / 2 - 0.5 - std.log()
    return total


@right
def as_a_difference_of_entropies(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Cross-entropy minus entropy, the constants cancelling."""
    cross = (mean.square() + log_variance.exp()).sum(1) / 2
    entropy = (log_variance + 1).sum(1) / 2
    return cross - entropy
