"""Held to a loop over draws, and to the mixture's own mean and variance over many of them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def mixture_draws(weights: Tensor, means: Tensor, stds: Tensor, u: Tensor, noise: Tensor) -> Tensor:
    """Draws of a mixture of Gaussians on the line, by choosing a component first and then drawing from it.

    weights:     [K], above 0; they need not sum to 1, component k (from 0) has the share weights[k] / sum
    means, stds: [K], of the components; standard deviations
    u:           [N], uniform in (0, 1): draw n takes the least k for which the shares 0 to k together reach u[n]
    noise:       [N], standard normal numbers: where draw n lies in its component

    Returns [N].
    """
    shares = torch.cumsum(weights, 0) / weights.sum()
    chosen = torch.searchsorted(shares, u)
    return means[chosen] + stds[chosen] * noise


def truth(weights: Tensor, means: Tensor, stds: Tensor, u: Tensor, noise: Tensor) -> Tensor:
    found = []
    total = sum(weights.tolist())
    for place, eps in zip(u.tolist(), noise.tolist(), strict=True):
        k, reached = 0, weights[0].item()
        while reached < place * total:
            k += 1
            reached += weights[k].item()
        found.append(means[k].item() + stds[k].item() * eps)
    return torch.tensor(found, dtype=torch.float64)


def questions(ask: Ask) -> Iterator[Seen]:
    weights, means, stds = torch.tensor([0.3, 0.7]), torch.tensor([-2.0, 1.0]), torch.tensor([0.5, 3.0])
    u, noise = torch.tensor([0.1, 0.29, 0.31, 0.95]), torch.tensor([1.0, -1.0, 0.0, 0.5])
    case = "weights 0.3, 0.7, means -2, 1, stds 0.5, 3; u = 0.1, 0.29, 0.31, 0.95, noise 1, -1, 0, 0.5"
    yield Seen(case, ask(weights, means, stds, u, noise))
    weights, means, stds = torch.tensor([1.0, 2.0, 5.0]), torch.tensor([4.0, 0.0, -3.0]), torch.tensor([0.1, 2.0, 0.5])
    u, noise = torch.tensor([0.9, 0.05, 0.2, 0.38, 0.3]), torch.tensor([0.7, -0.2, 1.5, -1.0, 0.4])
    case = "weights 1, 2, 5, means 4, 0, -3, stds 0.1, 2, 0.5; u = 0.9, 0.05, 0.2, 0.38, 0.3, "
    case += "noise 0.7, -0.2, 1.5, -1, 0.4"
    yield Seen(case, ask(weights, means, stds, u, noise))
    generator = torch.Generator().manual_seed(2)
    many, eps = torch.rand(4000, generator=generator), torch.randn(4000, generator=generator)
    x = torch.as_tensor(ask(weights, means, stds, many, eps)).double().flatten()
    yield Seen("the mean of 4000 draws of this one", x.mean().item())
    yield Seen("and their variance", (x - x.mean()).square().mean().item())


WRONG = [
    Swap("one-too-far", "with the component after the right one",
         "the first piece: below shares[0] it is component 0",
         "torch.searchsorted(shares, u)", "(torch.searchsorted(shares, u) + 1).clamp(max=len(means) - 1)"),
    Swap("weights-not-shares", "when weights are taken for shares although they do not sum to 1",
         "the sum of the weights",
         "torch.cumsum(weights, 0) / weights.sum()", "torch.cumsum(weights, 0)"),
    Swap("variance-for-std", "with the square of the standard deviation", "the kind of `stds`: standard deviations",
         "stds[chosen] *", "stds[chosen] ** 2 *"),
    Swap("root-of-std", "with the root of the standard deviation", "the kind of `stds`: no variances",
         "stds[chosen] *", "stds[chosen] ** 0.5 *"),
    Swap("one-too-few", "with the component before the right one, and the last for the first",
         "the first piece: below shares[0] it is component 0",
         "torch.searchsorted(shares, u)", "torch.searchsorted(shares, u) - 1"),
    Swap("no-spread", "without the spread of the component", "the factor of the noise",
         "stds[chosen] * noise", "noise"),
    Swap("one-for-all", "when all draws take the component of the first", "the component: each draw has its own",
         "torch.searchsorted(shares, u)", "torch.searchsorted(shares, u[:1]).expand(len(u))"),
    Swap("spread-of-another", "with the mean of the chosen component and the spread of another",
         "the index of means and of stds: the same", "stds[chosen]", "stds[chosen - 1]"),
    Swap("even-shares", "when every component is as likely as the others", "the weights: they say how likely each is",
         "torch.searchsorted(shares, u)", "(u * len(means)).long()"),
]  # fmt: skip


@wrong(
    "when the components are averaged: that is a draw of a sum, and it lies between the humps",
    "the component of a draw: one, not a little of all",
)
def averaged(weights: Tensor, means: Tensor, stds: Tensor, u: Tensor, noise: Tensor) -> Tensor:
    shares = weights / weights.sum()
    return (shares * (means + stds * noise.unsqueeze(1))).sum(1)


@wrong(
    "when u is compared with the shares, not with their sums",
    "the end of component k: the sum of the shares up to it",
)
def not_summed(weights: Tensor, means: Tensor, stds: Tensor, u: Tensor, noise: Tensor) -> Tensor:
    shares = weights / weights.sum()
    chosen = (u.unsqueeze(1) > shares).sum(1).clamp(max=len(means) - 1)
    return means[chosen] + stds[chosen] * noise


@right
def by_counting(weights: Tensor, means: Tensor, stds: Tensor, u: Tensor, noise: Tensor) -> Tensor:
    ends = (weights / weights.sum()).cumsum(0)
    chosen = (u.unsqueeze(1) > ends[:-1]).sum(1)
    return torch.addcmul(means[chosen], stds[chosen], noise)


@right
def in_numpy(
    weights: Tensor, means: Tensor, stds: Tensor, u: Tensor, noise: Tensor
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    ends = np.cumsum(weights.double().numpy())
    chosen = np.searchsorted(ends / ends[-1], u.numpy())
    return means.double().numpy()[chosen] + stds.double().numpy()[chosen] * noise.numpy()


@right
def by_masks(weights: Tensor, means: Tensor, stds: Tensor, u: Tensor, noise: Tensor) -> Tensor:
    x, low = torch.zeros_like(noise), 0.0
    for weight, mean, std in zip(weights.tolist(), means.tolist(), stds.tolist(), strict=True):
        high = low + weight / weights.sum().item()
        x += ((u > low) & (u <= high)) * (mean + std * noise)
        low = high
    return x
