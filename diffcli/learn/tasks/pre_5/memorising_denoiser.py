"""Held to the package's denoiser of a mixture whose components are points, also at noise so small that exp gives 0."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.core.diffusion.exact import Mixture
from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def memorising_denoiser(y: Tensor, data: Tensor, sigma: float) -> Tensor:
    """E[x | y] for y = x + σ ε where x is one of N known items, each as likely as the others.

    y:     [B, D]
    data:  [N, D], the items
    sigma: σ, a number above 0, as small as 0.001: the result has to be finite and right there too

    Returns [B, D].
    """
    return (-(torch.cdist(y, data) ** 2) / (2 * sigma**2)).softmax(1) @ data


def truth(y: Tensor, data: Tensor, sigma: float) -> Tensor:
    law = Mixture(torch.ones(len(data)), data.double(), torch.zeros(len(data)))
    return law(y.double(), Level.of(1.0, sigma)).x0


def questions(ask: Ask) -> Iterator[Seen]:
    y, data = torch.tensor([[0.3], [-1.0]]), torch.tensor([[1.0], [-1.0], [0.2]])
    for sigma in (0.5, 2.0):
        yield Seen(f"y {y.tolist()}, data {data.tolist()}, sigma {sigma:g}", ask(y, data, sigma))
    generator = torch.Generator().manual_seed(5)
    data = torch.randn(6, 3, generator=generator)
    for sigma in (0.4, 1.1):
        y = data[[1, 4, 2, 0]] + sigma * torch.randn(4, 3, generator=generator)
        yield Seen(f"four y near six items of three numbers, sigma {sigma:g}", ask(y, data, sigma))
    y = data[[3, 5]] + 0.03
    yield Seen("two y 0.05 away from an item each, sigma 0.001", ask(y, data, 0.001))


WRONG = [
    Swap("std-for-variance", "with σ in the place of σ²", "the exponent of a Gaussian", "(2 * sigma**2)",
         "(2 * sigma)"),
    Swap("no-half", "without the ½", "the exponent of a Gaussian", "(2 * sigma**2)", "sigma**2"),
    Swap("distance-not-squared", "with the distance for its square", "the exponent of a Gaussian",
         "torch.cdist(y, data) ** 2", "torch.cdist(y, data)"),
    Swap("sign", "when far items count most", "the sign of the exponent", "(-(torch", "((torch"),
    Swap("mean-squared", "with the mean over the D numbers for the squared distance",
         "the density in D dimensions: a sum in the exponent",
         "torch.cdist(y, data) ** 2", "torch.cdist(y, data) ** 2 / y.shape[1]"),
]  # fmt: skip


@wrong("when the weights add up to 1 over the y, not over the items", "the dimension of the softmax")
def over_the_batch(y: Tensor, data: Tensor, sigma: float) -> Tensor:
    return (-(torch.cdist(y, data) ** 2) / (2 * sigma**2)).softmax(0) @ data


@wrong("with the nearest item alone", "the mean over all items, by how likely each is")
def nearest(y: Tensor, data: Tensor, sigma: float) -> Tensor:
    return data[torch.cdist(y, data).argmin(1)]


@wrong(
    "when the weights are computed and then divided by their sum: where all are 0, that is 0/0",
    "softmax, which takes the largest exponent out first",
)
def naive(y: Tensor, data: Tensor, sigma: float) -> Tensor:
    weights = torch.exp(-(torch.cdist(y, data) ** 2) / (2 * sigma**2))
    return weights @ data / weights.sum(1, keepdim=True)


@wrong("with weights that do not add up to 1", "Bayes' rule: the weights are divided by their sum")
def not_normalised(y: Tensor, data: Tensor, sigma: float) -> Tensor:
    return torch.exp(-(torch.cdist(y, data) ** 2) / (2 * sigma**2)) @ data


@wrong("when the weighted items are averaged with y", "Bayes' rule: y is in the weights only")
def pulled_to_y(y: Tensor, data: Tensor, sigma: float) -> Tensor:
    pulled = (-(torch.cdist(y, data) ** 2) / (2 * sigma**2)).softmax(1) @ data
    return (y + pulled) / 2


@right
def by_scalar_products(y: Tensor, data: Tensor, sigma: float) -> Tensor:
    """|y|² is the same for all items and drops out."""
    y, data = y.double(), data.double()
    logits = (y @ data.T - data.square().sum(1) / 2) / sigma**2
    return torch.softmax(logits, dim=-1) @ data


@right
def by_loops(y: Tensor, data: Tensor, sigma: float) -> Tensor:
    found = []
    for one in y:
        logs = torch.stack([-(one - item).double().square().sum() / (2 * sigma**2) for item in data])
        weights = (logs - logs.max()).exp()
        found.append((weights[:, None] * data).sum(0) / weights.sum())
    return torch.stack(found)


@right
def by_numpy(y: Tensor, data: Tensor, sigma: float) -> Tensor:
    known, seen = data.numpy().astype(np.float64), y.numpy().astype(np.float64)
    logs = -((seen[:, None] - known) ** 2).sum(-1) / (2 * sigma**2)
    shares = np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))
    return torch.from_numpy(shares @ known)
