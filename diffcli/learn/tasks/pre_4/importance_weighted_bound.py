"""Held to the package's bound, also where weights are below what a float can hold, and to log p(x) where q is exact."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.core.processes.variational import iwae
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def importance_weighted_bound(log_joint: Tensor, log_q: Tensor) -> Tensor:
    """The importance-weighted bound of log p(x) for each item, from one set of K draws, in nats.

    It is the logarithm of the mean of K weights p(x, z_k) / q(z_k | x).

    log_joint: [B, K], log p(x, z_k) = log p(x | z_k) + log p(z_k), as low as −2000
    log_q:     [B, K], log q(z_k | x), where z_1 ... z_K were drawn from q(z | x)

    Returns [B]. K = 1 gives a one-draw estimate of the evidence lower bound, without the closed form of the KL.
    """
    return torch.logsumexp(log_joint - log_q, dim=1) - math.log(log_joint.shape[1])


def truth(log_joint: Tensor, log_q: Tensor) -> Tensor:
    return iwae(log_joint.double() - log_q.double(), log_joint.shape[1])


def questions(ask: Ask) -> Iterator[Seen]:
    joint = torch.tensor([[-3.0, -2.0, -5.0], [-1.0, -4.0, -0.5]])
    q = torch.tensor([[-1.0, -0.2, 0.5], [0.3, -2.0, 0.1]])
    yield Seen(f"log_joint {joint.tolist()}, log_q {q.tolist()}", ask(joint, q))
    yield Seen("one sample for each of two items", ask(joint[:, :1], q[:, :1]))
    generator = torch.Generator().manual_seed(3)
    joint, q = -2000 + 20 * torch.randn(4, 8, generator=generator), -30 + 5 * torch.randn(4, 8, generator=generator)
    yield Seen("four items of eight samples, log_joint about -2000, as of large images", ask(joint, q))
    told = "z ~ N(0, 1), x ~ N(z, 1), x = 1.2, and the exact posterior for q: it has to be log p(x), from any z"
    yield Seen(told, ask(*_exact(1.2)))


def _exact(x: float) -> tuple[Tensor, Tensor]:
    """z ~ N(0, 1), x ~ N(z, 1), at three z, with the posterior N(x/2, 1/2) for q: every weight is p(x)."""
    z, constant = torch.tensor([[-0.5, 0.4, 1.9]]), math.log(2 * math.pi)
    return -(z**2 + (x - z) ** 2) / 2 - constant, -((z - x / 2) ** 2) - math.log(math.pi) / 2


WRONG = [
    Swap("no-count", "with the sum of the weights for their mean", "how many weights there are: log K",
         " - math.log(log_joint.shape[1])", ""),
    Swap("count-added", "with log K added", "the sign of log K: dividing by K subtracts it",
         "- math.log", "+ math.log"),
    Swap("divided-outside", "with the logarithm of the sum divided by K",
         "the place of 1/K: inside the logarithm, where it becomes − log K",
         " - math.log(log_joint.shape[1])", " / log_joint.shape[1]"),
    Swap("items-for-samples", "with the mean over the items for that over the samples",
         "the two dimensions: each row holds the K samples of one item",
         "torch.logsumexp(log_joint - log_q, dim=1) - math.log(log_joint.shape[1])",
         "torch.logsumexp(log_joint - log_q, dim=0) - math.log(log_joint.shape[0])"),
    Swap("mean-of-logs", "with the mean of the logarithms, which is the ELBO averaged over K draws",
         "the order: first the mean of the weights, then its logarithm",
         "torch.logsumexp(log_joint - log_q, dim=1) - math.log(log_joint.shape[1])", "(log_joint - log_q).mean(1)"),
    Swap("no-q", "without dividing by q", "where the draws came from", "log_joint - log_q, dim", "log_joint, dim"),
    Swap("times-q", "with the weights multiplied by q", "the sign of log_q", "log_joint - log_q", "log_joint + log_q"),
    Swap("best-weight", "with the largest weight alone", "the mean, in which all K weights count",
         "torch.logsumexp(log_joint - log_q, dim=1) - math.log(log_joint.shape[1])", "(log_joint - log_q).amax(1)"),
    Swap("over-the-batch", "with the mean over the whole batch for that over the samples",
         "which of the two dimensions holds the samples of one item",
         "torch.logsumexp(log_joint - log_q, dim=1) - math.log(log_joint.shape[1])",
         "(torch.logsumexp(log_joint - log_q, dim=0) - math.log(len(log_joint))).mean().expand(len(log_joint))"),
]  # fmt: skip


@wrong(
    "when the weights themselves are computed: exp(-2000) is 0, and its logarithm minus infinity",
    "log-sum-exp: take the largest logarithm out of the sum first",
)
def underflow(log_joint: Tensor, log_q: Tensor) -> Tensor:
    return (log_joint - log_q).exp().mean(1).log()


@wrong("with the weighted mean of the log-weights", "what is averaged: the weights, all counting the same")
def weighted_mean_of_logs(log_joint: Tensor, log_q: Tensor) -> Tensor:
    logs = log_joint - log_q
    return (logs.softmax(1) * logs).sum(1)


@right
def by_the_largest(log_joint: Tensor, log_q: Tensor) -> Tensor:
    logs = log_joint - log_q
    top = logs.max(dim=1, keepdim=True).values
    return top.squeeze(1) + (logs - top).exp().mean(dim=1).log()


@right
def by_a_loop(log_joint: Tensor, log_q: Tensor) -> list[float]:
    found = []
    for joint, q in zip(log_joint.tolist(), log_q.tolist(), strict=True):
        logs = [a - b for a, b in zip(joint, q, strict=True)]
        top = max(logs)
        found.append(top + math.log(sum(math.exp(value - top) for value in logs) / len(logs)))
    return found


@right
def by_numpy(log_joint: Tensor, log_q: Tensor) -> Tensor:
    logs = log_joint.numpy().astype(np.float64) - log_q.numpy()
    return torch.from_numpy(np.logaddexp.reduce(logs, axis=1) - np.log(logs.shape[1]))
