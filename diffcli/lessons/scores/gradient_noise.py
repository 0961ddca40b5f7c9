"""How noisy each estimator's gradient is at the true score, over the noise on the data: no training, no network."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from diffcli.core.diffusion import score_matching as losses
from diffcli.core.levels import Level
from diffcli.core.processes.montecarlo.langevin import geometric
from diffcli.core.randomness import keyed
from diffcli.lessons.scores.points import NoisedPoints

LOW, HIGH, COUNT = 0.02, 2.0, 11  # the noise levels
PLACES, PARTS, PAIRS = 20_000, 20, 20_000_000  # points at each; in so many parts; of a point and a component


class GradientNoise(NamedTuple):
    """Root of the trace of the covariance of one point's gradient by A and b, in s(x) + A x + b at A = 0, b = 0.

    curves:  an estimator's at each of the sigmas
    points:  how many it was measured with
    """

    sigmas: list[float]
    curves: dict[str, list[float]]
    points: int


def over_sigma(data: NoisedPoints, projections: int, directions: str, seed: int) -> Iterator[GradientNoise]:
    """The noise so far, after each of `COUNT` noise levels."""
    count = max(500, min(PLACES, PAIRS // len(data.law.means)))
    sigmas = geometric(HIGH, LOW, COUNT)[::-1]
    found = GradientNoise([], {"explicit": [], "denoising": [], "sliced": [], "sliced, reduced": []}, count)
    for done, sigma in enumerate(sigmas, 1):
        found.sigmas.append(sigma)
        generator = keyed(seed, "noise", done)
        parts = [gradients(data, sigma, count // PARTS, projections, directions, generator) for _ in range(PARTS)]
        for name, curve in found.curves.items():
            each = torch.cat([part[name] for part in parts])
            curve.append(each.var(0).sum().sqrt().item())
        yield found


def gradients(
    data: NoisedPoints, sigma: float, count: int, projections: int, directions: str, generator: Generator
) -> dict[str, Tensor]:
    """Each estimator's gradient at points drawn from the law with this noise, [count, 6]; the same points for all."""
    level = Level.of(1.0, sigma)
    x0 = data.law.draw(count, generator)
    eps = torch.randn(x0.shape, generator=generator, dtype=torch.float64)
    x = x0 + sigma * eps
    nudged = losses.Nudged(x, *losses.jacobian(lambda places: data.law.score(places, level), x))
    v = losses.DIRECTIONS[directions](projections, x, generator)
    return {
        "explicit": nudged.gradients(losses.explicit(nudged, x)),
        "denoising": nudged.gradients(losses.denoising(nudged, x, eps, sigma)),
        "sliced": nudged.gradients(losses.sliced(nudged, x, v)),
        "sliced, reduced": nudged.gradients(losses.sliced(nudged, x, v, reduced=True)),
    }
