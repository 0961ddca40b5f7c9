"""Held to DDIM's step with the clean estimate carried forward; the order is measured on Gaussian data."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion.walks import renoised
from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def two_m_step(
    x: Tensor, clean: Tensor, clean_before: Tensor, abar_before: float, abar_t: float, abar_s: float
) -> Tensor:
    """A step of DPM-Solver++ 2M from t to the cleaner s, with the clean estimates at t and at the stop before it.

    With λ = ½ log(ᾱ/(1 − ᾱ)) (log α/σ of the paper, half of the log-SNR), h = λ_s − λ_t and r = (λ_t − λ_before)/h,
        D = (1 + 1/(2r)) x̂0(t) − 1/(2r) x̂0(before)
        x_s = √(1 − ᾱ_s)/√(1 − ᾱ_t) · x_t − √ᾱ_s (e^{−h} − 1) · D

    x:                           [B, ...], at t
    clean, clean_before:         like x, the model's estimates of x0 at t and at the noisier stop before t
    abar_before, abar_t, abar_s: ᾱ there, numbers, 0 < abar_before < abar_t < abar_s < 1

    Returns x at s, like x.
    """
    before, here, there = (0.5 * math.log(abar / (1 - abar)) for abar in (abar_before, abar_t, abar_s))
    h, r = there - here, (here - before) / (there - here)
    carried = (1 + 1 / (2 * r)) * clean - 1 / (2 * r) * clean_before
    shrunk = ((1 - abar_s) / (1 - abar_t)) ** 0.5 * x
    return shrunk - abar_s**0.5 * math.expm1(-h) * carried


def truth(x: Tensor, clean: Tensor, clean_before: Tensor, abar_before: float, abar_t: float, abar_s: float) -> Tensor:
    before, t, s = (Level.of(abar**0.5, (1 - abar) ** 0.5) for abar in (abar_before, abar_t, abar_s))
    ahead = (s.log_snr - t.log_snr) / (t.log_snr - before.log_snr) / 2
    return renoised(x, clean + ahead * (clean - clean_before), t, s)


MEAN, STD, START = (
    0.8,
    0.5,
    torch.tensor([[2.0]], dtype=torch.float64),
)  # of the measured order: data, and x in the noise


def stops(steps: int) -> list[float]:
    """ᾱ from 0.2 to 0.8, in even steps of log-SNR."""
    least, most = (math.log(abar / (1 - abar)) for abar in (0.2, 0.8))
    return [1 / (1 + math.exp(-(least + (most - least) * k / steps))) for k in range(steps + 1)]


def miss(step: Callable[..., Tensor], steps: int) -> float:
    """How far from the exact flow a walk ends."""

    def spread(abar: float) -> float:
        return (abar * STD**2 + 1 - abar) ** 0.5

    def estimate(x: Tensor, abar: float) -> Tensor:
        return MEAN + abar**0.5 * STD**2 * (x - abar**0.5 * MEAN) / spread(abar) ** 2

    walk, x, older = stops(steps), START, START
    for place in range(steps):
        t, s, clean = walk[place], walk[place + 1], estimate(x, walk[place])
        if place == 0:
            eps = (x - t**0.5 * clean) / (1 - t) ** 0.5
            x = s**0.5 * clean + (1 - s) ** 0.5 * eps
        else:
            x = torch.as_tensor(step(x, clean, older, walk[place - 1], t, s))
        older = clean
    exact = walk[-1] ** 0.5 * MEAN + (START - walk[0] ** 0.5 * MEAN) * spread(walk[-1]) / spread(walk[0])
    return float((x - exact).abs())


def questions(ask: Ask) -> Iterator[Seen]:
    x, clean, older = torch.randn(3, 2, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for stop in ((0.2, 0.5, 0.6), (0.05, 0.1, 0.7)):
        about = ", ".join(f"{abar:g}" for abar in stop)
        yield Seen(f"two items of 1 x 2 x 2, ᾱ = {about}", ask(x, clean, older, *stop))
    yield Seen("the same estimate twice, ᾱ = 0.2, 0.5, 0.6: a step of DDIM", ask(x, clean, clean, 0.2, 0.5, 0.6))
    misses = [miss(ask, steps) for steps in (4, 8)]
    order = math.log2(misses[0] / misses[1])
    yield Seen("the order on Gaussian data, log2 of how the miss falls from 4 steps to 8", order, within=0.05)


WRONG = [
    Swap("first-order", "without the estimate before: DDIM's step, of order 1", "D, the extrapolated estimate",
         "(1 + 1 / (2 * r)) * clean - 1 / (2 * r) * clean_before", "clean"),
    Swap("no-half", "with the estimate carried to the end of the step and not to its middle", "the 2 in 1/(2r)",
         "(1 + 1 / (2 * r)) * clean - 1 / (2 * r) * clean_before", "(1 + 1 / r) * clean - 1 / r * clean_before"),
    Swap("r-upside-down", "with r upside down, or with 1 / 2 * r, which Python reads as r/2",
         "r, the step before over this one, and 1 / (2 * r), which needs its brackets",
         "(here - before) / (there - here)", "(there - here) / (here - before)"),
    Swap("backwards", "with the estimate carried backwards, towards the one before",
         "the signs in D: what has changed since the stop before goes on changing",
         "(1 + 1 / (2 * r)) * clean - 1 / (2 * r) * clean_before",
         "(1 - 1 / (2 * r)) * clean + 1 / (2 * r) * clean_before"),
    Swap("estimates-exchanged", "with the two estimates exchanged in D",
         "which estimate has the larger factor: that at t",
         "(1 + 1 / (2 * r)) * clean - 1 / (2 * r) * clean_before",
         "(1 + 1 / (2 * r)) * clean_before - 1 / (2 * r) * clean"),
    Swap("variance-under-lambda", "with 1 − ᾱ for its root in λ", "what λ is: log α/σ, and both are roots",
         "(0.5 * math.log(abar / (1 - abar))", "(math.log(abar**0.5 / (1 - abar))"),
    Swap("whole-log-snr", "with the whole log-SNR for λ, which is half of it",
         "what λ is: log α/σ with α = √ᾱ, so that the roots are the ½", "(0.5 * math.log(abar", "(math.log(abar"),
    Swap("even-steps", "with r = 1, as if all steps were equally long", "r",
         "(1 + 1 / (2 * r)) * clean - 1 / (2 * r) * clean_before", "1.5 * clean - 0.5 * clean_before"),
    Swap("signs", "with e^h for e^(−h)", "the sign of h: from t to s λ rises, and noise shrinks",
         "math.expm1(-h)", "math.expm1(h)"),
    Swap("second-term-reversed", "with + √ᾱ_s (e^(−h) − 1) D, which takes the estimate away",
         "the sign of the second term: e^(−h) − 1 is negative, so − makes it add",
         "shrunk - abar_s", "shrunk + abar_s"),
    Swap("alphas-for-sigmas", "with √(ᾱ_s/ᾱ_t) for the ratio of the noises",
         "the factor of x_t, which is that of the noise-free form: σ_s/σ_t",
         "((1 - abar_s) / (1 - abar_t)) ** 0.5", "(abar_s / abar_t) ** 0.5"),
    Swap("variances", "with the ratio of the variances in the factor of x_t",
         "the factor of x_t: σ_s/σ_t, a ratio of roots",
         "((1 - abar_s) / (1 - abar_t)) ** 0.5", "((1 - abar_s) / (1 - abar_t))"),
]  # fmt: skip


@wrong("with the order of eps-prediction, DPM-Solver without ++: √(ᾱ_s/ᾱ_t) x_t − √(1 − ᾱ_s) (e^h − 1) D",
       "what D is: an estimate of x0, not of ε")  # fmt: skip
def for_eps(x: Tensor, clean: Tensor, clean_before: Tensor, abar_before: float, abar_t: float, abar_s: float) -> Tensor:
    before, here, there = (0.5 * math.log(abar / (1 - abar)) for abar in (abar_before, abar_t, abar_s))
    h, r = there - here, (here - before) / (there - here)
    carried = (1 + 1 / (2 * r)) * clean - 1 / (2 * r) * clean_before
    return (abar_s / abar_t) ** 0.5 * x - (1 - abar_s) ** 0.5 * math.expm1(h) * carried


@right
def by_ddim(x: Tensor, clean: Tensor, clean_before: Tensor, abar_before: float, abar_t: float, abar_s: float) -> Tensor:
    """DDIM's step to s with another clean estimate, its noise being what is left of x."""
    logit = [math.log(abar) - math.log1p(-abar) for abar in (abar_before, abar_t, abar_s)]
    middle = clean + (clean - clean_before) * (logit[2] - logit[1]) / (logit[1] - logit[0]) / 2
    eps = (x - abar_t**0.5 * middle) / (1 - abar_t) ** 0.5
    return abar_s**0.5 * middle + (1 - abar_s) ** 0.5 * eps


@right
def by_tensors(
    x: Tensor, clean: Tensor, clean_before: Tensor, abar_before: float, abar_t: float, abar_s: float
) -> Tensor:
    abar = torch.tensor([abar_before, abar_t, abar_s], dtype=torch.float64)
    alpha, sigma = abar.sqrt(), (1 - abar).sqrt()
    lam = (alpha / sigma).log()
    h = lam.diff()
    weight = h[1] / (2 * h[0])
    estimate = torch.lerp(clean, clean_before, -weight)
    return sigma[2] / sigma[1] * x + alpha[2] * (1 - torch.exp(-h[1])) * estimate


@right
def by_slopes(
    x: Tensor, clean: Tensor, clean_before: Tensor, abar_before: float, abar_t: float, abar_s: float
) -> Tensor:
    """x/σ grows by ∫ e^λ x̂0 dλ, with x̂0 taken at half of the step."""
    ratios = [(abar / (1 - abar)) ** 0.5 for abar in (abar_before, abar_t, abar_s)]
    slope = (clean - clean_before) / math.log(ratios[1] / ratios[0])
    middle = clean + slope * math.log(ratios[2] / ratios[1]) / 2
    return (x / (1 - abar_t) ** 0.5 + (ratios[2] - ratios[1]) * middle) * (1 - abar_s) ** 0.5
