"""What the size of a Langevin step costs: the variance within the modes that walks of each size settle at."""

from collections.abc import Sequence
from typing import NamedTuple

from diffcli.core.processes.montecarlo import langevin
from diffcli.core.randomness import keyed
from diffcli.lessons.langevin import modes
from diffcli.lessons.langevin.dynamics import clean_score
from diffcli.lessons.langevin.setting import DynamicsSetting
from diffcli.metrics.statistics import standard_error

STEPS = (0.03, 0.1, 0.3, 1.0, 2.0)  # in units of the narrowest mode's variance
PARTICLES, LENGTH = 30_000, 6.0  # and in units of the time that a mode takes to forget


class StepBias(NamedTuple):
    """The mean square from the modes over the size of the step: measured with its standard error, and the formula."""

    steps: Sequence[float]
    truth: float
    formula: list[float] | None
    unadjusted: Sequence[float]
    adjusted: Sequence[float]
    errors: Sequence[float]


def step_bias(setting: DynamicsSetting) -> StepBias:
    """The mean square from the modes after walks that begin at exact draws; a formula where all modes are as wide."""
    law, narrow = setting.law, setting.law.stds.min().item() ** 2
    unadjusted, adjusted, errors = [], [], []
    for i, step in enumerate(STEPS):
        length = max(5, min(200, round(LENGTH / step)))
        start = law.draw(PARTICLES, keyed(setting.seed, "bias start"))
        size, key = step * narrow, keyed(setting.seed, "bias", i)
        *_, x = langevin.ula(lambda y: clean_score(law, y), start, size, length, key)
        *_, move = langevin.mala(law.log_density, start, size, max(5, length // 4), keyed(setting.seed, "bias mala", i))
        found, other = modes.within(law, x), modes.within(law, move.x)
        unadjusted.append(found.mean().item())
        adjusted.append(other.mean().item())
        errors.append(standard_error(found))
    equal = bool((law.stds == law.stds[0]).all())
    formula = [modes.inflated(narrow, step * narrow) for step in STEPS] if equal else None
    return StepBias(STEPS, setting.variance, formula, unadjusted, adjusted, errors)
