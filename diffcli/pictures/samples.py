"""What `sample` draws: a grid of images, or points over the density that they should have."""

from collections.abc import Iterator, Sequence

import torch
from PIL import Image
from torch import Tensor

from diffcli.core.diffusion.exact import Exact
from diffcli.core.levels import Level
from diffcli.pictures.grid import grid
from diffcli.pictures.points import DPI, Density, Panel, extent, moving, rendered, row

SHOWN = 5_000  # points; more would hide each other
LINE = (-4.0, 4.0)  # standard deviations of the samples that a histogram shows


def scatter(samples: Tensor, *, density: Density | None = None, law: Exact | None = None) -> Image.Image:
    """Points [N, D] as one picture, of numbers a histogram.

    density:  to draw below points in the plane
    law:      to draw over the histogram of numbers
    """
    if samples.shape[1] == 1:
        return _histogram(samples.flatten(), law)
    title = "samples" if samples.shape[1] == 2 else f"samples, the first 2 of {samples.shape[1]} coordinates"
    return row([Panel(title, samples[:SHOWN, :2].float(), density)], side=5.0)


def preview(kind: str, samples: Tensor, data: Tensor) -> Image.Image:
    """What a preview shows of samples [N, ...] of a kind: a grid, or points beside as many of the data."""
    if kind != "points":
        return grid(samples)
    panels = [Panel("samples", samples), Panel("data", data[: len(samples)])]
    return row(panels, limit=extent(panels[1:]))


def animation(
    frames: Sequence[Tensor], levels: Sequence[Level], density: Density | None = None
) -> Iterator[Image.Image]:
    """The walk as frames: for each level the samples [N, ...] there."""
    if frames[0].dim() == 4:
        yield from (grid(frame, width=400) for frame in frames)
        return
    points = [frame[:SHOWN, :2].float() for frame in frames]
    limit = min(3 * extent([Panel("", points[-1])]), max(extent([Panel("", p)]) for p in (points[0], points[-1])))
    panels = (
        Panel(f"σ/α = {level.sigma / level.alpha:.3g}", p, density) for p, level in zip(points, levels, strict=True)
    )
    yield from moving(panels, limit=limit)


def _histogram(samples: Tensor, law: Exact | None) -> Image.Image:
    """Numbers [N] as a histogram, and the density of their law."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    low, high = (samples.mean() + side * samples.std().clamp(min=1e-3) for side in LINE)
    places = torch.linspace(low.item(), high.item(), 400, dtype=torch.float64)
    bins = min(80, max(10, round(len(samples) ** 0.5)))
    axes.hist(samples.numpy(), bins=bins, density=True, color="#93c5fd", label=f"{len(samples)} samples")
    if law:
        axes.plot(places, law.log_density(places.unsqueeze(1)).exp(), color="#c2410c", label="the law")
    axes.set(xlabel="x", ylabel="density")
    axes.legend(frameon=False)
    return rendered(figure)
