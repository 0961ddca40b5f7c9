"""Held to α′ x0 + σ′ ε, which the last questions take away: what is left is 0."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion.schedules import VP, Flow, Schedule, SubVP
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def flow_velocity(x: Tensor, eps: Tensor, sigma: float, f: float, g2: float) -> Tensor:
    """The velocity of the probability flow, dx/dt = f x − ½ g² score, where a network has said what the noise is.

    x:     [B, D], x = α x0 + σ ε
    eps:   [B, D], the predicted noise: the score is −ε/σ
    sigma: σ, the standard deviation of the noise
    f:     the factor of x in the drift of the forward SDE
    g2:    g², above 0

    Returns [B, D].
    """
    return f * x + g2 / (2 * sigma) * eps


def questions(ask: Ask) -> Iterator[Seen]:
    x = torch.tensor([[1.0, -2.0], [0.3, 0.7]], dtype=torch.float64)
    eps = torch.tensor([[-0.5, 1.2], [0.8, 0.1]], dtype=torch.float64)
    for sigma, f, g2 in ((0.3, -1.0, 2.0), (0.9, -6.0, 12.0), (2.0, 0.0, 5.0)):
        yield Seen(f"sigma {sigma:g}, f {f:g}, g² {g2:g}", ask(x, eps, sigma, f, g2))
    laws: dict[str, Schedule] = {"VP": VP(), "sub-VP": SubVP(), "the flow": Flow()}
    for name, schedule in laws.items():
        t = torch.tensor(0.3, dtype=torch.float64)
        (alpha, sigma_t), (alpha_rate, sigma_rate) = schedule(t), schedule.rates(t)
        f_t, g2_t = (value.item() for value in schedule.sde(t))
        found = torch.as_tensor(ask(alpha * x + sigma_t * eps, eps, sigma_t.item(), f_t, g2_t))
        left = found - (alpha_rate * x + sigma_rate * eps)
        yield Seen(f"{name} at t = 0.3: the answer less α′ x0 + σ′ ε, which should leave 0", left, within=1e-4)


def truth(x: Tensor, eps: Tensor, sigma: float, f: float, g2: float) -> Tensor:
    score = torch.div(eps, -sigma)
    return torch.add(f * x, score, alpha=-g2 / 2)


WRONG = [
    Swap("whole-g2", "with g² where the flow has half of it", "eq. 13 beside eq. 6", "g2 / (2 * sigma)", "g2 / sigma"),
    Swap(
        "sign-of-the-score",
        "with the wrong sign of the score",
        "the score, −ε/σ, and the minus before it",
        "f * x + g2",
        "f * x - g2",
    ),
    Swap("noise-for-score", "with ε for ε/σ", "the unit of the score", "g2 / (2 * sigma)", "g2 / 2"),
    Swap(
        "variance-for-std", "with σ² for σ", "the score, −ε/σ: σ² belongs to x − α x0", "(2 * sigma)", "(2 * sigma**2)"
    ),
    Swap("g-for-its-square", "with g for g²", "eq. 13: g is squared there", "g2 / (2", "g2**0.5 / (2"),
    Swap("no-drift", "without the drift f x", "the first of the two terms", "f * x + ", ""),
]


@wrong("with the flow backwards, from noise to data", "the sign of dt: the velocity is that of growing time")
def backwards(x: Tensor, eps: Tensor, sigma: float, f: float, g2: float) -> Tensor:
    return -(f * x + g2 / (2 * sigma) * eps)


@right
def by_the_score(x: Tensor, eps: Tensor, sigma: float, f: float, g2: float) -> Tensor:
    score = -eps / sigma
    return f * x - 0.5 * g2 * score


@right
def number_by_number(x: Tensor, eps: Tensor, sigma: float, f: float, g2: float) -> list[list[float]]:
    return [
        [f * a + 0.5 * g2 * e / sigma for a, e in zip(row, noises, strict=True)]
        for row, noises in zip(x.tolist(), eps.tolist(), strict=True)
    ]


@right
def in_place(x: Tensor, eps: Tensor, sigma: float, f: float, g2: float) -> Tensor:
    found = eps.clone().float()
    found *= g2
    found /= 2 * sigma
    found += f * x
    return found
