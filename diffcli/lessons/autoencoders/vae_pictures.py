"""Pictures of variational autoencoders: bounds, what each unit says, maps of the latent plane, strips of images."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from diffcli.core.models.vae import VAE
from diffcli.evaluation import vae_bounds
from diffcli.pictures.figures import show_image
from diffcli.pictures.grid import grid

MAP_SIDE = 15  # pictures along a side of the map of a latent plane


def bounds_figure(curve: Sequence[Mapping[str, float]], kl: Tensor, active: Tensor) -> Figure:
    """Left the importance-weighted bound over the number of samples; right the KL of each unit, the largest first."""
    figure = Figure(figsize=(11.0, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    counts, values, errors = ([row[key] for row in curve] for key in ("samples", "nats", "standard_error"))
    left.errorbar(counts, values, yerr=[2 * e for e in errors], marker="o", color="#c2410c", capsize=3)
    left.set(xscale="log", xlabel="samples k", ylabel="nats per image, two standard errors")
    left.set_xticks(counts, [str(count) for count in counts], fontsize=8)
    left.minorticks_off()
    left.set_title("from the ELBO (k = 1) towards log p(x)")
    left.grid(alpha=0.3)
    order = kl.argsort(descending=True)
    colours = ["#c2410c" if bool(active[i]) else "lightgrey" for i in order]
    right.bar(np.arange(len(kl)), kl[order].numpy(), color=colours)
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set(xlabel="unit, by its KL", ylabel="KL in nats per image")
    right.set_title(f"what each unit says: {int(active.sum())} of {len(kl)} are active")
    return figure


def sandwich_figure(groups: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """For each group of images their bounds, each image's in units of nats above its own ELBO."""
    figure = Figure(figsize=(5.4 * len(groups), 4.2), layout="constrained")
    markers = {
        "ELBO": ("v", "grey"),
        "IWAE": ("s", "tab:blue"),
        "AIS, lower": ("^", "#c2410c"),
        "AIS, upper": ("v", "k"),
    }
    for axes, (title, bounds) in zip(figure.subplots(1, len(groups), squeeze=False)[0], groups.items(), strict=True):
        base = bounds["ELBO"]
        for name, values in bounds.items():
            marker, colour = markers[name]
            axes.plot(np.arange(1, len(base) + 1), (values - base).numpy(), marker, color=colour, label=name)
        axes.set(title=title, xlabel="image", ylabel="nats above its ELBO")
        axes.set_xticks(np.arange(1, len(base) + 1))
        axes.grid(alpha=0.3)
        axes.set_ylim(top=1.35 * max(0.1, axes.get_ylim()[1]))
        axes.legend(frameon=False, fontsize=9, ncols=2, loc="upper left")
    figure.suptitle("Bounds of log p(x), image by image")
    return figure


def latent_figure(means: Tensor, labels: Tensor | None, names: Sequence[str], axes_names: Sequence[str]) -> Figure:
    """Posterior means of test images [N, 2], coloured by class."""
    figure = Figure(figsize=(6.6, 5.4), layout="constrained")
    axes = figure.subplots()
    colours = None if labels is None else labels.numpy()
    dots = axes.scatter(means[:, 0].numpy(), means[:, 1].numpy(), c=colours, cmap="tab10", s=5, alpha=0.7, linewidths=0)
    axes.set(xlabel=axes_names[0], ylabel=axes_names[1], aspect="equal", title="Where the encoder puts test images")
    if labels is not None and len(names) <= 20:
        handles, _ = dots.legend_elements(num=list(range(len(names))))
        figure.legend(handles, names, loc="outside right upper", frameon=False, fontsize=9, markerscale=1.3)
    return figure


def strips_figure(strips: Mapping[str, Tensor], title: str, heads: Sequence[str] = ()) -> Figure:
    """A row of images [N, C, H, W] for each name; heads above the columns."""
    count = len(next(iter(strips.values())))
    figure = Figure(figsize=(0.8 * count + 1.4, 0.82 * len(strips) + 0.75), layout="constrained")
    figure.suptitle(title, fontsize=11)
    cells = figure.subplots(len(strips), count, squeeze=False)
    for r, (name, images) in enumerate(strips.items()):
        for c, image in enumerate(images):
            axes = cells[r][c]
            show_image(axes, image)
            if r == 0 and heads:
                axes.set_title(heads[c], fontsize=8)
        cells[r][0].set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
    return figure


@torch.no_grad()
def latent_map(model: VAE) -> Image.Image:
    """What the decoder makes of the whole plane of a code of two numbers: at places that the prior spreads evenly."""
    share = torch.linspace(0.02, 0.98, MAP_SIDE, dtype=torch.float64)
    places = torch.special.ndtri(share).float()
    plane = torch.cartesian_prod(places.flip(0), places)[:, [1, 0]]  # up goes up
    return grid(vae_bounds.decoded(model, plane), columns=MAP_SIDE)
