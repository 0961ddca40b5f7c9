"""Labelled figures."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase, SubFigure
from torch import Tensor

from diffcli.core.diffusion.samplers import Step
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.levels import Level
from diffcli.pictures.grid import single
from diffcli.system.files import write_atomically

CELL = 1.0  # inches of an image
DPI = 110


def forward_figure(
    path: Path,
    columns: Sequence[Tensor],
    times: Tensor,
    levels: Sequence[Level],
    schedule: Schedule,
    name: str,
) -> None:
    """Rows of images over columns of levels, above the curves of the schedule they come from.

    columns:  for each time, images [N, C, H, W]
    """
    rows, wide = len(columns[0]), len(columns)
    figure = Figure(figsize=(max(5.0, CELL * wide + 0.6), CELL * rows + 3.1), layout="constrained")
    images, curves = cast(
        "tuple[SubFigure, SubFigure]", figure.subfigures(2, 1, height_ratios=[CELL * rows + 0.8, 2.3])
    )
    images.suptitle(f"The forward process, {name} schedule: x = α x0 + σ ε")
    titles = [
        f"t = {t:.2f}\nα {level.alpha:.3f}\nσ {level.sigma:.3f}\nSNR {short((level.alpha / level.sigma) ** 2)}"
        for t, level in zip(times, levels, strict=True)
    ]
    mosaic(images, [[column[row] for column in columns] for row in range(rows)], titles)

    left, right = curves.subplots(1, 2)
    t = torch.linspace(0, 1, 400, dtype=torch.float64)
    along = schedule(t)
    left.plot(t, along.alpha, label="α, signal")
    left.plot(t, along.sigma, label="σ, noise")
    right.plot(t, along.log_snr.clamp(-20, 20), color="tab:green", label="log SNR = log α²/σ²")
    right.axhline(0, color="grey", linewidth=0.7)
    for axes in (left, right):
        axes.set_xlabel("t (0 data, 1 noise)")
        axes.legend(loc="best", frameon=False)
        for shown in times:
            axes.axvline(float(shown), color="grey", alpha=0.15)
    write_figure(figure, path)


def reverse_figure(path: Path, columns: Sequence[tuple[Level, Step]], title: str) -> None:
    """For each image two rows, where the walk stands and its clean estimate, over columns of levels."""
    count = len(columns[0][1].x)
    figure = Figure(figsize=(max(7.5, CELL * len(columns) + 1.0), 2 * CELL * count + 0.8), layout="constrained")
    figure.suptitle(title)
    rows, names = [], []
    for i in range(count):
        rows += [[step.x[i] for _, step in columns], [step.x0[i] for _, step in columns]]
        names += ["x_t", "x0 guess"]
    titles = [f"σ {level.sigma:.2f}\nSNR {short((level.alpha / level.sigma) ** 2)}" for level, _ in columns]
    mosaic(figure, rows, titles, names)
    write_figure(figure, path)


def inversion_figure(
    path: Path, image: Tensor, latent: Tensor, back: Sequence[Tensor], errors: Sequence[tuple[int, float]]
) -> None:
    """An image, its noise, and what came back for each number of steps; the error over these if that is a curve."""
    images = [image[0], latent[0] / latent.abs().max(), *(picture[0] for picture in back)]
    curved = sum(error > 0 for _, error in errors) > 1  # none can be shown at 0 of a logarithmic axis
    figure = Figure(figsize=(max(6.0, 1.2 * len(images)), 5.0 if curved else 2.6), layout="constrained")
    top: FigureBase = figure
    if curved:
        top, bottom = cast("tuple[SubFigure, SubFigure]", figure.subfigures(2, 1, height_ratios=[1.9, 3.0]))
        _error_curve(bottom.subplots(), errors)
    figure.suptitle("DDIM inversion: image → noise → image")
    titles = ["image", f"noise\n{errors[-1][0]} steps\nstd {latent.std():.2f}"]
    titles += [f"back\n{steps} steps\nerror {error:.2g}" for steps, error in errors]
    mosaic(top, [images], titles)
    write_figure(figure, path)


def _error_curve(axes: Axes, errors: Sequence[tuple[int, float]]) -> None:
    axes.loglog([steps for steps, _ in errors], [error for _, error in errors], marker="o")
    axes.set_xlabel("steps each way")
    axes.set_ylabel("squared error per value\n(black 0, white 1)")
    axes.set_xticks([steps for steps, _ in errors], [str(steps) for steps, _ in errors])
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def mosaic(figure: FigureBase, rows: list[list[Tensor]], titles: list[str], names: Sequence[str] = ()) -> None:
    """Images in rows and columns, titles above the columns, names left of the rows."""
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            axes: Axes = figure.add_subplot(len(rows), len(row), r * len(row) + c + 1)
            axes.imshow(single(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            if r == 0:
                axes.set_title(titles[c], fontsize=8)
            if c == 0 and names:
                axes.set_ylabel(names[r], fontsize=8)


def short(value: Tensor) -> str:
    return "∞" if torch.isinf(value) else f"{value:.2g}"


def write_figure(figure: Figure, path: Path) -> None:
    """Render the figure as a PNG."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    write_atomically(path, buffer.getvalue())
