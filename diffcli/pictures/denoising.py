"""Denoisers compared: their quality over the damage, and what they make of images; the score in a denoiser."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from diffcli.metrics.quality import psnr
from diffcli.pictures.figures import write_figure
from diffcli.pictures.grid import single

if TYPE_CHECKING:
    from diffcli.restoring import Row

COLOURS = {
    "damaged": "grey", "median": "tab:green", "linear": "tab:blue", "memorising": "tab:purple", "network": "#c2410c",
}  # fmt: skip


def quality_curves(path: Path, rows: Sequence["Row"], title: str) -> None:
    """PSNR and SSIM of each denoiser over the amount of damage."""
    figure = Figure(figsize=(10.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    amounts = [row.amount for row in rows]
    for name in rows[0].psnr:
        style = {"color": COLOURS[name], "marker": "o", "linestyle": ":" if name == "damaged" else "-"}
        errors = [2 * row.psnr[name].error for row in rows]
        left.errorbar(amounts, [row.psnr[name].mean for row in rows], yerr=errors, capsize=3, label=name, **style)
        right.plot(amounts, [row.ssim[name].mean for row in rows], label=name, **style)
    for axes, label in ((left, "PSNR in dB, two standard errors"), (right, "SSIM")):
        axes.set(xlabel=f"damage: {title}", ylabel=label)
        if max(amounts) > 1 and min(amounts) > 0:
            axes.set_xscale("log")
            axes.set_xticks(amounts, [f"{amount:g}" for amount in amounts])
            axes.minorticks_off()
        axes.grid(alpha=0.3)
    left.legend(frameon=False, fontsize=9)
    figure.suptitle("Denoisers on test images")
    write_figure(figure, path)


def mosaic(path: Path, row: "Row") -> None:
    """A column for each image, a row for each denoiser, with the PSNR below each picture."""
    images_figure(path, row.images, f"Damage {row.amount:g}: PSNR in dB below each image")


def images_figure(path: Path, images: Mapping[str, Tensor], title: str, cell: float = 1.15) -> None:
    """Rows of images [B, C, H, W] by name; the first is the truth, which the PSNR of the others is against."""
    truth = next(iter(images.values()))
    count = len(truth)
    figure = Figure(figsize=(cell * count + 1.1, (cell + 0.25) * len(images) + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(len(images), count, squeeze=False)
    for r, (name, row) in enumerate(images.items()):
        quality = psnr(row, truth)
        for c, image in enumerate(row):
            ax = axes[r][c]
            ax.imshow(single(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
            if r:
                ax.set_xlabel(f"{quality[c]:.1f}", fontsize=8, labelpad=2)
        axes[r][0].set_ylabel(name, fontsize=9)
    write_figure(figure, path)


def before_after(path: Path, images: Mapping[str, Tensor], title: str) -> None:
    """Images [C, H, W] side by side, their names above."""
    side = 3.2
    first = next(iter(images.values()))
    shape = first.shape[1] / first.shape[2]
    figure = Figure(figsize=(side * len(images) + 0.2, side * min(2.0, max(0.5, shape)) + 0.8), layout="constrained")
    figure.suptitle(title, fontsize=11)
    for axes, (name, image) in zip(figure.subplots(1, len(images), squeeze=False)[0], images.items(), strict=True):
        axes.imshow(single(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(name, fontsize=10)
        axes.set_axis_off()
    write_figure(figure, path)


def field_figure(path: Path, reach: float, density: Tensor, places: Tensor, fields: Mapping[str, Tensor]) -> None:
    """Arrow fields [M, 2] at places [M, 2], side by side on one scale, over the density [G, G] of the plane."""
    figure = Figure(figsize=(4.0 * len(fields) + 0.3, 4.5), layout="constrained")
    figure.suptitle("A denoiser holds the score: arrows on one scale, blue is the density with noise")
    ends = (-reach, reach, -reach, reach)
    longest = next(iter(fields.values())).norm(dim=1).quantile(0.9).item()
    step = 2 * reach / len(places) ** 0.5
    for axes, (name, field) in zip(figure.subplots(1, len(fields), squeeze=False)[0], fields.items(), strict=True):
        axes.imshow(density.numpy(), origin="lower", extent=ends, cmap="Blues", aspect="equal")
        arrows = field / longest * step
        axes.quiver(
            *places.T.numpy(), *arrows.T.numpy(), color="#c2410c", angles="xy", scale_units="xy", scale=1, width=0.006
        )
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), title=name, xlabel="x", ylabel="y")
    write_figure(figure, path)


def errors_figure(path: Path, sigmas: Sequence[float], curves: Mapping[str, Sequence[float]]) -> None:
    """Relative errors over the noise, on logarithmic axes."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    for i, (name, values) in enumerate(curves.items()):
        axes.plot(sigmas, np.maximum(values, 1e-6), marker="o", color=("#c2410c", "tab:blue", "grey")[i], label=name)
    axes.set(xscale="log", yscale="log", xlabel="σ of the noise", ylabel="relative error, root mean square over draws")
    axes.set_title("(r(x) - x) / σ² against the score")
    axes.set_xticks(sigmas, [f"{sigma:g}" for sigma in sigmas])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    write_figure(figure, path)
