"""Values and gradients, both held to the package's term with the estimate detached by hand."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion import bound
from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def hybrid_loss(eps: Tensor, predicted: Tensor, share: Tensor, abar_t: float, abar_s: float, weight: float) -> Tensor:
    """L_simple + weight · L_vlb for a network with a learned variance (Nichol & Dhariwal 2021, eq. 16).

    L_simple is the mean of (ε − ε̂)² over all numbers of the batch. L_vlb is a mean over all numbers, too: of the nats
    that each costs in the step from t to s,
        ½ (gap²/σ² + β̃/σ² − 1 − log(β̃/σ²)),   gap² = β²/((1 − β) (1 − ᾱ_t)) · (ε − ε̂)²
    with β = 1 − ᾱ_t/ᾱ_s, β̃ = β (1 − ᾱ_s)/(1 − ᾱ_t) and log σ² = share · log β + (1 − share) · log β̃.
    L_vlb is to teach the variance only: its gradient reaches `share`, and not `predicted`.

    eps, predicted, share: [B, ...], the true noise ε, the network's ε̂ and its share (0 is β̃, 1 is β)
    abar_t, abar_s:        ᾱ at t and at an earlier s, numbers with 0 < abar_t < abar_s < 1
    weight:                of this one step. The paper's λ of 0.001 is that of the whole bound: T/1000 for one step of T

    Returns a number (a tensor without dimensions) that gradients flow from.
    """
    beta = 1 - abar_t / abar_s
    tilde = beta * (1 - abar_s) / (1 - abar_t)
    squares = (eps - predicted) ** 2
    log_variance = share * math.log(beta) + (1 - share) * math.log(tilde)
    gap_squared = beta**2 / ((1 - beta) * (1 - abar_t)) * squares.detach()
    log_ratio = math.log(tilde) - log_variance
    nats = 0.5 * (gap_squared / log_variance.exp() + log_ratio.exp() - 1 - log_ratio)
    return squares.mean() + weight * nats.mean()


def truth(eps: Tensor, predicted: Tensor, share: Tensor, abar_t: float, abar_s: float, weight: float) -> Tensor:
    t, s = (Level.of(abar**0.5, (1 - abar) ** 0.5) for abar in (abar_t, abar_s))
    variance = bound.reverse_variance("learned", t, s, fraction=share)
    estimate = (t.sigma * (eps - predicted.detach())) / t.alpha  # of data that are 0
    nats = bound.transition(torch.zeros_like(eps), estimate, t, s, variance)
    return torch.nn.functional.mse_loss(predicted, eps) + weight * nats.mean()


def questions(ask: Ask) -> Iterator[Seen]:
    eps, predicted, share = torch.randn(3, 2, 1, 2, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    predicted, share = (0.5 * (eps + predicted)).requires_grad_(), share.sigmoid().requires_grad_()
    for abar_t, abar_s, weight in ((0.4, 0.7, 0.5), (0.2, 0.3, 2.0)):
        about = f"two items of 1 x 2 x 2, ᾱ_t = {abar_t:g}, ᾱ_s = {abar_s:g}, weight {weight:g}"
        yield Seen(f"the loss of {about}", ask(eps, predicted, share, abar_t, abar_s, weight))
        of_mean, of_share = ask(eps, predicted, share, abar_t, abar_s, weight, want="gradients")
        yield Seen(f"the gradient to `predicted` of {about}", of_mean)
        yield Seen(f"the gradient to `share` of {about}", of_share)


WRONG = [
    Swap("not-detached", "if the bound teaches the mean as well",
         "what is to be held back: (ε − ε̂)² in L_vlb, for which there is `detach`", "squares.detach()", "squares"),
    Swap("all-detached", "if the mean learns nothing: L_simple is cut off as well",
         "what is detached: (ε − ε̂)² in L_vlb only, not in L_simple",
         "squares = (eps - predicted) ** 2", "squares = (eps - predicted.detach()) ** 2"),
    Swap("weight-forgotten", "without the weight of L_vlb", "eq. 16: λ", "weight * nats.mean()", "nats.mean()"),
    Swap("sum-for-mean", "with L_vlb summed over the numbers, L_simple being a mean",
         "the docstring: both are means over all numbers", "nats.mean()", "nats.sum()"),
    Swap("sum-of-items", "with L_vlb summed over the numbers of each item, L_simple being a mean",
         "the docstring: both are means over all numbers", "nats.mean()", "nats.flatten(1).sum(1).mean()"),
    Swap("gap-by-tilde", "with β̃ under gap², in the place of the variance σ² that is learned",
         "the first term of the nats: gap²/σ²", "gap_squared / log_variance.exp()", "gap_squared / tilde"),
    Swap("variance-linear", "with the variance on a line between β̃ and β", "what is interpolated: the logarithm",
         "share * math.log(beta) + (1 - share) * math.log(tilde)", "torch.log(share * beta + (1 - share) * tilde)"),
    Swap("ends-exchanged", "with β̃ at 1 and β at 0", "the docstring: 0 is β̃",
         "share * math.log(beta) + (1 - share) * math.log(tilde)",
         "share * math.log(tilde) + (1 - share) * math.log(beta)"),
    Swap("bound-detached", "if all of L_vlb is detached, so that the variance learns nothing",
         "what is to be held back: (ε − ε̂)² in L_vlb only, and `share` never", "nats.mean()", "nats.mean().detach()"),
    Swap("distance-only", "without the price of the variance itself, so that it would grow without end",
         "the terms that do not depend on the error: β̃/σ² − 1 − log(β̃/σ²)",
         " + log_ratio.exp() - 1 - log_ratio", ""),
]  # fmt: skip


@wrong("with the gap in x0 in the place of that of the means: the squared error of ε as it is", "the factor of gap²")
def unscaled(eps: Tensor, predicted: Tensor, share: Tensor, abar_t: float, abar_s: float, weight: float) -> Tensor:
    beta = 1 - abar_t / abar_s
    scale = beta**2 / ((1 - beta) * (1 - abar_t))
    far = eps - (eps - predicted.detach()) / scale**0.5
    simple = torch.nn.functional.mse_loss(predicted, eps)
    with_far = hybrid_loss(eps, far, share, abar_t, abar_s, weight)
    return simple + with_far - torch.nn.functional.mse_loss(far, eps)


@right
def by_two_losses(eps: Tensor, predicted: Tensor, share: Tensor, abar_t: float, abar_s: float, weight: float) -> Tensor:
    beta = (abar_s - abar_t) / abar_s
    low, high = math.log(beta) + math.log(1 - abar_s) - math.log(1 - abar_t), math.log(beta)
    variance = torch.exp(low + share * (high - low))
    with torch.no_grad():
        gap = (beta / math.sqrt((1 - beta) * (1 - abar_t)) * (eps - predicted)) ** 2
    bound_term = (gap + math.exp(low)) / (2 * variance) - 0.5 + (variance.log() - low) / 2
    return torch.nn.functional.mse_loss(predicted, eps) + weight * bound_term.sum() / eps.numel()


@right
def by_torch_divergence(
    eps: Tensor, predicted: Tensor, share: Tensor, abar_t: float, abar_s: float, weight: float
) -> Tensor:
    alpha, here, there = abar_t / abar_s, 1 - abar_t, 1 - abar_s
    scale = (1 - alpha) / (alpha * here) ** 0.5
    tilde = (1 - alpha) * there / here
    std = (tilde ** (1 - share) * (1 - alpha) ** share).sqrt()
    q = torch.distributions.Normal(-scale * eps, torch.full_like(eps, tilde**0.5))
    p = torch.distributions.Normal(-scale * predicted.detach(), std)
    simple = (predicted - eps).square().flatten(1).mean(1).mean()
    return simple + weight * torch.distributions.kl_divergence(q, p).mean()


@right
def by_items(eps: Tensor, predicted: Tensor, share: Tensor, abar_t: float, abar_s: float, weight: float) -> Tensor:
    beta = 1 - abar_t / abar_s
    tilde = beta * (1 - abar_s) / (1 - abar_t)
    losses = []
    for noise, guess, v in zip(eps, predicted, share, strict=True):
        error = noise - guess
        variance = beta**v * tilde ** (1 - v)
        square = error.data**2 * beta**2 / (1 - beta) / (1 - abar_t)
        nats = square / variance / 2 + (tilde / variance - 1 - torch.log(tilde / variance)) / 2
        losses.append(error.pow(2).mean() + weight * nats.mean())
    return torch.stack(losses).mean()
