"""Pictures of denoisers: their quality over the amount, examples side by side, and the score that one holds."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from diffcli.evaluation.denoisers import TITLES
from diffcli.pictures.fields import draw_arrows, usual_length
from diffcli.pictures.figures import show_image

COLOURS = {
    "noisy": "#6b7280", "median": "#0891b2", "linear": "#2563eb", "memorising": "#9333ea", "network": "#c2410c",
}  # fmt: skip
MAGNIFIED = 5  # of the difference of two fields


def quality_figure(rows: Sequence[Mapping[str, Any]], title: str, unit: str) -> Figure:
    """PSNR and SSIM over the amount, a curve per denoiser with bars of two standard errors."""
    figure = Figure(figsize=(10.5, 4.4), layout="constrained")
    figure.suptitle(title)
    for axes, key, name in zip(figure.subplots(1, 2), ("psnr", "ssim"), ("PSNR in dB", "SSIM"), strict=True):
        for denoiser in dict.fromkeys(row["denoiser"] for row in rows):
            chosen = [row for row in rows if row["denoiser"] == denoiser]
            axes.errorbar(
                [row["amount"] for row in chosen],
                [row[key] for row in chosen],
                [2 * row[f"{key}_error"] for row in chosen],
                color=COLOURS[denoiser],
                label=TITLES[denoiser],
                marker="o",
                markersize=4,
                linewidth=2.4 if denoiser == "network" else 1.4,
            )
        axes.set(xlabel=unit, ylabel=f"{name}, mean ± 2 standard errors")
        if unit.startswith("sigma"):
            amounts = sorted({row["amount"] for row in rows})
            axes.set_xscale("log")
            axes.set_xticks(amounts, [f"{amount:g}" for amount in amounts])
            axes.minorticks_off()
        axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right center", frameon=False)
    return figure


def examples_figure(columns: Mapping[str, tuple[Tensor, list[float]]], title: str) -> Figure:
    """A column per denoiser, images [N, C, H, W] down it, each with its PSNR."""
    count = len(next(iter(columns.values()))[0])
    figure = Figure(figsize=(1.45 * len(columns), 1.62 * count + 0.7), layout="constrained")
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(count, len(columns), squeeze=False)
    for c, (name, (images, quality)) in enumerate(columns.items()):
        for r, image in enumerate(images):
            show_image(grid[r][c], image)
            if quality:
                grid[r][c].set_xlabel(f"{quality[r]:.1f}", fontsize=8, labelpad=2)
        grid[0][c].set_title(TITLES.get(name, name), fontsize=9)
    return figure


def before_after_figure(images: Mapping[str, Tensor], title: str) -> Figure:
    """Images [C, H, W] of one size side by side."""
    height, width = next(iter(images.values())).shape[-2:]
    tall = min(6.0, max(2.0, 3.4 * height / width))
    figure = Figure(figsize=(3.5 * len(images), tall + 0.7), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for axes, (name, image) in zip(figure.subplots(1, len(images)), images.items(), strict=True):
        show_image(axes, image)
        axes.set_title(name, fontsize=10)
    return figure


class LearnedScore(NamedTuple):
    """Over the square from -reach to reach: the density [G, G], and at points [M, 2] the true and the learned score."""

    reach: float
    density: Tensor
    points: Tensor
    true: Tensor
    learned: Tensor


def learned_score_figure(fields: LearnedScore, rows: Sequence[Mapping[str, float]], sigma: float) -> Figure:
    """The true, the learned field and their difference; below, the errors over sigma."""
    figure = Figure(figsize=(10.0, 7.2), layout="constrained")
    figure.suptitle(
        f"The score in a denoiser, (r(x) − x) / σ², at σ = {sigma:g}; blue is the density of the noised data"
    )
    mosaic = figure.subplot_mosaic([["a", "b", "c"], ["d", "d", "d"]], height_ratios=[1.15, 1.0])
    scale = usual_length(fields.true)
    panels = (
        ("a", "exact", fields.true),
        ("b", "learned", fields.learned),
        ("c", f"learned − exact, {MAGNIFIED} times as long", MAGNIFIED * (fields.learned - fields.true)),
    )
    for place, title, field in panels:
        _field(mosaic[place], fields, field, scale)
        mosaic[place].set_title(title, fontsize=10)
    _errors(mosaic["d"], rows)
    return figure


def _field(axes: Axes, fields: LearnedScore, field: Tensor, scale: float) -> None:
    """Arrows over the density."""
    reach = fields.reach
    ends = (-reach, reach, -reach, reach)
    axes.contourf(fields.density.numpy(), 8, origin="lower", extent=ends, cmap="Blues")
    draw_arrows(axes, fields.points, field, reach, scale, most=1.5)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="x₁", ylabel="x₂", aspect="equal")


def _errors(axes: Axes, rows: Sequence[Mapping[str, float]]) -> None:
    """Relative errors over sigma."""
    sigmas = [row["sigma"] for row in rows]
    curves = (
        ("relative_error", "learned, to the score of the noised data (Vincent)", "#c2410c", "-"),
        ("learned_to_data", "learned, to the score of the data", "#c2410c", "--"),
        ("exact_to_data", "best denoiser, to the score of the data (Alain & Bengio)", "#2563eb", "--"),
    )
    for key, label, colour, style in curves:
        axes.loglog(sigmas, [row[key] for row in rows], label=label, color=colour, linestyle=style, marker="o")
    first = rows[0]
    square = [(s, first["exact_to_data"] * (s / sigmas[0]) ** 2) for s in sigmas]
    below = [point for point in square if point[1] <= 1]
    axes.loglog(*zip(*below, strict=True), color="grey", linewidth=1, linestyle=":", label="proportional to σ²")
    axes.set(xlabel="σ of the noise, where the data have standard deviation 1", ylabel="relative error of the score")
    axes.set_xticks([0.05, 0.1, 0.2, 0.5, 1.0], ["0.05", "0.1", "0.2", "0.5", "1"])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9, loc="center right", bbox_to_anchor=(1.0, 0.42), framealpha=1)
