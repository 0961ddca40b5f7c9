"""Langevin dynamics: particles over their density, the score at some noise levels, and the bias of the step."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from diffcli.core.levels import CLEAN
from diffcli.lessons.langevin import NAMES
from diffcli.lessons.langevin.dynamics import FRAMES, DynamicsOutcome, Frame
from diffcli.lessons.langevin.modes import weights
from diffcli.lessons.langevin.setting import DynamicsSetting, noised
from diffcli.lessons.langevin.step_bias import StepBias
from diffcli.pictures.fields import ScoreField, score_fields_figure
from diffcli.pictures.points import DPI, INK, Density, Panel, moving, rendered, row

ARROWS, CELLS = 15, 100
BINS = 80
SHOWN_LEVELS = 4  # of the score
MARGIN = 1.15  # of the axes, beyond the square that the walks start in


class Particles(NamedTuple):
    """Particles [N, D], D of 1 or 2, and the density where they are."""

    title: str
    x: Tensor
    density: Density


def density_at(setting: DynamicsSetting, sigma: float) -> Density:
    """The density of the mixture with noise on it."""
    level = noised(sigma) if sigma > 0 else CLEAN
    return lambda places: setting.law.log_density(places.double(), level).exp().float()


def compared(setting: DynamicsSetting, outcomes: Mapping[str, DynamicsOutcome]) -> Image.Image:
    """Exact draws and the end of each dynamics, over the mixture's density, with the weights found."""
    clean = density_at(setting, 0.0)
    draws = setting.exact()
    shown = [Particles(f"exact draws\n{_weights(weights(setting.law, draws).values)}", draws, clean)]
    for name, outcome in outcomes.items():
        shown.append(Particles(f"{NAMES[name]}\n{_weights(outcome.weights.values)}", outcome.x, clean))
    truth = _weights(setting.law.weights.tolist()).replace("weights ", "")
    title = f"Langevin dynamics after {setting.steps} steps; true weights of the modes {truth}"
    return side_by_side(shown, title, MARGIN * setting.reach)


def _weights(values: list[float]) -> str:
    if len(values) > 3:
        return f"weights {min(values):.3f} to {max(values):.3f}"
    return "weights " + " / ".join(f"{value:.2f}" for value in values)


def side_by_side(shown: Sequence[Particles], title: str, limit: float) -> Image.Image:
    """Particles on the same axes from -limit to limit: scattered in the plane, histograms on a line."""
    if shown[0].x.shape[1] == 2:
        return row([Panel(p.title, p.x.float(), p.density) for p in shown], title=title, limit=limit, side=2.9)
    figure = Figure(figsize=(3.1 * len(shown) + 0.4, 3.6), dpi=DPI, layout="constrained")
    figure.suptitle(title)
    for axes, p in zip(figure.subplots(1, len(shown), sharey=True, squeeze=False)[0], shown, strict=True):
        _histogram(axes, p, limit)
    figure.axes[0].set_ylabel("density")
    return rendered(figure)


def _histogram(axes: Axes, p: Particles, limit: float) -> None:
    places = torch.linspace(-limit, limit, 400)
    edges = np.linspace(-limit, limit, BINS + 1)
    axes.hist(p.x.squeeze(1).numpy(), bins=edges, density=True, color=INK, alpha=0.45)  # type: ignore[arg-type]
    axes.plot(places, p.density(places.double().unsqueeze(1)), color="tab:blue", linewidth=1.6)
    axes.set_title(p.title, fontsize=10)
    axes.set(xlim=(-limit, limit), xlabel="x")


def film(setting: DynamicsSetting, outcomes: Mapping[str, DynamicsOutcome]) -> Iterator[Image.Image]:
    """Frames of the particles on their way, a column for each dynamics, over the density that they are at."""
    known: dict[float, Density] = {}
    reels = []
    for name, outcome in outcomes.items():
        shown = []
        for step, sigma, x in _evenly(outcome.frames, FRAMES):
            noise = f", σ {sigma:.2g}" if sigma else ""
            under = known.setdefault(sigma, density_at(setting, sigma))
            shown.append(Particles(f"{NAMES[name]} {step}{noise}", x, under))
        reels.append(_reel(shown, MARGIN * setting.reach))
    for images in zip(*reels, strict=True):
        sheet = Image.new("RGB", (sum(i.width for i in images), images[0].height), "white")
        left = 0
        for image in images:
            sheet.paste(image, (left, 0))
            left += image.width
        small = sheet.resize((2 * sheet.width // 3, 2 * sheet.height // 3), Image.Resampling.LANCZOS)
        yield small.quantize(64)  # few colours are there, and a small file


def _evenly(frames: list[Frame], count: int) -> list[Frame]:
    """Exactly `count` of them, evenly by number; fewer are repeated."""
    return [frames[math.floor(i * (len(frames) - 1) / (count - 1))] for i in range(count)]


def _reel(shown: Sequence[Particles], limit: float) -> Iterator[Image.Image]:
    if shown[0].x.shape[1] == 2:
        yield from moving([Panel(p.title, p.x.float(), p.density) for p in shown], limit=limit)
        return
    for p in shown:
        figure = Figure(figsize=(4.4, 4.7), dpi=DPI, layout="constrained")
        axes = figure.subplots()
        _histogram(axes, p, limit)
        top = float(p.density(torch.linspace(-limit, limit, 400).double().unsqueeze(1)).max())
        axes.set_ylim(0, 1.6 * top)
        yield rendered(figure)


def scores_figure(setting: DynamicsSetting) -> Figure:
    """The score at a few of the noise levels: in the plane as arrows, on a line as curves."""
    last = len(setting.sigmas) - 1
    sigmas = list(dict.fromkeys(setting.sigmas[round(i * last / (SHOWN_LEVELS - 1))] for i in range(SHOWN_LEVELS)))
    if setting.dimensions == 1:
        return _score_curves(setting, sigmas)
    fields = []
    for sigma in sigmas:
        reach = setting.reach + min(1.5 * sigma, setting.reach)
        places, cells = (
            torch.cartesian_prod(*2 * [torch.linspace(-share, share, count, dtype=torch.float64) * reach])
            for share, count in ((0.92, ARROWS), (1.0, CELLS))
        )
        values = density_at(setting, sigma)(cells).reshape(CELLS, CELLS).T
        fields.append(ScoreField(noised(sigma), reach, values, places.float(), setting.score(places, sigma).float()))
    return score_fields_figure({"the target": fields})


def _score_curves(setting: DynamicsSetting, sigmas: Sequence[float]) -> Figure:
    """The log-density and the score along the line, for each noise level."""
    x = torch.linspace(-MARGIN, MARGIN, 400, dtype=torch.float64) * setting.reach
    figure = Figure(figsize=(10.0, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, sigma in enumerate(sigmas):
        log_density = setting.law.log_density(x.unsqueeze(1), noised(sigma))
        score = setting.score(x.unsqueeze(1), sigma).squeeze(1)
        left.plot(x, log_density, color=f"C{i}", label=f"σ = {sigma:.2g}")
        right.plot(x, score * max(sigma, 0.1), color=f"C{i}", label=f"σ = {sigma:.2g}")
    left.set(title="log-density with noise σ", xlabel="x", ylabel="log p(x)  (nats)")
    left.set_ylim(bottom=max(left.get_ylim()[0], float(log_density.max()) - 40))
    right.set(title="its slope, the score, in units of 1/σ", xlabel="x", ylabel="σ · score")
    right.axhline(0, color="grey", linewidth=0.7)
    right.set_ylim(-4, 4)
    right.legend(frameon=False, fontsize=9)
    return figure


def bias_figure(bias: StepBias) -> Figure:
    """The error of the mean square over the size of the step, on logarithmic axes, with the formula and slope 1."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    steps = np.array(bias.steps)
    errors = 2 * np.array(bias.errors) / bias.truth
    for name, values, colour, marker in (
        ("unadjusted, measured", bias.unadjusted, INK, "o"),
        ("adjusted, measured", bias.adjusted, "tab:green", "s"),
    ):
        miss = np.abs(np.array(values) / bias.truth - 1)
        axes.errorbar(steps, miss, yerr=errors, fmt=marker, color=colour, label=name, capsize=3)
    if bias.formula:
        fine = np.geomspace(steps[0], steps[-1], 100)
        axes.plot(fine, 1 / (1 - fine / 4) - 1, color="tab:blue", label="unadjusted, formula  1 / (1 - h/4s²) - 1")
    axes.plot(steps, steps / 4, color="grey", linestyle="--", linewidth=1, label="slope 1")
    axes.fill_between(steps, 1e-6, errors, color="grey", alpha=0.15, label="below two standard errors")
    axes.set(xscale="log", yscale="log", xlabel="step h, in units of s² of the narrowest mode")
    axes.set(ylabel="relative error of the variance within modes", title="What the size of a Langevin step costs")
    axes.set_ylim(bottom=1e-3)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    return figure
