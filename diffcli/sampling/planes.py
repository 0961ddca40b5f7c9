"""What is known of points in the plane: draws of their law, and its density at every noise level."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffcli.core.diffusion.exact import Exact, Mixture
from diffcli.core.levels import CLEAN, Level
from diffcli.core.processes.laws import toys
from diffcli.core.randomness import image_noise, keyed
from diffcli.data import loading as datasets
from diffcli.pictures.points import Density, Panel, kernel_density
from diffcli.sampling.models import Model

POINTS = 20_000
BLUR = 0.06  # of estimated densities, in units of the data


@dataclass(frozen=True)
class PlanarData:
    """Points [N, 2] and their law, where it is known."""

    points: Tensor
    law: Exact | None = None

    @classmethod
    def of_model(cls, model: Model, data: Path | None = None) -> "PlanarData | None":
        """That of the model's data; None unless they are points in the plane."""
        if model.items.shape != (2,):
            return None
        if model.exact:
            return cls(model.exact.draw(POINTS, keyed(0, "plane")), model.exact)
        assert model.trained
        return cls.of_dataset(model.trained.recipe.data.name, data)

    @classmethod
    def of_dataset(cls, name: str, data: Path | None = None) -> "PlanarData":
        """That of a data set of points."""
        points, _ = datasets.load_dataset(name, data=data).take(range(POINTS))
        return cls(points.double(), Mixture(*toys.MIXTURE) if name == "mixture" else None)

    def noised(self, level: Level) -> Tensor:
        """The points at a level, each with noise of its own, [N, 2]."""
        return level.noised(self.points, image_noise(0, "start", range(len(self.points)), (2,)))

    def density(self, level: Level = CLEAN) -> Density:
        """The density at a level: of the law, or of a Gaussian around each point, as wide as the level makes it."""
        law = self.law
        if law and law.log_density(self.points[:1], level).isfinite().all():
            return lambda places: law.log_density(places, level).exp().float()
        # not known, or that of a data set, which has none where there is no noise
        width = torch.hypot(BLUR * level.alpha, level.sigma).item()
        return kernel_density((level.alpha * self.points).float(), width)

    def panels(self, walk: Sequence[tuple[Level, Tensor]]) -> list[Panel]:
        """Particles [N, 2] at levels over the density there, all drawn at unit length: x / (alpha² + sigma²)^½."""
        found = []
        for level, x in walk:
            length = torch.hypot(*level)
            level = Level(level.alpha / length, level.sigma / length)
            ratio = (level.sigma / level.alpha).item()
            found.append(Panel(f"σ/α = {ratio:.3g}", (x.cpu() / length).float(), self.density(level)))
        return found
