"""Held to the entropy of the data and what each reverse step misses of it, which adds up to the same bound."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def gaussian_bound(std: float, abar: Tensor, variances: Tensor) -> Tensor:
    """The whole bound L_T + L_{T−1} + ... + L_1 + L_0 for data x0 ~ N(0, std²), one number each, in nats.

    The model is the best there is, x̂0 = E[x0 | x_t], whose mean squared error at t is
        e_t = std² (1 − ᾱ_t)/(ᾱ_t std² + 1 − ᾱ_t).
    Everything is an average over x0 ~ N(0, std²) and over noise, so (x̂0 − x0)² becomes e_t and x0² becomes std².
    The data are real numbers: L_0 is −log of the density N(x0; x̂0, variance of the step to x_0), no bins.

    std:       of the data, above 0
    abar:      [T + 1], float64, ᾱ_0 ... ᾱ_T with abar[0] = 1 (the data)
    variances: [T], float64, of the reverse steps: variances[0] is that of p(x_0 | x_1), variances[T − 1] that of
               p(x_{T−1} | x_T)

    Returns a number, the sum of all terms.
    """
    abar_t, abar_s = abar[1:], abar[:-1]
    error = std**2 * (1 - abar_t) / (abar_t * std**2 + 1 - abar_t)
    last = abar[-1]
    first = 0.5 * (last * std**2 + (1 - last) - 1 - torch.log(1 - last))
    beta = 1 - abar_t / abar_s
    distance = (abar_s.sqrt() * beta / (1 - abar_t)) ** 2 * error
    ratio = (beta * (1 - abar_s) / (1 - abar_t) / variances)[1:]
    steps = 0.5 * ((distance / variances)[1:] + ratio - 1 - ratio.log())
    decoder = 0.5 * (error[0] / variances[0] + torch.log(2 * math.pi * variances[0]))
    return first + steps.sum() + decoder


def truth(std: float, abar: Tensor, variances: Tensor) -> Tensor:
    def divergence(ratio: Tensor) -> Tensor:
        return (ratio - 1 - ratio.log()) / 2

    wide = abar * std**2 + 1 - abar  # the variance of x_t
    back = wide[:-1] - (abar[1:] / abar[:-1]) * wide[:-1] ** 2 / wide[1:]  # that of x_{t-1} given x_t
    entropy = math.log(2 * math.pi * math.e * std**2) / 2
    return entropy + divergence(wide[-1]) + divergence(back / variances).sum()


def questions(ask: Ask) -> Iterator[Seen]:
    for std, table in ((0.5, [0.05, 0.1, 0.2, 0.4, 0.5]), (2.0, [0.02, 0.3, 0.6, 0.8])):
        betas = torch.tensor(table, dtype=torch.float64)
        abar = torch.cat([torch.ones_like(betas[:1]), (1 - betas).cumprod(0)])
        tilde = betas * (1 - abar[:-1]) / (1 - abar[1:])
        about = f"std {std:g}, T = {len(betas)}, β = {', '.join(map(str, table))}"
        yield Seen(f"{about}, variances β_1 ... β_T", ask(std, abar, betas))
        yield Seen(f"{about}, variances β_1, β̃_2 ... β̃_T", ask(std, abar, torch.cat([betas[:1], tilde[1:]])))
    abar = torch.tensor([1.0, 0.9, 0.5, 0.2], dtype=torch.float64)
    own = torch.tensor([0.3, 0.2, 0.4], dtype=torch.float64)
    yield Seen("std 1.5, ᾱ = 1, 0.9, 0.5, 0.2, variances 0.3, 0.2, 0.4", ask(1.5, abar, own))
    yield Seen("std 1.5, ᾱ = 1, 0.3, a single step, variance 0.8", ask(1.5, abar[[0, 3]], 2 * own[2:]))


WRONG = [
    Swap("no-prior", "without L_T: the walk would begin at the data's own noise, for nothing",
         "the first term of the bound", "return first + ", "return "),
    Swap("no-decoder", "without L_0, the last step", "the last term of the bound: the step from x_1 to the data",
         " + decoder", ""),
    Swap("mean-of-steps", "with the mean of the steps in the place of their sum", "the bound: a sum over t",
         "steps.sum()", "steps.mean()"),
    Swap("unit-data", "with x0² = 1 in L_T, whatever the data", "the average of x0²: std²",
         "(last * std**2 + ", "(last + "),
    Swap("error-of-s", "with the error of the estimate at s = t − 1 in the step from t",
         "where the model looks: at x_t",
         "/ (1 - abar_t)) ** 2 * error",
         "/ (1 - abar_t)) ** 2 * (std**2 * (1 - abar_s) / (abar_s * std**2 + 1 - abar_s))"),
    Swap("root-of-t", "with √ᾱ_t in the factor of x0", "the posterior's mean: it has the ᾱ of the earlier step",
         "distance = (abar_s.sqrt()", "distance = (abar_t.sqrt()"),
    Swap("no-half-log", "without the factor ½ in L_0", "the log density of a Gaussian",
         "decoder = 0.5 * (", "decoder = 1.0 * ("),
    Swap("means-only", "without what different widths cost, so that only the variances β̃ come out right",
         "the divergence of two Gaussians with different variances", " + ratio - 1 - ratio.log())", ")"),
    Swap("error-as-variance", "with 1 for e_1/v in L_0, as if the variance of the last step were the error",
         "the density N(x0; x̂0, v): the mean of (x0 − x̂0)²/v is e_1/v", "error[0] / variances[0]", "1"),
    Swap("estimate-for-data", "without e_1 in L_0, as if the estimate were the data",
         "the density N(x0; x̂0, v) at x0: it costs (x0 − x̂0)²/(2v) too, on average e_1/(2v)",
         "0.5 * (error[0] / variances[0] + ", "0.5 * ("),
    Swap("log-of-std", "with σ for σ² in the logarithm of L_0", "the log density: ½ log(2πσ²)",
         "2 * math.pi * variances[0]", "2 * math.pi * variances[0].sqrt()"),
    Swap("no-two-pi", "without the ½ log 2π of L_0", "the log density: ½ log(2πσ²), with the 2π",
         "2 * math.pi * variances[0]", "variances[0]"),
]  # fmt: skip


@wrong(
    "with the variances moved by one: variances[t] for the step from t",
    "the docstring: variances[0] is that of p(x_0 | x_1)",
)
def moved(std: float, abar: Tensor, variances: Tensor) -> Tensor:
    return gaussian_bound(std, abar, torch.cat([variances[1:], variances[-1:]]))


@wrong("with the variances moved by one: variances[t − 2] for the step from t",
       "the docstring: variances[T − 1] is that of p(x_{T−1} | x_T)")  # fmt: skip
def moved_back(std: float, abar: Tensor, variances: Tensor) -> Tensor:
    return gaussian_bound(std, abar, torch.cat([variances[:1], variances[:-1]]))


@wrong("with the entropy of the data, which the bound reaches for the best variances and endless T only",
       "what each step misses: its variance is a given one")  # fmt: skip
def entropy(std: float, abar: Tensor, variances: Tensor) -> float:
    return math.log(2 * math.pi * math.e * std**2) / 2


@right
def by_a_loop(std: float, abar: Tensor, variances: Tensor) -> float:
    a, v = abar.tolist(), variances.tolist()
    total = (a[-1] * std**2 - a[-1] - math.log1p(-a[-1])) / 2
    for t in range(1, len(a)):
        error = 1 / (1 / std**2 + a[t] / (1 - a[t]))
        if t == 1:
            total += error / (2 * v[0]) + math.log(math.sqrt(2 * math.pi * v[0]))
            continue
        beta = 1 - a[t] / a[t - 1]
        tilde = beta * (1 - a[t - 1]) / (1 - a[t])
        mean = a[t - 1] * beta**2 / (1 - a[t]) ** 2 * error
        total += (mean + tilde) / (2 * v[t - 1]) - 0.5 + math.log(v[t - 1] / tilde) / 2
    return total


@right
def by_conditionals(std: float, abar: Tensor, variances: Tensor) -> Tensor:
    """Cross entropies of the true reverse steps, less the entropies of the forward ones."""
    wide = abar * std**2 + 1 - abar
    back = wide[:-1] - (abar[1:] / abar[:-1]) * wide[:-1].square() / wide[1:]
    taken = (back / variances + torch.log(2 * math.pi * variances)).sum() / 2
    end = (wide[-1] + math.log(2 * math.pi)) / 2
    forward = torch.log(2 * math.pi * math.e * (1 - abar[1:] / abar[:-1])).sum() / 2
    return taken + end - forward


@right
def by_snr(std: float, abar: Tensor, variances: Tensor) -> Tensor:
    noise = 1 - abar
    error = noise[1:] / (noise[1:] / std**2 + abar[1:])
    forward = 1 - abar[1:] / abar[:-1]
    of_x0 = abar[:-1].sqrt() * forward / noise[1:]
    posterior = forward * noise[:-1] / noise[1:]
    total = (abar[-1] * (std**2 - 1) - noise[-1].log()) / 2
    for place, (c, p, e, v) in enumerate(zip(of_x0, posterior, error, variances, strict=True)):
        cost = (c**2 * e + p) / v + v.log()
        total = total + (cost + math.log(2 * math.pi) if place == 0 else cost - 1 - p.log()) / 2
    return total
