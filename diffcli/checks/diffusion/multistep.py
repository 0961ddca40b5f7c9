"""The samplers that look back, iPNDM, DEIS and DPM-Solver++ 3M: step by step, and what they are exact for."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from scipy.integrate import quad
from scipy.optimize import brentq
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.algorithms import begin, compare, data_estimate, noise_estimate, pairs
from diffcli.checks.diffusion.on_gaussians import LAW, MEAN, STD
from diffcli.checks.diffusion.orders import START, order_of, slow_start
from diffcli.core.diffusion.denoiser import Prediction
from diffcli.core.diffusion.multistep import deis, dpmpp_3m, ipndm
from diffcli.core.levels import CLEAN, Level

Plain = list[tuple[float, float]]


def _integral_of_beta(t: float) -> float:
    return 0.1 * t + (20 - 0.1) * t**2 / 2


def _rho_of_time(t: float) -> float:
    return math.sqrt(math.expm1(_integral_of_beta(t)))


def _rate_of_rho(t: float) -> float:
    return (0.1 + (20 - 0.1) * t) * math.exp(_integral_of_beta(t)) / (2 * _rho_of_time(t))


READ: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    # Of a variable: its value where sigma / alpha is rho, and d rho by it.
    "t": (lambda rho: brentq(lambda t: _rho_of_time(t) - rho, 0.0, 3.0, xtol=1e-14), _rate_of_rho),
    "rho": (lambda rho: rho, lambda rho: 1.0),
    "log-rho": (math.log, math.exp),
}


def _lagrange(places: Sequence[float], j: int, z: float) -> float:
    return math.prod((z - p) / (places[j] - p) for k, p in enumerate(places) if k != j)


@check("ipndm adds eps d(sigma / alpha) with Adams' and Bashforth's fixed coefficients", "Zhang & Chen 2023, iPNDM")
def ipndm_algorithm() -> Iterator[Finding]:
    combine: list[Callable[[Sequence[float]], float]] = [
        lambda e: e[0],
        lambda e: (3 * e[0] - e[1]) / 2,
        lambda e: (23 * e[0] - 16 * e[1] + 5 * e[2]) / 12,
        lambda e: (55 * e[0] - 59 * e[1] + 37 * e[2] - 9 * e[3]) / 24,
    ]
    for order in (1, 2, 3, 4):

        def paper(levels: Plain, order: int = order) -> Iterator[float]:
            y = begin(levels) / levels[0][0]
            seen: list[float] = []
            for (a, sa), (b, sb) in pairs(levels):
                seen.insert(0, noise_estimate(a * y, a, sa))
                y = (
                    y + (sb / b - sa / a) * combine[min(order, len(seen)) - 1](seen)
                    if sb > 0
                    else data_estimate(a * y, a, sa)
                )
                yield b * y

        yield from compare("ipndm", paper, order=order)


@check(
    "deis integrates the polynomial through the last eps along the step, in the time of VP, sigma / alpha or its log",
    "Zhang & Chen 2023, tAB-DEIS and rhoAB-DEIS; their coefficients by quadrature",
)
def deis_algorithm() -> Iterator[Finding]:
    for variable, order in (("t", 4), ("t", 2), ("rho", 3), ("log-rho", 3)):
        read, rate = READ[variable]

        def paper(levels: Plain, order: int = order, read: Any = read, rate: Any = rate) -> Iterator[float]:
            y = begin(levels) / levels[0][0]
            places: list[float] = []
            seen: list[float] = []
            for (a, sa), (b, sb) in pairs(levels):
                places, seen = [read(sa / a), *places][:order], [noise_estimate(a * y, a, sa), *seen][:order]
                if sb == 0:
                    yield data_estimate(a * y, a, sa)
                    return
                for j, eps in enumerate(seen):
                    along = lambda z, p=places, j=j: _lagrange(p, j, z) * rate(z)  # noqa: E731
                    y += quad(along, places[0], read(sb / b), epsabs=1e-11, epsrel=1e-11)[0] * eps
                yield b * y

        yield from compare("deis", paper, order=order, variable=variable)


@check(
    "dpmpp-3m is the expansion to the second derivative; halved, that derivative is the one of the authors' code",
    "Lu et al. 2022 (DPM-Solver++), section 4.1 and its code, multistep_dpm_solver_third_update",
)
def dpmpp_3m_algorithm() -> Iterator[Finding]:
    def half(level: tuple[float, float]) -> float:
        return math.log(level[0] / level[1])

    for curvature in (1.0, 0.5):

        def paper(levels: Plain, curvature: float = curvature) -> Iterator[float]:
            x, known = begin(levels), []
            for i, (t, s) in enumerate(pairs(levels)):
                known.append(data_estimate(x, *t))
                if s[1] == 0:
                    yield known[-1]
                    return
                h = half(s) - half(t)
                shrink = math.exp(-h) - 1
                d0, d1, d2 = known[-1], 0.0, 0.0
                if i > 0:
                    r0 = (half(t) - half(levels[i - 1])) / h
                    first = (d0 - known[-2]) / r0
                    d0 = d0 + first / 2 if i == 1 else d0
                if i > 1:
                    r1 = (half(levels[i - 1]) - half(levels[i - 2])) / h
                    change = (first - (known[-2] - known[-3]) / r1) / (r0 + r1)
                    d1, d2 = first + r0 * change, 2 * curvature * change
                x = s[1] / t[1] * x - s[0] * (shrink * d0 - (shrink / h + 1) * d1 + ((shrink + h) / h**2 - 0.5) * d2)
                yield x

        yield from compare("dpmpp-3m", paper, curvature=curvature)


def _varying(eps: Callable[[float], float]) -> Callable[[Tensor, Level], Prediction]:
    """A denoiser whose noise depends on sigma / alpha only."""

    def denoise(x: Tensor, level: Level, **_: Any) -> Prediction:
        seen = torch.full_like(x, eps((level.sigma / level.alpha).item()))
        return Prediction((x - level.sigma * seen) / level.alpha, seen)

    return denoise


def _at_ratios(ratios: Sequence[float]) -> list[Level]:
    """Levels of unit length."""
    return [Level.of(1 / math.hypot(1, rho), rho / math.hypot(1, rho)) for rho in ratios]


def _path(walk: Callable[..., Any], denoise: Any, levels: Sequence[Level]) -> list[float]:
    """x / alpha at every level, from 0.4."""
    start = 0.4 * levels[0].alpha.reshape(1, 1)
    return [0.4] + [(step.x / s.alpha).item() for step, s in zip(walk(denoise, start, levels), levels[1:], strict=True)]


@check(
    "what is a polynomial of a degree below the order is integrated exactly, once as many steps have been taken",
    "Zhang & Chen 2023: Lagrange polynomials; Hairer, Nørsett & Wanner 1993, section III.1",
)
def exact_for_polynomials() -> Iterator[Finding]:
    uneven = [9.0, 7.0, 4.5, 3.6, 2.0, 1.1, 0.4, 0.25, 0.1]
    for variable, (read, _) in READ.items():
        for order in (1, 2, 3, 4):

            def polynomial(rho: float, read: Any = read, order: int = order) -> float:
                return sum((k + 1.0) * (0.7 - read(rho)) ** k for k in range(order))

            walk = partial(deis, order=order, variable=variable)
            path = _path(walk, _varying(polynomial), _at_ratios(uneven))
            for i in range(order - 1, len(uneven) - 1):
                wanted = quad(polynomial, uneven[i], uneven[i + 1], epsabs=1e-12, epsrel=1e-12)[0]
                yield near(f"deis, {variable}, order {order}, step {i + 1}", wanted, path[i + 1] - path[i], abs=1e-9)
    even = [3.0 - 0.25 * k for k in range(10)]
    for order in (1, 2, 3, 4):

        def rate(rho: float, order: int = order) -> float:
            return float(order * (rho - 2) ** (order - 1))

        path = _path(partial(ipndm, order=order), _varying(rate), _at_ratios(even))
        for i in range(order - 1, len(even) - 1):
            wanted = (even[i + 1] - 2) ** order - (even[i] - 2) ** order
            yield near(f"ipndm, order {order}, step {i + 1}", wanted, path[i + 1] - path[i], abs=1e-11)


@check(
    "a parabola in log-SNR is integrated exactly by 3M from the third step on, and in the first two like by 2M",
    "Lu et al. 2022 (DPM-Solver++), proposition 4.1: d(x / sigma) = x0 e^l dl",
)
def exact_for_parabolas() -> Iterator[Finding]:
    halves = [-2.2, -1.5, -1.2, -0.3, 0.5, 0.8, 2.0]
    levels = [Level.of(math.exp(v) / math.hypot(1, math.exp(v)), 1 / math.hypot(1, math.exp(v))) for v in halves]

    def denoise(x: Tensor, level: Level, **_: Any) -> Prediction:
        v = level.log_snr / 2
        x0 = (0.3 - 0.8 * v + 0.5 * v**2).expand_as(x)
        return Prediction(x0, (x - level.alpha * x0) / level.sigma)

    def antiderivative(v: float) -> float:
        return math.exp(v) * ((0.3 - 0.8 * v + 0.5 * v**2) - (-0.8 + v) + 1)

    path = [0.4 * levels[0].alpha.item() / levels[0].sigma.item()]
    steps = dpmpp_3m(denoise, 0.4 * levels[0].alpha.reshape(1, 1), levels)
    path += [(step.x / level.sigma).item() for step, level in zip(steps, levels[1:], strict=True)]
    for i in range(2, len(halves) - 1):
        wanted = antiderivative(halves[i + 1]) - antiderivative(halves[i])
        yield near(f"step {i + 1}", wanted, path[i + 1] - path[i], abs=1e-11)


@check(
    "DEIS has the order that it is told, in every variable; the second derivative halved, 3M has order 2",
    "Zhang & Chen 2023; error of extrapolation in Hairer, Nørsett & Wanner 1993, section III.2",
)
def orders_as_told() -> Iterator[Finding]:
    cases: dict[str, tuple[int, Any]] = {
        f"deis, {variable}, order {order}": (order, partial(deis, order=order, variable=variable))
        for variable, order in (("t", 2), ("t", 3), ("rho", 3), ("rho", 4), ("log-rho", 2), ("log-rho", 3))
    }
    cases["dpmpp-3m, curvature 1/2"] = 2, partial(dpmpp_3m, curvature=0.5)
    for name, (order, walk) in cases.items():
        errors = []
        for steps in (100, 200):
            levels = slow_start(steps)
            high, low = levels[0].sigma.item(), levels[-1].sigma.item()
            exact = MEAN + (START - MEAN) * math.sqrt((STD**2 + low**2) / (STD**2 + high**2))
            *_, end = walk(LAW, torch.tensor([START], dtype=torch.float64), levels)
            errors.append(abs(end.x.item() - exact))
        yield near(name, order, order_of(errors), abs=0.2)


@check("on an even grid iPNDM has the order that it is told", "Adams & Bashforth 1883; the integral of a cosine")
def orders_on_an_even_grid() -> Iterator[Finding]:
    for order in (1, 2, 3, 4):
        errors = []
        for steps in (20, 40):
            ratios = [3.0 - 2.5 * k / steps for k in range(steps + 1)]
            path = _path(partial(ipndm, order=order), _varying(math.cos), _at_ratios(ratios))
            first = order - 1  # what the first steps lose is left out
            errors.append(abs(path[-1] - path[first] - (math.sin(ratios[-1]) - math.sin(ratios[first]))))
        yield near(f"order {order}", order, order_of(errors), abs=0.25)


@check(
    "a noise that was seen without any signal is not looked back upon, and the last step is to the clean estimate",
    "sigma / alpha is infinite there: the step is DDIM's (Song et al. 2021, DDIM, eq. 12)",
)
def walks_from_pure_noise() -> Iterator[Finding]:
    levels = [Level.of(0.0, 1.0), *_at_ratios([4.0, 2.5, 1.0, 0.5]), CLEAN]

    def denoise(x: Tensor, level: Level, **_: Any) -> Prediction:
        x0 = torch.tanh(0.8 * x) * level.alpha + 0.1
        return Prediction(x0, (x - level.alpha * x0) / level.sigma)

    x = torch.tensor([[0.7], [-1.2]], dtype=torch.float64)
    for name, walk in (("ipndm", ipndm), ("deis", deis)):
        whole = list(walk(denoise, x, levels))
        begun = denoise(x, levels[0])
        after = levels[1].alpha * begun.x0 + levels[1].sigma * x
        yield near(f"{name}, the first step", after, whole[0].x, abs=1e-12)
        rest = list(walk(denoise, after, levels[1:]))
        for k, (one, two) in enumerate(zip(whole[1:], rest, strict=True)):
            yield near(f"{name}, step {k + 2} as if begun after it", two.x, one.x, abs=1e-12)
        before = list(pairwise([x, *(step.x for step in whole)]))[-1][0]
        yield near(f"{name}, the end", denoise(before, levels[-2]).x0, whole[-1].x, abs=1e-12)
