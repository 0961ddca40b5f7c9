"""What labelled figures share: images among their axes, and how one becomes a PNG."""

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter
from torch import Tensor

from diffcli.data.scan import PROGRAM
from diffcli.pictures.grid import single
from diffcli.system.files import write_atomically
from diffcli.system.text import legible

CELL = 1.0  # inches of an image
DPI = 110
DOLLAR = re.compile(r"(?<!\\)\$")
OWN_FORMULA = r"$\mathdefault"  # the numbers of a logarithmic axis, once it has been drawn


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
    _spell(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": PROGRAM})
    write_atomically(path, buffer.getvalue())


def _spell(figure: Figure) -> None:
    """Let names of the user's be shown as they are: two dollars make no formula, half a character is none."""
    for text in figure.findobj(Text):
        text.set_text(_spelled(text.get_text()))
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        formatter = axis.get_major_formatter()
        if isinstance(formatter, FuncFormatter):  # of labels that were given
            formatter.func = _after(formatter.func, _spelled)


def _spelled(text: str) -> str:
    return text if text.startswith(OWN_FORMULA) else DOLLAR.sub(r"\$", legible(text))


def _after(first: Callable[..., str], then: Callable[[str], str]) -> Callable[..., str]:
    return lambda *given: then(first(*given))
