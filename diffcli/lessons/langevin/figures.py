"""The figures of `diffcli langevin`, from what the dynamics found."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from diffcli.core.levels import CLEAN
from diffcli.lessons.langevin import NAMES, pictures
from diffcli.lessons.langevin.dynamics import FRAMES, DynamicsOutcome, DynamicsSetting, noised
from diffcli.lessons.langevin.modes import weights
from diffcli.pictures.fields import ScoreField, score_fields_figure
from diffcli.pictures.figures import write_figure
from diffcli.pictures.grid import save_gif
from diffcli.pictures.points import Density

ARROWS, CELLS = 15, 100


def density(setting: DynamicsSetting, sigma: float) -> Density:
    """Of the target with noise."""
    level = noised(sigma) if sigma > 0 else CLEAN
    return lambda places: setting.law.log_density(places.double(), level).exp().float()


def compare(path: Path, setting: DynamicsSetting, outcomes: Mapping[str, DynamicsOutcome]) -> None:
    """Exact draws and the end of each dynamics, over the target's density, with the weights found."""
    clean = density(setting, 0.0)
    draws = setting.exact()
    shown = [pictures.Particles(f"exact draws\n{_weights(weights(setting.law, draws).values)}", draws, clean)]
    for name, outcome in outcomes.items():
        shown.append(pictures.Particles(f"{NAMES[name]}\n{_weights(outcome.weights.values)}", outcome.x, clean))
    truth = _weights(setting.law.weights.tolist()).replace("weights ", "")
    title = f"Langevin dynamics after {setting.steps} steps; true weights of the modes {truth}"
    pictures.panels(path, shown, title, 1.15 * setting.reach)


def _weights(values: list[float]) -> str:
    if len(values) > 3:
        return f"weights {min(values):.3f} to {max(values):.3f}"
    return "weights " + " / ".join(f"{value:.2f}" for value in values)


def score(path: Path, setting: DynamicsSetting) -> None:
    """The score at a few of the noise levels: in the plane as arrows, on a line as curves."""
    sigmas = [setting.sigmas[round(i * (len(setting.sigmas) - 1) / 3)] for i in range(4)]
    sigmas = list(dict.fromkeys(sigmas))
    if setting.dimensions == 1:
        places = torch.linspace(-1.15, 1.15, 400, dtype=torch.float64) * setting.reach
        curves = [
            pictures.Curve(
                sigma,
                setting.law.log_density(places.unsqueeze(1), noised(sigma)),
                setting.score(places.unsqueeze(1), sigma).squeeze(1),
            )
            for sigma in sigmas
        ]
        pictures.line_figure(path, places, curves, "x")
        return
    fields = []
    for sigma in sigmas:
        reach = setting.reach + min(1.5 * sigma, setting.reach)
        places, cells = (
            torch.cartesian_prod(*2 * [torch.linspace(-share, share, count, dtype=torch.float64) * reach])
            for share, count in ((0.92, ARROWS), (1.0, CELLS))
        )
        values = density(setting, sigma)(cells).reshape(CELLS, CELLS).T
        fields.append(ScoreField(noised(sigma), reach, values, places.float(), setting.score(places, sigma).float()))
    write_figure(score_fields_figure({"the target": fields}), path)


def bias(path: Path, found: pictures.Bias) -> None:
    pictures.bias_figure(path, found)


def animate(path: Path, setting: DynamicsSetting, outcomes: Mapping[str, DynamicsOutcome]) -> None:
    """The particles of each dynamics on their way, over the density that they are at."""
    known: dict[float, Density] = {}
    columns = []
    for name, outcome in outcomes.items():
        column = []
        for step, sigma, x in _spread(outcome.frames):
            noise = f", σ {sigma:.2g}" if sigma else ""
            under = known.setdefault(sigma, density(setting, sigma))
            column.append(pictures.Particles(f"{NAMES[name]} {step}{noise}", x, under))
        columns.append(column)
    save_gif(path, list(pictures.film(columns, 1.15 * setting.reach)), seconds=5.0)


def _spread(frames: list[tuple[int, float, Tensor]], count: int = FRAMES) -> list[tuple[int, float, Tensor]]:
    """Exactly `count` of them, evenly by number; fewer are repeated."""
    return [frames[math.floor(i * (len(frames) - 1) / (count - 1))] for i in range(count)]
