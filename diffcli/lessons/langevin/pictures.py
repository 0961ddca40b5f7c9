"""Langevin dynamics: particles over their density, the score between two modes, and the bias of the step."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from diffcli.pictures.figures import write_figure
from diffcli.pictures.points import DPI, INK, Density, Panel, moving, row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 80


class Particles(NamedTuple):
    """Particles [N, D], D of 1 or 2, and the density where they are."""

    title: str
    x: Tensor
    density: Density


class Curve(NamedTuple):
    """The log-density and the score along a line, [M] each, at a noise level."""

    sigma: float
    log_density: Tensor
    score: Tensor


class Bias(NamedTuple):
    """The mean square from the modes over the size of the step: measured with its standard error, and the formula."""

    steps: Sequence[float]
    truth: float
    formula: list[float] | None
    unadjusted: Sequence[float]
    adjusted: Sequence[float]
    errors: Sequence[float]


def panels(path: Path, shown: Sequence[Particles], title: str, limit: float) -> None:
    """Particles side by side, on the same axes from -limit to limit: scattered in the plane, histograms on a line."""
    if shown[0].x.shape[1] == 2:
        image = row([Panel(p.title, p.x.float(), p.density) for p in shown], title=title, limit=limit, side=2.9)
        image.save(path)
        return
    figure = Figure(figsize=(3.1 * len(shown) + 0.4, 3.6), layout="constrained")
    figure.suptitle(title)
    for axes, p in zip(figure.subplots(1, len(shown), sharey=True, squeeze=False)[0], shown, strict=True):
        _histogram(axes, p, limit)
    figure.axes[0].set_ylabel("density")
    write_figure(figure, path)


def _histogram(axes: "Axes", p: Particles, limit: float) -> None:
    places = torch.linspace(-limit, limit, 400)
    edges = np.linspace(-limit, limit, BINS + 1)
    axes.hist(p.x.squeeze(1).numpy(), bins=edges, density=True, color=INK, alpha=0.45)  # type: ignore[arg-type]
    axes.plot(places, p.density(places.double().unsqueeze(1)), color="tab:blue", linewidth=1.6)
    axes.set_title(p.title, fontsize=10)
    axes.set(xlim=(-limit, limit), xlabel="x")


def film(columns: Sequence[Sequence[Particles]], limit: float) -> Iterator[Image.Image]:
    """Frames of particles that move, a column for each sequence, all as long as the first."""
    reels = [_reel(frames, limit) for frames in columns]
    for images in zip(*reels, strict=True):
        sheet = Image.new("RGB", (sum(i.width for i in images), images[0].height), "white")
        left = 0
        for image in images:
            sheet.paste(image, (left, 0))
            left += image.width
        small = sheet.resize((2 * sheet.width // 3, 2 * sheet.height // 3), Image.Resampling.LANCZOS)
        yield small.quantize(64)  # few colours are there, and a small file


def _reel(frames: Sequence[Particles], limit: float) -> Iterator[Image.Image]:
    if frames[0].x.shape[1] == 2:
        yield from moving([Panel(p.title, p.x.float(), p.density) for p in frames], limit=limit)
        return
    for p in frames:
        figure = Figure(figsize=(4.4, 4.7), dpi=DPI, layout="constrained")
        axes = figure.subplots()
        _histogram(axes, p, limit)
        top = float(p.density(torch.linspace(-limit, limit, 400).double().unsqueeze(1)).max())
        axes.set_ylim(0, 1.6 * top)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        size = canvas.get_width_height(physical=True)
        yield Image.frombytes("RGBA", size, bytes(canvas.buffer_rgba())).convert("RGB")


def line_figure(path: Path, places: Tensor, curves: Sequence[Curve], along: str) -> None:
    """The log-density and the score at places [M] of a line, for each noise level."""
    figure = Figure(figsize=(10.0, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, curve in enumerate(curves):
        colour = f"C{i}"
        left.plot(places, curve.log_density, color=colour, label=f"σ = {curve.sigma:.2g}")
        right.plot(places, curve.score * max(curve.sigma, 0.1), color=colour, label=f"σ = {curve.sigma:.2g}")
    left.set(title="log-density with noise σ", xlabel=along, ylabel="log p(x)  (nats)")
    left.set_ylim(bottom=max(left.get_ylim()[0], float(curves[-1].log_density.max()) - 40))
    right.set(title="its slope, the score, in units of 1/σ", xlabel=along, ylabel="σ · score")
    right.axhline(0, color="grey", linewidth=0.7)
    right.set_ylim(-4, 4)
    right.legend(frameon=False, fontsize=9)
    write_figure(figure, path)


def bias_figure(path: Path, bias: Bias) -> None:
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
    write_figure(figure, path)
