"""Which mixture the dynamics walk on, and how."""

from dataclasses import dataclass

import torch
from torch import Tensor

from diffcli.core.diffusion.exact import Mixture
from diffcli.core.levels import Level
from diffcli.core.processes.montecarlo.langevin import geometric
from diffcli.core.randomness import keyed
from diffcli.errors import UsageProblem, one_of
from diffcli.lessons.langevin import ALL, NAMES
from diffcli.lessons.langevin.mixtures import named_mixture

STABLE = 4.0  # from this step on, in units of the variance, unadjusted dynamics grows without end
MOST = 50_000_000  # moves of a particle


@dataclass(frozen=True)
class DynamicsSetting:
    """A mixture, by its name as it was written, and how to walk on it.

    methods:  the dynamics to walk by
    step:     of the dynamics without noise levels, in units of the narrowest mode's variance
    share:    of the annealed one, in units of the noise's variance
    sigmas:   the noise levels of the annealed one, falling
    """

    name: str
    law: Mixture
    methods: tuple[str, ...]
    step: float
    share: float
    steps: int
    count: int
    sigmas: list[float]
    seed: int

    @property
    def dimensions(self) -> int:
        """How many coordinates a particle has, 1 or 2."""
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
        """Draws from the mixture, [count, D]."""
        return self.law.draw(count or self.count, keyed(self.seed, "exact"))

    def score(self, x: Tensor, sigma: float) -> Tensor:
        """The score of the mixture with noise on it, like x."""
        return self.law.score(x, noised(sigma))


def dynamics_setting(
    name: str, method: str, *, step: float, noise_step: float, steps: int, count: int, levels: int,
    sigma_max: float | None, sigma_min: float | None, seed: int,
) -> DynamicsSetting:  # fmt: skip
    """What was asked for, checked; raises UsageProblem."""
    methods = tuple(NAMES) if method == ALL else (one_of(method, (*NAMES, ALL), "method"),)
    law = named_mixture(name)
    for option, value in (("--step", step), ("--noise-step", noise_step)):
        if not 0 < value < STABLE:
            raise UsageProblem(
                f"{option} must be above 0 and below {STABLE:g}, not {value:g}",
                f"from {STABLE:g} on unadjusted dynamics grows without end",
            )
    reach = max(law.means.abs().max().item(), 4 * law.stds.max().item())
    top = 2 * reach if sigma_max is None else sigma_max
    bottom = 0.2 * law.stds.min().item() if sigma_min is None else sigma_min
    if not 1e-6 <= bottom <= top <= 1e6:
        raise UsageProblem(
            f"the noise must fall, from --sigma-max {top:g} to --sigma-min {bottom:g}", "both within 1e-6 to 1e6"
        )
    if levels > steps:
        raise UsageProblem(f"{levels} noise levels need as many --steps, not {steps}", "use fewer --levels")
    if count * steps > MOST:
        raise UsageProblem(f"{count} particles of {steps} steps are too many", f"keep their product below {MOST}")
    return DynamicsSetting(name, law, methods, step, noise_step, steps, count, geometric(top, bottom, levels), seed)


def noised(sigma: float) -> Level:
    """The level at which data have noise of this deviation on them and are not scaled."""
    return Level.of(1.0, sigma)
