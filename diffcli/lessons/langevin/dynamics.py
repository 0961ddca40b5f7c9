"""The three dynamics on one target, from the same starts and with as many evaluations of the score."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from diffcli.core.diffusion.exact import Mixture
from diffcli.core.levels import Level
from diffcli.core.processes.montecarlo import langevin
from diffcli.core.randomness import keyed
from diffcli.errors import UsageProblem
from diffcli.lessons.langevin import modes
from diffcli.lessons.langevin.pictures import Bias
from diffcli.metrics.distances import energy
from diffcli.metrics.statistics import standard_error

FRAMES = 24  # of the animation
COMPARED = 2000  # particles in the energy distance
BIAS_STEPS = (0.03, 0.1, 0.3, 1.0, 2.0)  # in units of the narrowest mode's variance
BIAS_PARTICLES, BIAS_LENGTH = 30_000, 6.0  # and in units of the time that a mode takes to forget
STABLE = 4.0  # from this step on, in the same units, unadjusted dynamics grows without end


@dataclass(frozen=True)
class DynamicsSetting:
    """A target and how to walk on it.

    step:   of the dynamics without noise levels, in units of the narrowest mode's variance
    share:  of the annealed one, in units of the noise's variance
    """

    law: Mixture
    step: float
    share: float
    steps: int
    count: int
    sigmas: list[float]
    seed: int

    @classmethod
    def of(
        cls, law: Mixture, *, step: float, share: float, steps: int, count: int, levels: int,
        high: float | None, low: float | None, seed: int,
    ) -> "DynamicsSetting":  # fmt: skip
        """Checked; raises UsageProblem."""
        for option, value in (("--step", step), ("--noise-step", share)):
            if not 0 < value < STABLE:
                raise UsageProblem(
                    f"{option} must be above 0 and below {STABLE:g}, not {value:g}",
                    f"from {STABLE:g} on unadjusted dynamics grows without end",
                )
        reach = max(law.means.abs().max().item(), 4 * law.stds.max().item())
        top, bottom = 2 * reach if high is None else high, 0.2 * law.stds.min().item() if low is None else low
        if not 1e-6 <= bottom <= top <= 1e6:
            raise UsageProblem(
                f"the noise must fall, from --sigma-max {top:g} to --sigma-min {bottom:g}", "both within 1e-6 to 1e6"
            )
        if levels > steps:
            raise UsageProblem(f"{levels} noise levels need as many --steps, not {steps}", "use fewer --levels")
        return cls(law, step, share, steps, count, langevin.geometric(top, bottom, levels), seed)

    @property
    def dimensions(self) -> int:
        return self.law.means.shape[1]

    @property
    def variance(self) -> float:
        """The true mean square from the modes, per coordinate."""
        return (self.law.weights @ self.law.stds**2).item()

    @property
    def reach(self) -> float:
        """Half the side of the square that the walks start in, with all modes in it."""
        return float((self.law.means.abs().amax(1) + 3 * self.law.stds).max())

    @property
    def size(self) -> float:
        """The step of the dynamics without noise levels, in units of x²."""
        return self.step * self.law.stds.min().item() ** 2

    def start(self) -> Tensor:
        """Uniform in the square, [count, D], the same for all dynamics."""
        uniform = torch.rand(self.count, self.dimensions, generator=keyed(self.seed, "start"), dtype=torch.float64)
        return (2 * uniform - 1) * self.reach

    def exact(self, count: int = 0) -> Tensor:
        """Draws from the target, [count, D]."""
        return self.law.draw(count or self.count, keyed(self.seed, "exact"))

    def score(self, x: Tensor, sigma: float) -> Tensor:
        """Of the target with noise, like x."""
        return self.law.score(x, noised(sigma))


@dataclass
class DynamicsOutcome:
    """Where the particles ended, and how that compares with the target; frames on the way."""

    x: Tensor
    weights: modes.ModeWeights
    within: float
    energy: float
    acceptance: float
    frames: list[tuple[int, float, Tensor]] = field(default_factory=list)

    @property
    def document(self) -> dict[str, Any]:
        return {
            "weights": self.weights.values,
            "weight_standard_errors": self.weights.errors,
            "mean": self.x.mean(0).tolist(),
            "variance_within_modes": self.within,
            "energy_distance": self.energy,
            "acceptance": self.acceptance,
        }


def noised(sigma: float) -> Level:
    """The level at which data have noise of this deviation on them and are not scaled."""
    return Level(*(torch.tensor(v, dtype=torch.float64) for v in (1.0, sigma)))


def walk(setting: DynamicsSetting, method: str) -> Iterator[tuple[Tensor, float, float]]:
    """Particles, the noise at which they are, and the mean chance with which their step was accepted."""
    law, start, generator = setting.law, setting.start(), keyed(setting.seed, "walk", 0)
    if method == "ula":
        for x in langevin.ula(lambda y: clean_score(law, y), start, setting.size, setting.steps, generator):
            yield x, 0.0, 1.0
    elif method == "mala":
        for move in langevin.mala(law.log_density, start, setting.size, setting.steps, generator):
            yield move.x, 0.0, move.accepted.mean().item()
    else:
        each = setting.steps // len(setting.sigmas)
        for cooling in langevin.annealed(setting.score, start, setting.sigmas, setting.share, each, generator):
            yield cooling.x, cooling.sigma, 1.0


def clean_score(law: Mixture, x: Tensor) -> Tensor:
    """The score of a mixture without noise on it, like x."""
    shares = modes.responsibilities(law, x) / law.stds**2
    return shares @ law.means - shares.sum(1, keepdim=True) * x


def run(setting: DynamicsSetting, method: str) -> Iterator[tuple[int, DynamicsOutcome]]:
    """The number of steps done and the outcome so far, every few steps; the last is that of the whole walk."""
    law = setting.law
    length = setting.steps if method != "annealed" else setting.steps // len(setting.sigmas) * len(setting.sigmas)
    wanted = {round(i * (length - 1) / (FRAMES - 1)) for i in range(FRAMES)}
    frames: list[tuple[int, float, Tensor]] = [(0, setting.sigmas[0] if method == "annealed" else 0.0, setting.start())]
    accepted = 0.0
    for n, (x, sigma, chance) in enumerate(walk(setting, method)):
        accepted += chance
        if n in wanted:
            frames.append((n + 1, sigma, x))
            yield n + 1, DynamicsOutcome(x, modes.ModeWeights([], []), math.nan, math.nan, accepted / (n + 1), frames)
    compared = energy(x[:COMPARED], setting.exact(COMPARED))
    within = modes.within(law, x).mean().item()
    yield length, DynamicsOutcome(x, modes.weights(law, x), within, compared, accepted / length, frames)


def bias(setting: DynamicsSetting) -> Bias:
    """The mean square from the modes after walks that begin at exact draws, over the size of the step."""
    law, narrow = setting.law, setting.law.stds.min().item() ** 2
    unadjusted, adjusted, errors = [], [], []
    for i, step in enumerate(BIAS_STEPS):
        length = max(5, min(200, round(BIAS_LENGTH / step)))
        start = law.draw(BIAS_PARTICLES, keyed(setting.seed, "bias start"))
        size, key = step * narrow, keyed(setting.seed, "bias", i)
        *_, x = langevin.ula(lambda y: clean_score(law, y), start, size, length, key)
        *_, move = langevin.mala(law.log_density, start, size, max(5, length // 4), keyed(setting.seed, "bias mala", i))
        found, other = modes.within(law, x), modes.within(law, move.x)
        unadjusted.append(found.mean().item())
        adjusted.append(other.mean().item())
        errors.append(standard_error(found))
    equal = bool((law.stds == law.stds[0]).all())
    formula = [modes.inflated(narrow, step * narrow) for step in BIAS_STEPS] if equal else None
    return Bias(BIAS_STEPS, setting.variance, formula, unadjusted, adjusted, errors)
