"""Held to the package's own weighted mean and effective size, also where no weight is a float."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import parted
from diffcli.lessons.drawing.measures import weighted_moments
from diffcli.metrics.statistics import effective_weights


def importance(log_p: Tensor, log_q: Tensor, values: Tensor) -> tuple[float, float]:
    """The mean of a function under p, from draws of another law q; and how many draws of p these are worth.

    log_p:  [N], log p at each draw, in nats, but for a constant that nobody knows: the same for all draws
    log_q:  [N], log q there, with or without its constant
    values: [N], the function there

    Returns (mean, effective size), two numbers: Σ w f / Σ w and (Σ w)² / Σ w², with w = p / q. The log-weights may be
    of any size, +1000 and -1000 too.
    """
    shares = torch.softmax(log_p - log_q, dim=0)
    return (shares * values).sum().item(), (1 / (shares**2).sum()).item()


def truth(log_p: Tensor, log_q: Tensor, values: Tensor) -> tuple[float, float]:
    log_weights = log_p.double() - log_q.double()
    mean, _ = weighted_moments(values.double().unsqueeze(1), log_weights)
    return mean.value.item(), effective_weights(log_weights)


def questions(ask: Ask) -> Iterator[Seen]:
    def asked(case: str, log_p: Tensor, log_q: Tensor, values: Tensor) -> Iterator[Seen]:
        mean, size = parted(ask(log_p, log_q, values), "the mean", "the effective size")
        yield Seen(f"{case}: the mean", mean)
        yield Seen(f"{case}: the effective size", size)

    values = torch.tensor([3.0, -1.0, 0.5, 2.0])
    yield from asked("weights 1, 2, 3, 4", torch.tensor([1.0, 2.0, 3.0, 4.0]).log(), torch.zeros(4), values)
    log_q = torch.tensor([-1.0, -0.2, -2.0, -0.7])
    yield from asked(
        "log p = -1.5, 0.3, -2.1, 0.9, log q = -1, -0.2, -2, -0.7", torch.tensor([-1.5, 0.3, -2.1, 0.9]), log_q, values
    )
    for constant in (-1000.0, 1000.0):
        log_p = torch.tensor([-1.5, 0.3, -2.1, 0.9], dtype=torch.float64) + constant
        yield from asked(
            f"the four log p and log q of before, with {constant:+g} added to every log p",
            log_p,
            log_q.double(),
            values.double(),
        )
    log_q = torch.tensor([0.0, -400.0, -2000.0], dtype=torch.float64)
    log_p = log_q + torch.tensor([0.0, 0.7, 1.1], dtype=torch.float64)
    case = "log q = 0, -400, -2000, and log p = log q + 0, 0.7, 1.1"
    yield from asked(case, log_p, log_q, torch.tensor([3.0, -1.0, 0.5], dtype=torch.float64))
    x = 2 * torch.randn(500, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    yield from asked("500 draws of q = N(0, 4) for p = N(1, 1), f(x) = x", -((x - 1) ** 2) / 2, -(x**2) / 8, x)


WRONG = [
    Swap("upside-down", "with weights q / p", "the two laws: the draws come from q, and p is wanted",
         "log_p - log_q", "log_q - log_p"),
    Swap("without-q", "with the weights p, as if the draws had come evenly",
         "the part of q: where it is large, many draws come already",
         "log_p - log_q", "log_p"),
    Swap("logs-as-weights", "with the log-weights for the weights",
         "the difference of two logs: its exponential is the ratio w",
         "torch.softmax(log_p - log_q, dim=0)", "(log_p - log_q) / (log_p - log_q).sum()"),
    Swap("inverse-size", "with Σ w², not one over it", "an effective size: N where all weights are the same",
         "(1 / (shares**2).sum())", "(shares**2).sum()"),
    Swap("share-of-draws", "with the effective size as a share of N", "the unit of the effective size: draws, up to N",
         "(1 / (shares**2).sum())", "(1 / (shares**2).sum() / len(shares))"),
    Swap("divided-twice", "with a division by N although shares are divided by their sum already",
         "the sum of the shares: it is 1 already",
         "(shares * values).sum()", "(shares * values).mean()"),
    Swap("plain-mean", "with the plain mean of the draws, which is q's", "the weights: each value counts by its own",
         "(shares * values).sum()", "values.mean()"),
    Swap("largest-weight", "with one over the largest share for the effective size", "the sum of squares",
         "(1 / (shares**2).sum())", "(1 / shares.max())"),
    Swap("logs-divided", "with log p divided by log q", "the logarithm of a ratio: a difference",
         "log_p - log_q", "log_p / log_q"),
    Swap("clamped", "when log-weights are cut off at some size to keep exp finite",
         "the largest log-weight: subtracted from all, it changes no share",
         "log_p - log_q", "(log_p - log_q).clamp(-80, 80)"),
    Swap("each-by-its-own", "with the largest log p and the largest log q taken out separately",
         "log p − log q: take the difference first, then its largest",
         "torch.softmax(log_p - log_q, dim=0)",
         "((log_p - log_p.max()).exp() / (log_q - log_q.max()).exp()) / "
         "((log_p - log_p.max()).exp() / (log_q - log_q.max()).exp()).sum()"),
]  # fmt: skip


@wrong(
    "with the mean of w f, for which p would have to have its constant", "Σ w: what divides where p lacks its constant"
)
def not_normalised(log_p: Tensor, log_q: Tensor, values: Tensor) -> tuple[float, float]:
    weights = torch.exp(log_p - log_q)
    return (weights * values).mean().item(), (weights.sum() ** 2 / (weights**2).sum()).item()


@wrong("with the largest weight scaled to 1, and then the mean of w f", "Σ w: it divides, not N")
def scaled_not_normalised(log_p: Tensor, log_q: Tensor, values: Tensor) -> tuple[float, float]:
    weights = torch.exp(log_p - log_q - (log_p - log_q).max())
    return (weights * values).mean().item(), (weights.sum() ** 2 / (weights**2).sum()).item()


@wrong(
    "when exp of a log-weight is 0 or infinite in floating point",
    "the largest log-weight: subtracted from all, it changes no share",
)
def overflowing(log_p: Tensor, log_q: Tensor, values: Tensor) -> tuple[float, float]:
    weights = torch.exp(log_p - log_q)
    return (weights * values).sum().item() / weights.sum().item() if weights.sum() else float("nan"), (
        weights.sum() ** 2 / (weights**2).sum()
    ).item()


@right
def by_the_largest(log_p: Tensor, log_q: Tensor, values: Tensor) -> list[float]:
    logs = (log_p - log_q).tolist()
    weights = [np.exp(one - max(logs)) for one in logs]
    mean = sum(w * f for w, f in zip(weights, values.tolist(), strict=True)) / sum(weights)
    return [float(mean), float(sum(weights) ** 2 / sum(w * w for w in weights))]


@right
def in_logs(log_p: Tensor, log_q: Tensor, values: Tensor) -> Tensor:
    logs = (log_p - log_q).double()
    total = torch.logsumexp(logs, 0)
    return torch.stack([torch.exp(logs - total) @ values.double(), torch.exp(2 * total - torch.logsumexp(2 * logs, 0))])


@right
def in_numpy(log_p: Tensor, log_q: Tensor, values: Tensor) -> tuple[float, float]:
    logs = log_p.double().numpy() - log_q.double().numpy()
    weights = np.exp(logs - logs.mean()) if np.ptp(logs) < 500 else np.exp(logs - logs.max())
    effective = len(weights) / (1 + np.var(weights) / np.mean(weights) ** 2)
    return float(np.average(values.numpy(), weights=weights)), float(effective)
