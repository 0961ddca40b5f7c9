"""Every sampler step by step against its paper's algorithm, in plain numbers and in the paper's own variables.

The data are a mixture on a line, so the denoiser is not linear; the fresh noises are fixed numbers.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.denoisers import line_mixture
from diffcli.checks.diffusion.schedules import at
from diffcli.core.diffusion import grids
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.schedules import SCHEDULES
from diffcli.core.levels import Level

START, STEPS = 0.8, 8
LAW = line_mixture()
NOISE = torch.randn(64, generator=torch.Generator().manual_seed(3), dtype=torch.float64).tolist()


def data_estimate(x: float, alpha: float, sigma: float) -> float:
    """x_theta: the clean estimate."""
    return LAW(torch.tensor([[x]], dtype=torch.float64), Level(at(alpha), at(sigma))).x0.item()


def noise_estimate(x: float, alpha: float, sigma: float) -> float:
    """epsilon_theta."""
    return (x - alpha * data_estimate(x, alpha, sigma)) / sigma


def compare(
    sampler: str, paper: Callable[[list[tuple[float, float]]], Iterator[float]], **options: Any
) -> Iterator[Finding]:
    """Every state of the sampler beside the paper's, on schedules of three kinds, and x0 as seen from the last."""
    for name in ("linear", "edm", "flow"):
        grid = "log-snr" if name == "flow" else "karras"  # both start where there is some signal
        levels = grids.levels(SCHEDULES[name](), STEPS, grid)
        plain = [(level.alpha.item(), level.sigma.item()) for level in levels]
        start = torch.tensor([[START * math.hypot(*plain[0])]], dtype=torch.float64)
        noise = lambda k: torch.tensor([[NOISE[k]]], dtype=torch.float64)  # noqa: E731
        steps, x = SAMPLERS[sampler](LAW, start, levels, noise=noise, **options), start.item()
        for k, (step, wanted) in enumerate(zip(steps, paper(plain), strict=True)):
            yield near(f"{name}, step {k + 1}", wanted, step.x, rel=1e-8, abs=1e-9)
            if "churn" not in options and sampler != "annealed-langevin":  # which look from another state
                yield near(f"{name}, step {k + 1}, x0", data_estimate(x, *plain[k]), step.x0, rel=1e-8, abs=1e-9)
            x = step.x.item()


def begin(levels: list[tuple[float, float]]) -> float:
    return START * math.hypot(*levels[0])


def pairs(levels: list[tuple[float, float]]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    return list(zip(levels, levels[1:], strict=False))


@check("ddpm is algorithm 2, in the form with epsilon", "Ho et al. 2020, algorithm 2, line 4")
def ddpm_algorithm() -> Iterator[Finding]:
    for variance in ("small", "large"):

        def paper(levels: list[tuple[float, float]], variance: str = variance) -> Iterator[float]:
            x = begin(levels)
            for k, ((a, sa), (b, sb)) in enumerate(pairs(levels)):
                step_alpha = (a / b) ** 2
                step_beta = sa**2 - step_alpha * sb**2  # 1 - alpha_t where alpha² + sigma² = 1
                mean = (x - step_beta / sa * noise_estimate(x, a, sa)) / math.sqrt(step_alpha)
                fresh = step_beta * (sb**2 / sa**2 if variance == "small" else 1)
                x = mean + (math.sqrt(fresh) * NOISE[k] if sb > 0 else 0)
                yield x

        yield from compare("ddpm", paper, variance=variance)


@check("ddim is eq. 12 with the sigma of eq. 16", "Song et al. 2021 (DDIM), eq. 12 and 16")
def ddim_algorithm() -> Iterator[Finding]:
    for eta in (0.0, 0.6, 1.0):

        def paper(levels: list[tuple[float, float]], eta: float = eta) -> Iterator[float]:
            x = begin(levels)
            for k, ((a, sa), (b, sb)) in enumerate(pairs(levels)):
                eps, x0 = noise_estimate(x, a, sa), data_estimate(x, a, sa)
                fresh = eta * sb / sa * math.sqrt(sa**2 - (a / b * sb) ** 2)
                x = b * x0 + math.sqrt(sb**2 - fresh**2) * eps + fresh * NOISE[k]
                yield x

        yield from compare("ddim", paper, eta=eta)


@check("euler is Euler's method for dx / d sigma = (x - D) / sigma", "Karras et al. 2022, eq. 4, on x / alpha")
def euler_algorithm() -> Iterator[Finding]:
    def paper(levels: list[tuple[float, float]]) -> Iterator[float]:
        y = begin(levels) / levels[0][0]
        for (a, sa), (b, sb) in pairs(levels):
            here, there = sa / a, sb / b
            y += (y - data_estimate(y, 1, here)) / here * (there - here)
            yield b * y

    yield from compare("euler", paper)


@check("euler-ancestral goes down to sigma_down and up again by sigma_up", "k-diffusion, sample_euler_ancestral")
def euler_ancestral_algorithm() -> Iterator[Finding]:
    def paper(levels: list[tuple[float, float]]) -> Iterator[float]:
        y = begin(levels) / levels[0][0]
        for k, ((a, sa), (b, sb)) in enumerate(pairs(levels)):
            here, there = sa / a, sb / b
            up = min(there, math.sqrt(there**2 * (here**2 - there**2) / here**2))
            down = math.sqrt(there**2 - up**2)
            y += (y - data_estimate(y, 1, here)) / here * (down - here)
            y += up * NOISE[k]
            yield b * y

    yield from compare("euler-ancestral", paper)


def _karras(
    levels: list[tuple[float, float]], churn: float, low: float, high: float, s_noise: float
) -> Iterator[float]:
    """Algorithm 2 on x / alpha, line by line; algorithm 1 where churn is 0."""
    x = begin(levels) / levels[0][0]
    steps = len(levels) - 1
    for k, ((a, sa), (b, sb)) in enumerate(pairs(levels)):
        t, t_next = sa / a, sb / b
        gamma = min(churn / steps, math.sqrt(2) - 1) if low <= t <= high else 0.0
        t_hat = t + gamma * t
        x_hat = x + math.sqrt(t_hat**2 - t**2) * s_noise * NOISE[k]
        d = (x_hat - data_estimate(x_hat, 1, t_hat)) / t_hat
        x = x_hat + (t_next - t_hat) * d
        if t_next != 0:
            d_next = (x - data_estimate(x, 1, t_next)) / t_next
            x = x_hat + (t_next - t_hat) * (d / 2 + d_next / 2)
        yield b * x


@check("heun is algorithm 1, with Euler's step at the end", "Karras et al. 2022, algorithm 1")
def heun_algorithm() -> Iterator[Finding]:
    yield from compare("heun", lambda levels: _karras(levels, 0.0, 0.0, math.inf, 1.0))


@check("edm is algorithm 2: churn between S_min and S_max, noise times S_noise", "Karras et al. 2022, algorithm 2")
def edm_algorithm() -> Iterator[Finding]:
    for churn, low, high, s_noise in ((2.0, 0.0, math.inf, 1.0), (40.0, 0.05, 20.0, 1.003)):
        paper = partial(_karras, churn=churn, low=low, high=high, s_noise=s_noise)
        yield from compare("edm", paper, churn=churn, churn_min=low, churn_max=high, churn_noise=s_noise)


def _half(level: tuple[float, float]) -> float:
    """lambda = log(alpha / sigma)."""
    return math.log(level[0] / level[1])


@check("dpmpp-2m is algorithm 2, its last step of order 1", "Lu et al. 2022 (DPM-Solver++), algorithm 2")
def dpmpp_2m_algorithm() -> Iterator[Finding]:
    def paper(levels: list[tuple[float, float]]) -> Iterator[float]:
        x, older = begin(levels), None
        for i, (t, s) in enumerate(pairs(levels)):
            x0 = data_estimate(x, *t)
            if s[1] == 0:
                x = x0
            else:
                h, d = _half(s) - _half(t), x0
                if older is not None:
                    r = (_half(t) - _half(levels[i - 1])) / h
                    d = (1 + 1 / (2 * r)) * x0 - 1 / (2 * r) * older
                x = s[1] / t[1] * x - s[0] * (math.exp(-h) - 1) * d
            older = x0
            yield x

    yield from compare("dpmpp-2m", paper)


@check(
    "dpmpp-sde is the exponential integrator of the reverse SDE with the estimate carried forward",
    "Lu et al. 2022 (DPM-Solver++), section 5",
)
def dpmpp_sde_algorithm() -> Iterator[Finding]:
    def paper(levels: list[tuple[float, float]]) -> Iterator[float]:
        x, older = begin(levels), None
        for i, (t, s) in enumerate(pairs(levels)):
            x0 = data_estimate(x, *t)
            if s[1] == 0:
                x = x0
            else:
                h, d = _half(s) - _half(t), x0
                if older is not None:
                    d = x0 + h / (_half(t) - _half(levels[i - 1])) / 2 * (x0 - older)
                shrink = 1 - math.exp(-2 * h)
                x = s[1] / t[1] * math.exp(-h) * x + s[0] * shrink * d + s[1] * math.sqrt(shrink) * NOISE[i]
            older = x0
            yield x

    yield from compare("dpmpp-sde", paper)


def _coefficients(ratios: list[float], h: float) -> list[float]:
    """R rho B(h) = phi (Zhao et al. 2023, eq. 9), B(h) = e^h - 1, h = -(lambda_t - lambda_s), solved as matrices."""
    grown, phi, wanted, factorial = math.expm1(h), math.expm1(h) / h - 1, [], 1.0
    for i in range(1, len(ratios) + 1):
        wanted.append(phi * factorial / grown)
        factorial *= i + 1
        phi = phi / h - 1 / factorial
    rows = torch.tensor([[r**i for r in ratios] for i in range(len(ratios))], dtype=torch.float64)
    return torch.linalg.solve(rows, torch.tensor(wanted, dtype=torch.float64)).tolist()


@check("unipc is UniC-2 after UniP-2, with B(h) = e^h - 1", "Zhao et al. 2023, algorithms 1 and 2, eq. 9")
def unipc_algorithm() -> Iterator[Finding]:
    def paper(levels: list[tuple[float, float]]) -> Iterator[float]:
        x = begin(levels)
        history: list[tuple[tuple[float, float], float, float]] = []
        for i, (t, s) in enumerate(pairs(levels)):
            x0 = data_estimate(x, *t)
            if history:  # UniC: the step that led here, again, with the estimate from here
                o, x_o, m_o = history[-1]
                h = -(_half(t) - _half(o))
                if len(history) == 1:
                    change = 0.5 * (x0 - m_o)
                else:
                    p, _, m_p = history[-2]
                    r = (_half(p) - _half(o)) / (_half(t) - _half(o))
                    rho = _coefficients([r, 1.0], h)
                    change = rho[0] * (m_p - m_o) / r + rho[1] * (x0 - m_o)
                x = t[1] / o[1] * x_o - t[0] * math.expm1(h) * (m_o + change)
            history.append((t, x, x0))
            if s[1] == 0:
                x = x0
            else:  # UniP
                h, change = -(_half(s) - _half(t)), 0.0
                if i > 0:
                    p, _, m_p = history[-2]
                    r = (_half(p) - _half(t)) / (_half(s) - _half(t))
                    change = 0.5 * (m_p - x0) / r
                x = s[1] / t[1] * x - s[0] * math.expm1(h) * (x0 + change)
            yield x

    yield from compare("unipc", paper)


@check(
    "predictor-corrector: an ancestral step, then Langevin steps of 2 (r sigma)²",
    "Song et al. 2021, algorithms 1 and 4; Ho et al. 2020, eq. 7",
)
def predictor_corrector_algorithm() -> Iterator[Finding]:
    for corrections, r in ((1, 0.16), (3, 0.1)):

        def paper(levels: list[tuple[float, float]], corrections: int = corrections, r: float = r) -> Iterator[float]:
            x, draw = begin(levels), 0
            for (a, sa), (b, sb) in pairs(levels):
                x0 = data_estimate(x, a, sa)
                forward = sa**2 - (a / b * sb) ** 2
                x = a / b * sb**2 / sa**2 * x + b * forward / sa**2 * x0
                if sb > 0:
                    x += math.sqrt(forward) * sb / sa * NOISE[draw]
                    for j in range(corrections):
                        size = 2 * (r * sb) ** 2
                        x += -size * noise_estimate(x, b, sb) / sb + math.sqrt(2 * size) * NOISE[draw + 1 + j]
                draw += corrections + 1
                yield x

        yield from compare("predictor-corrector", paper, corrections=corrections, snr=r)


@check("ddim with eta 1 is ddpm with beta tilde, and so is euler-ancestral", "Song et al. 2021 (DDIM), section 4.1")
def three_names_for_one_walk() -> Iterator[Finding]:
    noise = lambda k: torch.tensor([[NOISE[k % 64]]], dtype=torch.float64)  # noqa: E731
    for name, make in SCHEDULES.items():
        for steps in (1, 7, 50):
            levels, x = grids.levels(make(), steps), torch.tensor([[START]], dtype=torch.float64)
            one = SAMPLERS["ddpm"](LAW, x, levels, noise=noise, variance="small")
            two = SAMPLERS["ddim"](LAW, x, levels, noise=noise, eta=1.0)
            three = SAMPLERS["euler-ancestral"](LAW, x, levels, noise=noise)
            for a, b, c in zip(one, two, three, strict=True):
                yield near(f"ddim, {name}, {steps} steps", a.x, b.x, rel=1e-8, abs=1e-9)
                yield near(f"euler-ancestral, {name}, {steps} steps", a.x, c.x, rel=1e-8, abs=1e-9)
