"""Held to the step in the form with ε; with no noise and no score what is left is the drift backwards."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def reverse_step(x: Tensor, score: Tensor, f: float, g2: float, dt: float, noise: Tensor) -> Tensor:
    """One step of Euler and Maruyama backwards in time along dx = (f x − g² score) dt + g dw̄, from t to t − dt.

    x:     [B, D], at time t
    score: [B, D], ∇ log p_t(x)
    f:     the factor of x in the drift of the forward SDE at time t
    g2:    g² there, above 0
    dt:    the length of the step, above 0: time changes by −dt
    noise: [B, D], standard normal

    Returns [B, D], at time t − dt.
    """
    return x - (f * x - g2 * score) * dt + (g2 * dt) ** 0.5 * noise


def questions(ask: Ask) -> Iterator[Seen]:
    x = torch.tensor([[1.0, -2.0], [0.3, 0.7]])
    score = torch.tensor([[-0.8, 1.1], [0.5, -0.2]])
    noise = torch.tensor([[0.4, -1.3], [1.6, 0.1]])
    still = torch.zeros(2, 2)
    for f, g2, dt in ((-2.5, 5.0, 0.01), (-0.4, 1.5, 0.2), (0.0, 3.0, 0.05)):
        told = f"f {f:g}, g² {g2:g}, dt {dt:g}"
        yield Seen(told, ask(x, score, f, g2, dt, noise))
        yield Seen(f"{told}, noise 0", ask(x, score, f, g2, dt, still))
    yield Seen("f -2, g² 3, dt 0.1, score and noise 0", ask(x, still, -2.0, 3.0, 0.1, still))


def truth(x: Tensor, score: Tensor, f: float, g2: float, dt: float, noise: Tensor) -> Tensor:
    law = torch.distributions.Normal((1 - f * dt) * x + g2 * dt * score, torch.full_like(x, g2 * dt).sqrt())
    return law.icdf(torch.distributions.Normal(0.0, 1.0).cdf(noise.double())).to(x)


WRONG = [
    Swap(
        "sign-of-the-score",
        "with the wrong sign of the score: the walk flees the data",
        "eq. 6, and that a step back takes away what dt adds",
        "f * x - g2 * score",
        "f * x + g2 * score",
    ),
    Swap(
        "flow-for-sde",
        "with half of g² before the score, as the probability flow has it, which has no noise",
        "eq. 6 beside eq. 13",
        "g2 * score",
        "g2 / 2 * score",
    ),
    Swap(
        "dt-for-its-root",
        "with dt for √dt before the noise",
        "the variance of dw over a time dt: it is dt",
        "(g2 * dt) ** 0.5",
        "g2**0.5 * dt",
    ),
    Swap(
        "variance-for-std",
        "with g² dt, the variance, before the noise",
        "the unit of what noise is multiplied by",
        "(g2 * dt) ** 0.5",
        "(g2 * dt)",
    ),
    Swap(
        "drift-forwards",
        "if the drift f x goes forwards while the score goes back",
        "the sign of dt: both are in the bracket",
        "(f * x - g2 * score) * dt",
        "(-f * x - g2 * score) * dt",
    ),
    Swap("forward-step", "with a step forwards, from data to noise", "the sign of dt", "x - (f * x", "x + (f * x"),
    Swap(
        "g-for-its-square",
        "with g for g² before the score",
        "eq. 6: g is squared there",
        "g2 * score",
        "g2**0.5 * score",
    ),
]


@wrong("without noise, which belongs to the probability flow with half the score", "the last term of eq. 6")
def no_noise(x: Tensor, score: Tensor, f: float, g2: float, dt: float, noise: Tensor) -> Tensor:
    return x - (f * x - g2 * score) * dt


@right
def term_by_term(x: Tensor, score: Tensor, f: float, g2: float, dt: float, noise: Tensor) -> Tensor:
    found = x.clone()
    found -= f * x * dt
    found += g2 * dt * score
    found += torch.tensor(g2).sqrt() * torch.tensor(dt).sqrt() * noise
    return found


@right
def number_by_number(x: Tensor, score: Tensor, f: float, g2: float, dt: float, noise: Tensor) -> list[list[float]]:
    found = []
    for row, scores, draws in zip(x.tolist(), score.tolist(), noise.tolist(), strict=True):
        found.append(
            [(1 - f * dt) * a + g2 * dt * s + (g2 * dt) ** 0.5 * z for a, s, z in zip(row, scores, draws, strict=True)]
        )
    return found


@right
def with_negative_time(x: Tensor, score: Tensor, f: float, g2: float, dt: float, noise: Tensor) -> Tensor:
    back = -dt
    drift = f * x.double() - g2 * score.double()
    return x + drift * back + abs(back) ** 0.5 * g2**0.5 * noise
