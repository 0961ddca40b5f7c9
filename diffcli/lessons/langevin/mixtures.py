"""The mixtures that Langevin dynamics walk on, by name: on a line or in the plane, with modes of known weights."""

from collections.abc import Callable

import torch

from diffcli import specs
from diffcli.core.diffusion.exact import Mixture
from diffcli.errors import UsageProblem
from diffcli.sampling.exact_models import mixture_law


def round_mixture(weights: list[float], means: list[list[float]], stds: list[float]) -> Mixture:
    """A mixture of round Gaussians, in float64."""
    return Mixture(*(torch.tensor(v, dtype=torch.float64) for v in (weights, means, stds)))


def two_modes() -> Mixture:
    """The mixture of Song & Ermon 2019, section 3.2.2: a fifth at (-5, -5), four fifths at (5, 5), both N(·, 1)."""
    return round_mixture([0.2, 0.8], [[-5.0, -5.0], [5.0, 5.0]], [1.0, 1.0])


def bimodal() -> Mixture:
    """The same on a line: 0.3 N(-3, 0.5²) + 0.7 N(3, 0.5²)."""
    return round_mixture([0.3, 0.7], [[-3.0], [3.0]], [0.5, 0.5])


def gaussian(mean: float = 0.0, std: float = 1.0) -> Mixture:
    """A single mode on a line, where everything has a closed form."""
    if not 1e-3 <= std <= 1e3 or abs(mean) > 1e3:
        raise ValueError("std must be from 0.001 to 1000, and mean from -1000 to 1000")
    return round_mixture([1.0], [[mean]], [std])


def mixture(weights: str = "", means: str = "", stds: str = "") -> Mixture:
    """Any mixture, written as exact:mixture is; without parameters the eight Gaussians of that toy."""
    law = mixture_law(weights, means, stds)
    if law.means.shape[1] > 2:
        raise ValueError("only mixtures on a line or in the plane can be shown: give one or two coordinates")
    if not (law.stds > 0).all():
        raise ValueError("stds must be positive: a point has no density")
    return law


MIXTURES: dict[str, Callable[..., Mixture]] = {
    "two-modes": two_modes,
    "bimodal": bimodal,
    "gaussian": gaussian,
    "mixture": mixture,
}


def named_mixture(spec: str) -> Mixture:
    """The mixture that is described, e.g. mixture,means=-1:0/1:0,weights=1/3. Raises UsageProblem."""
    law = specs.make(MIXTURES, spec, "target")
    if (law.stds.max() / law.stds.min()).item() > 100:
        raise UsageProblem(f"{spec}: the widest mode is more than 100 times the narrowest", "one step fits not both")
    return law
