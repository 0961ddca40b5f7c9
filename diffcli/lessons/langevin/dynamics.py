"""The three dynamics on one mixture, from the same starts and with as many evaluations of the score."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

from diffcli.core.diffusion.exact import Mixture
from diffcli.core.processes.montecarlo import langevin
from diffcli.core.randomness import keyed
from diffcli.lessons.langevin import modes
from diffcli.lessons.langevin.setting import DynamicsSetting
from diffcli.metrics.distances import energy

FRAMES = 24  # of the animation
COMPARED = 2000  # particles in the energy distance


class Frame(NamedTuple):
    """Particles [N, D] after so many steps, and the noise at which they are; 0 for dynamics without noise levels."""

    step: int
    sigma: float
    x: Tensor


@dataclass
class DynamicsOutcome:
    """Where the particles ended, and how that compares with the mixture; frames on the way."""

    x: Tensor
    weights: modes.ModeWeights
    within: float
    energy: float
    acceptance: float
    frames: list[Frame] = field(default_factory=list)

    @property
    def document(self) -> dict[str, Any]:
        """The numbers, for metrics.json."""
        return {
            "weights": self.weights.values,
            "weight_standard_errors": self.weights.errors,
            "mean": self.x.mean(0).tolist(),
            "variance_within_modes": self.within,
            "energy_distance": self.energy,
            "acceptance": self.acceptance,
        }


def walked_by(setting: DynamicsSetting, method: str) -> Iterator[tuple[int, DynamicsOutcome]]:
    """The number of steps done and the outcome so far, every few steps; the last is that of the whole walk."""
    law = setting.law
    length = setting.steps if method != "annealed" else setting.steps // len(setting.sigmas) * len(setting.sigmas)
    wanted = {round(i * (length - 1) / (FRAMES - 1)) for i in range(FRAMES)}
    frames = [Frame(0, setting.sigmas[0] if method == "annealed" else 0.0, setting.start())]
    accepted = 0.0
    for n, (x, sigma, chance) in enumerate(_walk(setting, method)):
        accepted += chance
        if n in wanted:
            frames.append(Frame(n + 1, sigma, x))
            yield n + 1, DynamicsOutcome(x, modes.ModeWeights([], []), math.nan, math.nan, accepted / (n + 1), frames)
    compared = energy(x[:COMPARED], setting.exact(COMPARED))
    within = modes.within(law, x).mean().item()
    yield length, DynamicsOutcome(x, modes.weights(law, x), within, compared, accepted / length, frames)


def _walk(setting: DynamicsSetting, method: str) -> Iterator[tuple[Tensor, float, float]]:
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
