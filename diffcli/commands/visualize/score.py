"""diffcli visualize score"""

from typing import TYPE_CHECKING, Annotated

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem

if TYPE_CHECKING:
    from diffcli.core.diffusion.denoiser import Denoise
    from diffcli.core.levels import Level
    from diffcli.pictures.curves import Field
    from diffcli.sampling.planes import PlanarData

ARROWS, CELLS = 17, 120  # along each side
EXTENT = 2.5  # of the data, in their standard deviations
RATIOS = (8.0, 0.1)  # sigma / alpha of the first and the last column


def score(
    target: options.Target = None,
    columns: Annotated[int, typer.Option("--columns", help="Noise levels to show.", min=1, max=8)] = 4,
    schedule: options.Schedule = None,
    data: options.Data = None,
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """The score field of a model of points, as arrows over the density, from noise to data."""
    import torch

    from diffcli.console.show import Show
    from diffcli.pictures.curves import score_figure
    from diffcli.sampling import models
    from diffcli.sampling.planes import PlanarData
    from diffcli.system.files import fresh_place

    show = Show(as_json=as_json, quiet=quiet)
    model = models.load_model(target, device=torch.device("cpu"), schedule=schedule, data=data)
    plane = PlanarData.of_model(model, data)
    if plane is None:
        raise UsageProblem(f"{model.name} has no points in the plane", "try exact:mixture, or train --dataset moons")
    high, low = (torch.tensor(ratio, dtype=torch.float64).log() for ratio in RATIOS)
    ratios = torch.linspace(high.item(), low.item(), columns, dtype=torch.float64).exp()
    levels = [model.schedule(model.schedule.time(-2 * ratio.log())) for ratio in ratios]
    rows: dict[str, list[Field]] = {"the model": []}
    errors = []
    for level in levels:
        rows["the model"].append(_field(model.denoise, level, plane))
        if plane.law and not model.exact:
            rows.setdefault("exact", []).append(_field(plane.law, level, plane))
            found, truth = (f(plane.noised(level).float(), level).eps for f in (model.denoise, plane.law))
            errors.append(((found - truth).square().mean() / truth.square().mean()).sqrt().item())
    with fresh_place(out, "score", "score.png") as place:
        score_figure(place.picture, rows)
    shown = [{"alpha": v.alpha.item(), "sigma": v.sigma.item(), "log_snr": v.log_snr.item()} for v in levels]
    document = {"figure": str(place.picture), "levels": shown, "relative_errors": errors or None}
    lines = [f"relative error of the score, noise to data: {', '.join(f'{e:.3f}' for e in errors)}"] if errors else []
    show.result(document, [*lines, str(place.picture), f"next: diffcli visualize reverse {model.target}"])


def _field(denoise: "Denoise", level: "Level", plane: "PlanarData") -> "Field":
    """The score at the points of a grid, and the density over a finer one."""
    import torch

    from diffcli.pictures.curves import Field

    reach = (EXTENT * level.alpha + 2 * level.sigma).item()
    places, cells = (
        torch.cartesian_prod(*2 * [torch.linspace(-share, share, count) * reach])
        for share, count in ((0.92, ARROWS), (1.0, CELLS))
    )
    density = plane.density(level)(cells).reshape(CELLS, CELLS).T
    return Field(level, reach, density, places, -denoise(places, level).eps / level.sigma)
