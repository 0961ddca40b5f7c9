"""Points in the plane: scattered side by side, over the density they should have, and in motion."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:  # it takes long to import, and grids of images have no use for it
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

Density = Callable[[Tensor], Tensor]
"""Places [M, 2] -> the density there, [M], in any unit."""

DPI = 110
CELLS = 200  # of a density, along each side
INK, PAPER = "#c2410c", "Blues"  # of points, of densities


class Panel(NamedTuple):
    """Points [N, 2] and the density to draw below them, if any."""

    title: str
    points: Tensor
    density: Density | None = None


def row(panels: Sequence[Panel], *, title: str = "", limit: float | None = None, side: float = 3.4) -> Image.Image:
    """Panels side by side with the same axes, from -limit to limit.

    limit:  half the side of what is shown; by default what holds nearly all points of every panel
    side:   of a panel, in inches
    """
    from matplotlib.figure import Figure

    limit = limit or extent(panels)
    figure = Figure(figsize=(side * len(panels) + 0.6, side + 0.8 + 0.3 * bool(title)), dpi=DPI, layout="constrained")
    figure.suptitle(title)
    for axes, panel in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        _draw(axes, panel, limit, side)
        axes.set_xlabel("x")
    figure.axes[0].set_ylabel("y")
    return rendered(figure)


def moving(panels: Iterable[Panel], *, limit: float, side: float = 4.4) -> Iterator[Image.Image]:
    """Each panel as a frame of an animation. Panels in a row that share a density share its drawing, which is fast."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(side, side + 0.3), dpi=DPI)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, 0.08, 0.87, 0.84))
    known: Density | None = None
    for i, panel in enumerate(panels):
        if i == 0 or panel.density is not known:
            axes.clear()
            _draw(axes, panel, limit, side)
            (dots,) = axes.lines
            for part in (dots, axes.title):
                part.set_animated(True)  # left out of the background
            canvas.draw()
            background, known = canvas.copy_from_bbox(figure.bbox), panel.density
        canvas.restore_region(background)
        dots.set_data(*panel.points.T.numpy())
        axes.title.set_text(_titled(panel, limit))
        for part in (dots, axes.title):
            axes.draw_artist(part)
        yield _pixels(canvas)


def extent(panels: Iterable[Panel]) -> float:
    """Half the side of a square around the origin that holds 99.5 % of the points of every panel, and a margin."""
    reaches = [panel.points.abs().amax(1).nan_to_num(0).quantile(0.995) for panel in panels]
    return 1.1 * max(1e-3, *(reach.item() for reach in reaches))


def kernel_density(points: Tensor, width: float = 0.06) -> Density:
    """The density estimated from points [N, 2]: their histogram in fine cells, blurred by a Gaussian of this width.

    Right for many points at once; the places asked for are those of the cells that they fall into.
    """
    limit = float(points.abs().max()) + 4 * width
    cells = min(1000, max(CELLS, math.ceil(4 * limit / width)))  # at most half a width each
    edge = 2 * limit / cells
    index = ((points + limit) / edge).long().clamp(0, cells - 1)
    counts = torch.bincount(index[:, 0] * cells + index[:, 1], minlength=cells**2).reshape(1, 1, cells, cells).float()
    reach = math.ceil(4 * width / edge)
    bell = torch.exp(-((torch.arange(-reach, reach + 1) * edge / width) ** 2) / 2)
    bell = (bell / bell.sum()).reshape(1, 1, 1, -1)
    for kernel in (bell, bell.transpose(2, 3)):
        counts = torch.nn.functional.conv2d(counts, kernel, padding="same")
    table = counts[0, 0] / (len(points) * edge**2)

    def density(places: Tensor) -> Tensor:
        inside = places.abs().amax(1) < limit
        i, j = ((places + limit) / edge).long().clamp(0, cells - 1).T
        return torch.where(inside, table[i, j], 0.0)

    return density


def _draw(axes: "Axes", panel: Panel, limit: float, side: float) -> None:
    """Points over density in a square; the fewer the points and the larger the square, the larger the dots."""
    if panel.density:
        places = (torch.arange(CELLS) + 0.5) / CELLS * 2 * limit - limit
        grid = torch.cartesian_prod(places, places)  # x changes slowest
        values = panel.density(grid).reshape(CELLS, CELLS).T
        ends = (-limit, limit, -limit, limit)
        axes.imshow(values.numpy(), cmap=PAPER, origin="lower", extent=ends, vmin=0, vmax=1.6 * float(values.max()))
    size = side * min(1.5, max(0.5, 25 / math.sqrt(len(panel.points))))
    axes.plot(*panel.points.T.numpy(), "o", color=INK, markersize=size, markeredgewidth=0, alpha=0.55)
    axes.set_title(_titled(panel, limit), fontsize=11)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")


def _titled(panel: Panel, limit: float) -> str:
    """The title, and how many points lie beyond the axes."""
    outside = int((~(panel.points.abs().amax(1) <= limit)).sum())
    return f"{panel.title} ({outside} outside)" if outside > 0.005 * len(panel.points) else panel.title


def rendered(figure: "Figure") -> Image.Image:
    """A figure as an image, at its own resolution."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return _pixels(canvas)


def _pixels(canvas: "FigureCanvasAgg") -> Image.Image:
    size = canvas.get_width_height(physical=True)
    return Image.frombytes("RGBA", size, bytes(canvas.buffer_rgba())).convert("RGB")
