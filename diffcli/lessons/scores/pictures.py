"""Estimators of one score: their fields beside the true one, how they came there, and how noisy they are."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from torch import Tensor

from diffcli.lessons.scores.estimators import EstimatorOutcome, EstimatorSetting
from diffcli.lessons.scores.gradient_noise import GradientNoise
from diffcli.lessons.scores.points import NoisedPoints
from diffcli.pictures.fields import draw_arrows, usual_length
from diffcli.pictures.points import INK

ARROWS, CELLS, DOTS = 17, 80, 2000  # along a side, twice; training points
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


def plane_of(data: NoisedPoints) -> FieldPlane:
    """The square that nearly all of the data with their noise lie in."""
    reach = 1.05 * (data.points.abs().quantile(0.995).item() + 2 * data.sigma)
    places, cells = (_grid(share * reach, side) for share, side in ((0.94, ARROWS), (1.0, CELLS)))
    density = data.law.log_density(cells, data.level).exp().reshape(CELLS, CELLS).T
    return FieldPlane(reach, density, places, data.score(places), data.points[:DOTS])


def _grid(reach: float, side: int) -> Tensor:
    return torch.cartesian_prod(*2 * [torch.linspace(-reach, reach, side, dtype=torch.float64)])


def estimate_on(
    plane: FieldPlane, data: NoisedPoints, name: str, outcome: EstimatorOutcome, size: float
) -> FieldEstimate:
    """An estimator's field, and where it is off, in units of `size`."""
    cells = _grid(plane.reach, CELLS)
    with torch.no_grad():
        field, everywhere = (outcome.network(x.float()).double() for x in (plane.points, cells))
    error = ((everywhere - data.score(cells)).norm(dim=1) / size).reshape(CELLS, CELLS).T
    return FieldEstimate(f"{name}\nerror {100 * outcome.agreement.relative_error:.1f} %", field, error)


def fields_figure(setting: EstimatorSetting, outcomes: Mapping[str, EstimatorOutcome], size: float) -> Figure:
    """Columns: the true field, then each estimate. Above arrows over the density; below the data, then the errors.

    size:  of the true score, its root mean square
    """
    data = setting.data
    plane = plane_of(data)
    estimates = [estimate_on(plane, data, name, outcome, size) for name, outcome in outcomes.items()]
    columns = 1 + len(estimates)
    figure = Figure(figsize=(3.15 * columns + 0.9, 6.9), layout="constrained")
    name = data.name.partition(",")[0]
    figure.suptitle(f"The score of {name} with noise σ = {data.sigma:g}, after {setting.steps:,} steps each")
    axes = figure.subplots(2, columns, sharex=True, sharey=True, squeeze=False)
    fields = [(f"true score, of\n{data.truth} with noise", plane.true), *((e.name, e.field) for e in estimates)]
    for top, (title, field) in zip(axes[0], fields, strict=True):
        top.imshow(plane.density.numpy(), cmap="Blues", interpolation="bilinear", **_placed(plane))
        draw_arrows(top, plane.points, field, plane.reach, usual_length(plane.true), most=1.5)
        top.set_title(title, fontsize=10)
    left, *others = axes[1]
    left.plot(*plane.data.T.numpy(), ".", color="grey", markersize=2, alpha=0.5, markeredgewidth=0)
    left.set_title("training points, without noise", fontsize=10)
    for below, estimate in zip(others, estimates, strict=True):
        image = below.imshow(estimate.error.numpy(), vmin=0, vmax=WORST, cmap="magma_r", **_placed(plane))
        _contours(below, plane)
        below.set_title(f"error of {estimate.name.splitlines()[0]}", fontsize=10)
    for place, ax in enumerate(axes.flat):
        ax.set(xlim=(-plane.reach, plane.reach), ylim=(-plane.reach, plane.reach), aspect="equal")
        ax.tick_params(labelsize=8)
        ax.set(xlabel="x₁" if place >= columns else "", ylabel="" if place % columns else "x₂")
    bar = figure.colorbar(image, ax=list(axes.flat), extend="max", shrink=0.42, anchor=(0.0, 0.03), pad=0.01)
    bar.set_label("|error| over the root mean\nsquare of the true score", fontsize=9)
    levels = ", ".join(f"{100 * share:g}" for share in SHARES)
    figure.supxlabel(f"lines over the errors: {levels} % of the highest density", fontsize=9)
    return figure


def _placed(plane: FieldPlane) -> dict[str, Any]:
    return {"origin": "lower", "extent": (-plane.reach, plane.reach, -plane.reach, plane.reach)}


def _contours(axes: Axes, plane: FieldPlane) -> None:
    top = float(plane.density.max())
    levels = [share * top for share in SHARES]
    if not levels[0] > 0:  # the density is narrower than a cell, and missed by all of them
        return
    axes.contour(plane.density.numpy(), levels, colors="#1e3a8a", linewidths=0.7, alpha=0.7, **_placed(plane))


def curves_figure(
    setting: EstimatorSetting, outcomes: Mapping[str, EstimatorOutcome], floor: float | None, noise: GradientNoise
) -> Figure:
    """Left the error over the steps of training; right the noise of the gradient at the true score, over sigma.

    floor:  the error of the training points' own score, where the truth is another
    """
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    here = setting.data.sigma
    for name, outcome in outcomes.items():
        left.plot(*zip(*outcome.curve, strict=True), label=name, color=COLOURS[name], marker=".", markersize=4)
    if floor is not None:
        left.axhline(floor, color="grey", linestyle="--", linewidth=1, label="score of the training points themselves")
    left.set(yscale="log", xlabel="steps of training", ylabel="relative error of the field")
    left.set_title("error of the field on the way", fontsize=11)
    for name, values in noise.curves.items():
        style = "--" if name == "sliced, reduced" else "-"
        right.plot(noise.sigmas, values, style, label=name, color=COLOURS[name], marker=".", markersize=4)
    right.axvline(here, color="grey", linestyle=":", linewidth=1.2, label=f"trained at σ = {here:g}")
    right.set(xscale="log", yscale="log", xlabel="σ of the noise", ylabel="standard deviation of one point's gradient")
    right.set_title("noise of the gradient where the field is the true one", fontsize=11)
    for axes in (left, right):
        axes.grid(alpha=0.3, linewidth=0.5)
        axes.legend(frameon=False, fontsize=9)
    _plain(left.yaxis)
    _plain(right.yaxis)
    _plain(right.xaxis)
    return figure


def _plain(axis: Axis) -> None:
    """0.1, 0.2, 0.5, 1 rather than powers of ten."""
    low, high = sorted(axis.get_view_interval())
    shown = [round(m * 10.0**p, 6) for p in range(-4, 7) for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    axis.set_ticks(shown, [f"{v:g}" for v in shown])
    axis.set_minor_locator(NullLocator())
