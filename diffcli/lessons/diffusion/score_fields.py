"""The score field of a model of points in the plane, from noise to data, beside the exact one where that is known."""

from dataclasses import dataclass
from pathlib import Path

import torch

from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.levels import Level
from diffcli.errors import UsageProblem
from diffcli.pictures.fields import ScoreField
from diffcli.sampling.models import Model, load_model
from diffcli.sampling.planes import PlanarData

ARROWS, CELLS = 17, 120  # along each side
EXTENT = 2.5  # of the data, in their standard deviations
RATIOS = (8.0, 0.1)  # sigma / alpha of the first and the last level


@dataclass(frozen=True)
class ScoreFields:
    """The fields of a model at a few levels, and how far they are from the exact ones.

    rows:    whose field it is -> the field at each level
    errors:  relative error of the score at each level; none where the exact score is unknown, or the model is exact
    """

    model: Model
    levels: list[Level]
    rows: dict[str, list[ScoreField]]
    errors: list[float]


def score_fields(target: str | None, columns: int, schedule: str | None, data: Path | None) -> ScoreFields:
    """The fields of the model called `target` at `columns` levels; raises UsageProblem unless it has points."""
    model = load_model(target, device=torch.device("cpu"), schedule=schedule, data=data)
    plane = PlanarData.of_model(model, data)
    if plane is None:
        raise UsageProblem(f"{model.name} has no points in the plane", "try exact:mixture, or train --dataset moons")
    levels = _levels(model, columns)
    rows = {"the model": [_field(model.denoise, level, plane) for level in levels]}
    errors: list[float] = []
    if plane.law and not model.exact:
        rows["exact"] = [_field(plane.law, level, plane) for level in levels]
        errors = [_relative_error(model.denoise, plane.law, level, plane) for level in levels]
    return ScoreFields(model, levels, rows, errors)


def _levels(model: Model, count: int) -> list[Level]:
    """Levels of the model's schedule, even in the logarithm of sigma / alpha."""
    high, low = (torch.tensor(ratio, dtype=torch.float64).log() for ratio in RATIOS)
    ratios = torch.linspace(high.item(), low.item(), count, dtype=torch.float64).exp()
    return [model.schedule(model.schedule.time(-2 * ratio.log())) for ratio in ratios]


def _field(denoise: Denoise, level: Level, plane: PlanarData) -> ScoreField:
    """The score at the points of a grid, and the density over a finer one."""
    reach = (EXTENT * level.alpha + 2 * level.sigma).item()
    places, cells = (
        torch.cartesian_prod(*2 * [torch.linspace(-share, share, count) * reach])
        for share, count in ((0.92, ARROWS), (1.0, CELLS))
    )
    density = plane.density(level)(cells).reshape(CELLS, CELLS).T
    return ScoreField(level, reach, density, places, -denoise(places, level).eps / level.sigma)


def _relative_error(denoise: Denoise, exact: Denoise, level: Level, plane: PlanarData) -> float:
    """The root mean square error over points of the noised data, in units of the root mean square of the score."""
    found, truth = (f(plane.noised(level).float(), level).eps for f in (denoise, exact))
    return ((found - truth).square().mean() / truth.square().mean()).sqrt().item()
