"""The figures of `diffcli score`, from what the estimators found."""

from collections.abc import Mapping
from pathlib import Path

import torch

from diffcli.lessons.scores import pictures
from diffcli.lessons.scores.estimators import EstimatorOutcome, EstimatorSetting
from diffcli.lessons.scores.gradient_noise import Noise

ARROWS, CELLS, DOTS = 17, 80, 2000


def fields(path: Path, setting: EstimatorSetting, outcomes: Mapping[str, EstimatorOutcome], size: float) -> None:
    """The true field and the estimates over the density, and where each is off, in units of `size`."""
    data = setting.data
    reach = 1.05 * (data.points.abs().quantile(0.995).item() + 2 * data.sigma)
    places, cells = (
        torch.cartesian_prod(*2 * [torch.linspace(-share * reach, share * reach, side, dtype=torch.float64)])
        for share, side in ((0.94, ARROWS), (1.0, CELLS))
    )
    density = data.law.log_density(cells, data.level).exp()
    true, here = data.score(cells), data.score(places)
    square = (CELLS, CELLS)
    estimates = []
    for name, outcome in outcomes.items():
        with torch.no_grad():
            field, everywhere = (outcome.network(x.float()).double() for x in (places, cells))
        error = ((everywhere - true).norm(dim=1) / size).reshape(square).T
        title = f"{name}\nerror {100 * outcome.agreement.relative_error:.1f} %"
        estimates.append(pictures.FieldEstimate(title, field, error))
    plane = pictures.FieldPlane(reach, density.reshape(square).T, places, here, data.points[:DOTS])
    name = data.name.partition(",")[0]
    title = f"The score of {name} with noise σ = {data.sigma:g}, after {setting.steps:,} steps each"
    pictures.fields_figure(path, plane, estimates, title, f"true score, of\n{data.truth} with noise")


def curves(
    path: Path, setting: EstimatorSetting, outcomes: Mapping[str, EstimatorOutcome], floor: float | None, study: Noise
) -> None:
    """The error over the steps of training, and the noise of the gradients over sigma."""
    errors = {name: outcome.curve for name, outcome in outcomes.items()}
    shown = pictures.Study(study.sigmas, study.curves, setting.data.sigma)
    pictures.curves_figure(path, errors, floor, shown)
