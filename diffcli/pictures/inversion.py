"""A picture of DDIM inversion: an image to its noise and back."""

from collections.abc import Sequence
from typing import cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase, SubFigure
from torch import Tensor

from diffcli.pictures.figures import mosaic


def inversion_figure(
    image: Tensor, latent: Tensor, back: Sequence[Tensor], errors: Sequence[tuple[int, float]]
) -> Figure:
    """An image, its noise, and what came back for each number of steps; the error over these if that is a curve.

    image, back:  [1, C, H, W] each
    latent:       [1, c, h, w]; of other channels than 1 or 3 the first, or the first three as colours
    errors:       steps and squared error of each in `back`
    """
    channels = 1 if latent.shape[1] < 3 else 3
    images = [image[0], latent[0, :channels] / latent.abs().max(), *(picture[0] for picture in back)]
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
    return figure


def _error_curve(axes: Axes, errors: Sequence[tuple[int, float]]) -> None:
    axes.loglog([steps for steps, _ in errors], [error for _, error in errors], marker="o")
    axes.set_xlabel("steps each way")
    axes.set_ylabel("squared error per value\n(black 0, white 1)")
    axes.set_xticks([steps for steps, _ in errors], [str(steps) for steps, _ in errors])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
