"""Chains by name, each a function of its parameters."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diffcli.core.processes.chains.autoregression import Autoregression
from diffcli.core.processes.chains.finite import MOST_STATES, Finite, finite
from diffcli.core.processes.chains.ising import MOST_SIDE, Ising


def two_state(a: float = 0.1, b: float = 0.3) -> Finite:
    """From 0 to 1 with probability a, back with b (Levin, Peres & Wilmer 2017, example 1.1)."""
    _probability("a", a)
    _probability("b", b)
    return finite(torch.tensor([[1 - a, a], [b, 1 - b]], dtype=torch.float64))


def weather() -> Finite:
    """The Land of Oz, where two nice days never follow each other (Grinstead & Snell 1997, example 11.1)."""
    days = [[0.5, 0.25, 0.25], [0.5, 0.0, 0.5], [0.25, 0.25, 0.5]]
    return finite(torch.tensor(days, dtype=torch.float64), ("rain", "nice", "snow"))


def random_walk(n: int = 10, up: float = 0.5, ends: str = "reflecting") -> Finite:
    """On 0 ... n, up or else down; at reflecting ends it stays instead of leaving, at absorbing ones for ever.

    With absorbing ends it is the gambler's ruin.
    """
    _size(n, least=1)
    _probability("up", up)
    if ends not in ENDS:
        raise ValueError(f"ends must be {' or '.join(ENDS)}, not '{ends}'")
    rise = torch.full((n,), up, dtype=torch.float64)
    if ends == "absorbing":
        return finite(line(rise.index_fill(0, torch.tensor(0), 0), (1 - rise).index_fill(0, torch.tensor(n - 1), 0)))
    return finite(line(rise, 1 - rise))


ENDS = ("reflecting", "absorbing")


def cycle(n: int = 12, forward: float = 0.5, lazy: float = 0.5) -> Finite:
    """On a ring of n states: stays with probability lazy, else goes forward or back."""
    _size(n, least=3)
    _probability("forward", forward)
    _probability("lazy", lazy)
    eye = torch.eye(n, dtype=torch.float64)
    steps = forward * eye.roll(1, 1) + (1 - forward) * eye.roll(-1, 1)
    return finite(lazy * eye + (1 - lazy) * steps)


def birth_death(n: int = 10, up: float = 0.3, down: float = 0.4) -> Finite:
    """On 0 ... n, up by a birth and down by a death, else it stays: a queue with n places."""
    _size(n, least=1)
    _probability("up", up)
    _probability("down", down)
    if up + down > 1:
        raise ValueError(f"up + down must be at most 1, not {up + down:.6g}")
    return finite(line(*(torch.full((n,), p, dtype=torch.float64) for p in (up, down))))


def ehrenfest(n: int = 10, lazy: float = 0.0) -> Finite:
    """How many of n balls are in the first of two urns; at each step a random ball changes urns.

    Levin, Peres & Wilmer 2017, section 2.3. With probability lazy nothing happens.
    """
    _size(n, least=1)
    _probability("lazy", lazy)
    inside = torch.arange(n, dtype=torch.float64)
    return finite(line((1 - lazy) * (n - inside) / n, (1 - lazy) * (inside + 1) / n))


def ar1(rho: float = 0.9, noise: float = 1.0) -> Autoregression:
    """x' = rho x + noise ε."""
    if not -1 < rho < 1:
        raise ValueError(f"rho must be between -1 and 1, or there is no stationary law; not {rho:.6g}")
    _positive("noise", noise)
    return Autoregression(rho, noise)


def ou(rate: float = 1.0, dt: float = 0.1, volatility: float = math.sqrt(2)) -> Autoregression:
    """dx = -rate x dt + volatility dw, looked at every dt, without error.

    x' = e^(-rate dt) x + ε √(volatility² (1 - e^(-2 rate dt)) / (2 rate)) (Gillespie 1996)
    """
    for name, value in (("rate", rate), ("dt", dt), ("volatility", volatility)):
        _positive(name, value)
    if not 1e-9 < rate * dt < 100:
        raise ValueError(f"rate times dt must be between 1e-9 and 100, not {rate * dt:.3g}")
    return Autoregression(math.exp(-rate * dt), volatility * math.sqrt(-math.expm1(-2 * rate * dt) / (2 * rate)))


def ising(side: int = 3, beta: float = 0.4, field: float = 0.0) -> Ising:
    """Spins on a square of side x side, at inverse temperature beta, in a field."""
    if not 2 <= side <= MOST_SIDE:
        raise ValueError(f"side must be 2 to {MOST_SIDE}, not {side}")
    if not 0 <= beta <= 10 or not abs(field) <= 10:
        raise ValueError("beta must be 0 to 10 and field -10 to 10")
    return Ising(side, beta, field)


Chain = Finite | Autoregression | Ising

CHAINS: dict[str, Callable[..., Chain]] = {
    "two-state": two_state,
    "weather": weather,
    "random-walk": random_walk,
    "cycle": cycle,
    "birth-death": birth_death,
    "ehrenfest": ehrenfest,
    "ar1": ar1,
    "ou": ou,
    "ising": ising,
}


def line(up: Tensor, down: Tensor) -> Tensor:
    """Steps to neighbours, [n + 1, n + 1]: up[k] from k to k + 1, down[k] from k + 1 to k; else it stays."""
    matrix = torch.diag(up, 1) + torch.diag(down, -1)
    return matrix + torch.diag((1 - matrix.sum(1)).clamp(min=0))


def _size(n: int, least: int) -> None:
    if not least <= n < MOST_STATES:
        raise ValueError(f"n must be {least} to {MOST_STATES - 1}, not {n}")


def _probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is a probability, 0 to 1, not {value:.6g}")


def _positive(name: str, value: float) -> None:
    if not 1e-9 <= value <= 1e9:
        raise ValueError(f"{name} must be between 1e-9 and 1e9, not {value:.6g}")
