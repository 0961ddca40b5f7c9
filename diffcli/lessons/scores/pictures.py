"""Estimators of one score: their fields beside the true one, how they came there, and how noisy they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from torch import Tensor

from diffcli.pictures.figures import write_figure
from diffcli.pictures.points import INK

COLOURS = {"explicit": "#2563eb", "denoising": INK, "sliced": "#15803d", "sliced, reduced": "#84cc16"}
SHARES = (0.02, 0.2, 0.6)  # of the highest density, where its lines are drawn
WORST = 1.0  # of the map of the error; what is beyond has the same colour


class FieldEstimate(NamedTuple):
    """A field at points [M, 2], and the length of its error on cells [G, G], in units of the true score's root mean
    square."""

    name: str
    field: Tensor
    error: Tensor


class FieldPlane(NamedTuple):
    """The square from -reach to reach: the density [G, G], the true field at points [M, 2], and data [N, 2]."""

    reach: float
    density: Tensor
    points: Tensor
    true: Tensor
    data: Tensor


def fields_figure(path: Path, plane: FieldPlane, estimates: Sequence[FieldEstimate], title: str, truth: str) -> None:
    """Columns: the true field, then each estimate. Above arrows over the density; below the data, then the errors."""
    columns = 1 + len(estimates)
    figure = Figure(figsize=(3.15 * columns + 0.9, 6.9), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(2, columns, sharex=True, sharey=True, squeeze=False)
    longest = plane.true.norm(dim=1).quantile(0.9).item()
    for top, (name, field) in zip(axes[0], [(truth, plane.true), *((e.name, e.field) for e in estimates)], strict=True):
        _arrows(top, plane, field, longest)
        top.set_title(name, fontsize=10)
    left, *others = axes[1]
    left.plot(*plane.data.T.numpy(), ".", color="grey", markersize=2, alpha=0.5, markeredgewidth=0)
    left.set_title("training points, without noise", fontsize=10)
    for below, estimate in zip(others, estimates, strict=True):
        image = below.imshow(estimate.error.numpy(), vmin=0, vmax=WORST, cmap="magma_r", **_placed(plane))
        _contours(below, plane)
        below.set_title(f"error of {estimate.name.splitlines()[0]}", fontsize=10)
    for ax in axes.flat:
        ax.set(xlim=(-plane.reach, plane.reach), ylim=(-plane.reach, plane.reach), aspect="equal")
        ax.tick_params(labelsize=8)
    for ax in axes[1]:
        ax.set_xlabel("x₁")
    for ax in axes[:, 0]:
        ax.set_ylabel("x₂")
    if others:
        bar = figure.colorbar(image, ax=list(axes.flat), extend="max", shrink=0.42, anchor=(0.0, 0.03), pad=0.01)
        bar.set_label("|error| over the root mean\nsquare of the true score", fontsize=9)
        said = ", ".join(f"{100 * share:g}" for share in SHARES)
        figure.supxlabel(f"lines over the errors: {said} % of the highest density", fontsize=9)
    write_figure(figure, path)


def _placed(plane: FieldPlane) -> dict[str, Any]:
    return {"origin": "lower", "extent": (-plane.reach, plane.reach, -plane.reach, plane.reach)}


def _contours(axes: Axes, plane: FieldPlane) -> None:
    top = float(plane.density.max())
    levels = [share * top for share in SHARES]
    if not levels[0] > 0:  # the density is narrower than a cell, and missed by all of them
        return
    axes.contour(plane.density.numpy(), levels, colors="#1e3a8a", linewidths=0.7, alpha=0.7, **_placed(plane))


def _arrows(axes: Axes, plane: FieldPlane, field: Tensor, longest: float) -> None:
    """Of a common scale, of at most a step and a half of the grid."""
    axes.imshow(plane.density.numpy(), cmap="Blues", interpolation="bilinear", **_placed(plane))
    step = 2 * plane.reach / len(plane.points) ** 0.5
    length = field.norm(dim=1, keepdim=True).clamp(min=1e-12)
    arrows = field / length * (length / longest).clamp(max=1.5) * step
    how: dict[str, Any] = {"color": INK, "angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.006}
    axes.quiver(*plane.points.T.numpy(), *arrows.T.numpy(), **how)


class Study(NamedTuple):
    """The noise of each estimator's gradient over sigma, and the sigma that was trained at."""

    sigmas: Sequence[float]
    curves: Mapping[str, Sequence[float]]
    here: float


def curves_figure(
    path: Path, errors: Mapping[str, Sequence[tuple[int, float]]], floor: float | None, study: Study
) -> None:
    """Left the error over the steps of training; right the noise of the gradient at the true score, over sigma.

    floor:  the error of the training points' own score, where the truth is another
    """
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, curve in errors.items():
        left.plot(*zip(*curve, strict=True), label=name, color=COLOURS[name], marker=".", markersize=4)
    if floor is not None:
        left.axhline(floor, color="grey", linestyle="--", linewidth=1, label="score of the training points themselves")
    left.set(yscale="log", xlabel="steps of training", ylabel="relative error of the field")
    left.set_title("error of the field on the way", fontsize=11)
    for name, values in study.curves.items():
        style = "--" if name == "sliced, reduced" else "-"
        right.plot(study.sigmas, values, style, label=name, color=COLOURS[name], marker=".", markersize=4)
    right.axvline(study.here, color="grey", linestyle=":", linewidth=1.2, label=f"trained at σ = {study.here:g}")
    right.set(xscale="log", yscale="log", xlabel="σ of the noise", ylabel="standard deviation of one point's gradient")
    right.set_title("noise of the gradient where the field is the true one", fontsize=11)
    for axes in (left, right):
        axes.grid(alpha=0.3, linewidth=0.5)
        axes.legend(frameon=False, fontsize=9)
    _plain(left.yaxis)
    _plain(right.yaxis)
    _plain(right.xaxis)
    write_figure(figure, path)


def _plain(axis: Axis) -> None:
    """0.1, 0.2, 0.5, 1 rather than powers of ten."""
    low, high = sorted(axis.get_view_interval())
    shown = [round(m * 10.0**p, 6) for p in range(-4, 7) for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    axis.set_ticks(shown, [f"{v:g}" for v in shown])
    axis.set_minor_locator(NullLocator())
