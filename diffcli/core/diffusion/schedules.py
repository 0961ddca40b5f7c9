"""Schedules: two functions of time from data (t = 0) to noise (t = 1)."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jvp

from diffcli.core.devices import anywhere, sent
from diffcli.core.diffusion.tables import cosine_betas, linear_betas, scaled_linear_betas
from diffcli.core.diffusion.times import stratified
from diffcli.core.levels import Level

MOST_STEPS = 1_000_000  # of a table


class Schedule(ABC):
    """How signal and noise change over t in [0, 1]. A subclass gives `alpha` and `sigma`; the rest is derived."""

    length: int | None = None
    """The number of entries of a discrete schedule, at t = 1 / length ... 1; None for a continuous one."""

    first: float = 1e-3
    """The least noisy time of a walk, from which it goes to the data (Song et al. 2021, appendix C)."""

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """The factor of the data at time t; like t."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """The standard deviation of the noise at time t; like t."""

    def __call__(self, t: Tensor) -> Level:
        return Level(self.alpha(t), self.sigma(t))

    def time(self, log_snr: Tensor) -> Tensor:
        """The time in [0, 1] at which the log-SNR is as given, to 1e-16 by bisection; like log_snr, float64."""
        early, late = torch.zeros_like(log_snr), torch.ones_like(log_snr)
        for _ in range(60):
            middle = (early + late) / 2
            noisier = self(middle).log_snr < log_snr
            early, late = torch.where(noisier, early, middle), torch.where(noisier, middle, late)
        return (early + late) / 2

    def draw(self, x0: Tensor, generator: torch.Generator | None = None) -> Level:
        """A level for each image of x0 [B, ...], uniform over (0, 1] in t; each part [B, 1, ..., 1]."""
        return self.training_level(stratified(len(x0), generator), x0)

    def training_level(self, t: Tensor, x0: Tensor) -> Level:
        """The levels at which images x0 [B, ...] are trained when times t [B] were drawn; each part [B, 1, ..., 1]."""
        level = self(self.training_time(t).reshape(-1, *[1] * (x0.dim() - 1)))
        return Level(*(part.to(x0.device, x0.dtype) for part in level))

    def training_time(self, t: Tensor) -> Tensor:
        """The time at which a network is trained when t in (0, 1] was drawn; like t."""
        return t

    def rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The derivatives of alpha and sigma with respect to t; each like t."""
        return jvp(lambda t: (self.alpha(t), self.sigma(t)), (t,), (torch.ones_like(t),))[1]

    def sde(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Drift factor f and squared diffusion g² of dx = f x dt + g dw with these marginals (Song et al. 2021, eq. 5).

        f = alpha' / alpha and g² = (sigma²)' - 2 f sigma² (Lu et al. 2022, section 2.1).
        """
        level, (alpha_rate, sigma_rate) = self(t), self.rates(t)
        f = alpha_rate / level.alpha
        return f, 2 * level.sigma * (sigma_rate - f * level.sigma)


class BetaTable(Schedule):
    """A discrete variance-preserving chain x_i = sqrt(1 - beta_i) x_{i-1} + sqrt(beta_i) eps (Ho et al. 2020, eq. 2).

    Entry i of the paper's table, i = 1 ... T, is time i / T. Between two entries log alpha² is linear,
    which is the continuous chain with piecewise constant beta.
    """

    def __init__(self, betas: Tensor) -> None:
        if not (betas > 0).logical_and(betas < 1).all():
            raise ValueError(f"betas must lie strictly between 0 and 1, not {betas.min():.3g} to {betas.max():.3g}")
        self.betas = betas.double()
        self.length, self.first = len(betas), 1 / len(betas)
        log_alpha2 = torch.log1p(-self.betas).cumsum(0)
        self.log_alpha2 = torch.cat([torch.zeros(1, dtype=torch.float64), log_alpha2])

    def alpha(self, t: Tensor) -> Tensor:
        return (self._interpolate(t) / 2).exp()

    def sigma(self, t: Tensor) -> Tensor:
        return torch.expm1(self._interpolate(t)).abs().sqrt()

    def training_time(self, t: Tensor) -> Tensor:
        """The entry of the table at or after t, so each is drawn equally often (Ho et al. 2020, algorithm 1)."""
        return (t * len(self.betas)).ceil() / len(self.betas)

    def _interpolate(self, t: Tensor) -> Tensor:
        position = t * len(self.betas)
        index = position.detach().floor().long().clamp(0, len(self.betas) - 1)
        table = sent(self.log_alpha2.to(t.dtype), t.device)
        return table[index] + (position - index) * (table[index + 1] - table[index])


class Flow(Schedule):
    """The straight line from data to noise (Lipman et al. 2023, eq. 20 with sigma_min = 0, time turned round)."""

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t


class Sigmoid(Schedule):
    """alpha² falls along a sigmoid from 1 to 0 (Jabri et al. 2023, appendix B; Chen 2023, algorithm 1).

    start, end:   the part of the sigmoid's axis that t runs over
    temperature:  above 1 flatter, below 1 steeper
    """

    def __init__(self, start: float = -3.0, end: float = 3.0, temperature: float = 1.0) -> None:
        if not (start < end and temperature > 0):
            raise ValueError("sigmoid needs start < end and temperature > 0")
        self.start, self.end, self.temperature = start, end, temperature

    def alpha(self, t: Tensor) -> Tensor:
        return self._share(1 - t).sqrt()

    def sigma(self, t: Tensor) -> Tensor:
        return (1 - self._share(1 - t)).sqrt()

    def _share(self, s: Tensor) -> Tensor:
        """The rise of the mirrored sigmoid from 0 at s = 0 to 1 at s = 1."""
        low, high = (torch.tensor(-v / self.temperature, dtype=s.dtype).sigmoid() for v in (self.end, self.start))
        here = -(self.end + s * (self.start - self.end)) / self.temperature
        return (here.sigmoid() - low) / (high - low)


class VP(Schedule):
    """The variance-preserving SDE with linear beta (Song et al. 2021, eq. 11 and appendix C)."""

    def __init__(self, beta_min: float = 0.1, beta_max: float = 20.0) -> None:
        if not 0 < beta_min <= beta_max:
            raise ValueError("beta_min and beta_max must have 0 < beta_min <= beta_max")
        self.beta_min, self.beta_max = beta_min, beta_max

    def alpha(self, t: Tensor) -> Tensor:
        return (self._log_alpha2(t) / 2).exp()

    def sigma(self, t: Tensor) -> Tensor:
        return (-torch.expm1(self._log_alpha2(t))).sqrt()

    def _log_alpha2(self, t: Tensor) -> Tensor:
        """Minus the integral of beta from 0 to t."""
        return -(self.beta_min * t + (self.beta_max - self.beta_min) * t**2 / 2)


class SubVP(VP):
    """The sub-VP SDE: the signal of VP with the square of its noise (Song et al. 2021, eq. 12 and appendix C)."""

    def sigma(self, t: Tensor) -> Tensor:
        return -torch.expm1(self._log_alpha2(t))


class VE(Schedule):
    """The variance-exploding SDE: a geometric range of noise upon the data (Song et al. 2021, eq. 9 and appendix C)."""

    first = 0.0

    def __init__(self, sigma_min: float = 0.01, sigma_max: float = 50.0) -> None:
        if not 0 < sigma_min < sigma_max:
            raise ValueError("sigma_min and sigma_max must have 0 < sigma_min < sigma_max")
        self.sigma_min, self.sigma_max = sigma_min, sigma_max

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** t


class EDM(VE):
    """sigma^(1/rho) is linear in t (Karras et al. 2022, eq. 5), so equal steps of t are that paper's grid."""

    def __init__(self, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> None:
        super().__init__(sigma_min, sigma_max)
        if not rho > 0:
            raise ValueError("rho must be positive")
        self.rho = rho

    def sigma(self, t: Tensor) -> Tensor:
        low, high = self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho)
        return (low + t * (high - low)) ** self.rho

    def training_time(self, t: Tensor) -> Tensor:
        """The time at which log sigma has the share t of N(-1.2, 1.2²) below it (Karras et al. 2022, table 1)."""
        sigma = (1.2 * anywhere(torch.special.ndtri, t) - 1.2).exp().clamp(self.sigma_min, self.sigma_max)
        low, high = self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho)
        return (sigma ** (1 / self.rho) - low) / (high - low)


class LogSNR(Schedule):
    """alpha² + sigma² = 1 and log-SNR falling evenly from `most` to `least` (Kingma et al. 2021, section 3.2)."""

    first = 0.0

    def __init__(self, most: float = 13.3, least: float = -6.0) -> None:
        if not least < most:
            raise ValueError("least must be below most")
        self.most, self.least = most, least

    def alpha(self, t: Tensor) -> Tensor:
        return self._log_snr(t).sigmoid().sqrt()

    def sigma(self, t: Tensor) -> Tensor:
        return (-self._log_snr(t)).sigmoid().sqrt()

    def _log_snr(self, t: Tensor) -> Tensor:
        return self.most + t * (self.least - self.most)


class ZeroTerminal(Schedule):
    """A variance-preserving schedule whose signal is shifted and stretched to end at exactly 0.

    The first entry of a table stays as it is (Lin et al. 2024, algorithm 1). A network must not predict eps or
    the score then: see `check_pair`.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.base, self.length, self.first = schedule, schedule.length, schedule.first
        times = torch.tensor([schedule.first if schedule.length else 0.0, 0.5, 1.0], dtype=torch.float64)
        level = schedule(times)
        if not torch.allclose(torch.hypot(*level), torch.ones_like(times), rtol=0, atol=1e-9):
            raise ValueError("zero-snr needs a schedule with alpha² + sigma² = 1")
        if schedule.length == 1:
            raise ValueError("zero-snr needs a table of at least 2 entries, as it keeps the first")
        self.start, (self.top, _, self.rest) = times[0], level.alpha

    def alpha(self, t: Tensor) -> Tensor:
        alpha = self.base.alpha(t)
        stretched = ((alpha - self.rest) * self.top / (self.top - self.rest)).to(t.dtype)
        return torch.where(t <= self.start, alpha, stretched)

    def sigma(self, t: Tensor) -> Tensor:
        return (1 - self.alpha(t) ** 2).sqrt()

    def training_time(self, t: Tensor) -> Tensor:
        return self.base.training_time(t)


def _table(betas: Callable[..., Tensor]) -> Callable[..., Schedule]:
    """A table of these betas, with their parameters."""

    @functools.wraps(betas)
    def make(steps: int = 1000, **options: float) -> Schedule:
        if not 1 <= steps <= MOST_STEPS:
            raise ValueError(f"a table has from 1 to {MOST_STEPS} steps, not {steps}")
        return BetaTable(betas(steps, **options))

    return make


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    # Each makes a schedule, its parameters having the papers' defaults.
    "linear": _table(linear_betas),
    "scaled-linear": _table(scaled_linear_betas),
    "cosine": _table(cosine_betas),
    "sigmoid": Sigmoid,
    "vp": VP,
    "sub-vp": SubVP,
    "ve": VE,
    "edm": EDM,
    "flow": Flow,
    "log-snr": LogSNR,
}
