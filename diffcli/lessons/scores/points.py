"""Points in the plane with noise on them, and their true score."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from diffcli import specs
from diffcli.core.diffusion.exact import Mixture
from diffcli.core.levels import Level
from diffcli.core.processes.laws import toys
from diffcli.core.randomness import keyed
from diffcli.data import loading as datasets
from diffcli.errors import UsageProblem, one_of
from diffcli.lessons.langevin.mixtures import mixture

FARTHEST = 10.0  # of a mixture
EXAMPLE = "mixture,means=-1:0/1:0,stds=0.3"


@dataclass(frozen=True)
class NoisedPoints:
    """Points x0 [N, 2] float64 to train on, noise of this deviation on them, and the law whose score is the true one.

    known:  whether the law is the one that the points were drawn from; else it is that of the points themselves
    """

    name: str
    points: Tensor
    sigma: float
    law: Mixture
    known: bool

    @property
    def truth(self) -> str:
        """What the true score is of, without the noise."""
        return "the law of the data" if self.known else f"the {len(self.points)} training points"

    @property
    def level(self) -> Level:
        return Level.of(1.0, self.sigma)

    @property
    def scale(self) -> float:
        """Root of the mean variance of a coordinate with its noise."""
        return math.hypot(self.points.var(0).mean().sqrt().item(), self.sigma)

    def score(self, x: Tensor) -> Tensor:
        """The true score, of the data with their noise; like x [B, 2]."""
        return self.law.score(x, self.level)

    def own_score(self, x: Tensor) -> Tensor:
        """The score of the training points with noise: the best that training on them can find; like x."""
        return empirical(self.points).score(x, self.level)

    def batch(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Training points with noise and that noise, x = x0 + sigma eps and eps, [count, 2] float32 each."""
        places = torch.randint(0, len(self.points), (count,), generator=generator)
        return self._noised(self.points[places], generator)

    def fresh(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """The same from the law of the truth."""
        return self._noised(self.law.draw(count, generator), generator)

    def _noised(self, x0: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        eps = torch.randn(x0.shape, generator=generator, dtype=torch.float64)
        return (x0 + self.sigma * eps).float(), eps.float()


def empirical(points: Tensor) -> Mixture:
    """The law of points [N, D], each as likely as any other."""
    return Mixture(torch.ones(len(points)), points, torch.zeros(len(points)))


def noised_points(text: str, count: int, sigma: float, seed: int) -> NoisedPoints:
    """The first `count` points of a toy, or as many draws from mixture,means=...; raises UsageProblem."""
    name = text.split(",")[0].strip()
    one_of(name, toys.TOYS, "target")
    if "," in text:
        if name != "mixture":
            raise UsageProblem(f"{name} takes no parameters", f"only mixture does, as in {EXAMPLE}")
        law = specs.make({"mixture": mixture}, text, "target")
        if law.means.shape[1] != 2:
            raise UsageProblem(f"{text} is on a line", f"give its means two coordinates, as in {EXAMPLE}")
        if max(law.means.abs().max().item(), law.stds.max().item()) > FARTHEST:
            raise UsageProblem(f"means and stds of {name} must be within {FARTHEST:g}", "sigma is in the same units")
        return NoisedPoints(text, law.draw(count, keyed(seed, "points")), sigma, law, known=True)
    points = datasets.load_dataset(name).take(range(count))[0].double()
    known = name == "mixture"
    return NoisedPoints(text, points, sigma, Mixture(*toys.MIXTURE) if known else empirical(points), known)
