"""What labelled figures share: images among their axes, and how one becomes a PNG."""

import io
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from torch import Tensor

from diffcli.data.scan import PROGRAM
from diffcli.pictures.grid import single
from diffcli.system.files import write_atomically

CELL = 1.0  # inches of an image
DPI = 110


def show_image(axes: Axes, image: Tensor) -> None:
    """An image [C, H, W] in [-1, 1] alone, without ticks."""
    axes.imshow(single(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])


def mosaic(figure: FigureBase, rows: list[list[Tensor]], titles: list[str], names: Sequence[str] = ()) -> None:
    """Images in rows and columns, titles above the columns, names left of the rows."""
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            axes: Axes = figure.add_subplot(len(rows), len(row), r * len(row) + c + 1)
            show_image(axes, image)
            if r == 0:
                axes.set_title(titles[c], fontsize=8)
            if c == 0 and names:
                axes.set_ylabel(names[r], fontsize=8)


def short(value: Tensor) -> str:
    """A number in two digits, or the sign of infinity."""
    return "∞" if torch.isinf(value) else f"{value:.2g}"


def write_figure(figure: Figure, path: Path) -> None:
    """Render the figure as a PNG."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": PROGRAM})
    write_atomically(path, buffer.getvalue())
