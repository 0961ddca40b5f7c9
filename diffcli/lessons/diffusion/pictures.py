"""A picture of how losses weigh the levels."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from diffcli.pictures.figures import write_figure

STYLES = ("-", "--", "-.")


def weights_figure(path: Path, log_snr: Tensor, curves: Mapping[str, Tensor], density: Tensor, schedule: str) -> None:
    """Left the weights themselves; right what is minimised, weight times density of the levels drawn, 1 at log-SNR 0.

    curves:   weighting -> weight of the squared error of eps at each log-SNR, [N]
    density:  of the levels that training draws, [N]
    """
    figure = Figure(figsize=(11.5, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, (name, curve) in enumerate(curves.items()):
        style = {"color": f"C{i}", "linestyle": STYLES[i % len(STYLES)], "linewidth": 3.4 if name == "vlb" else 1.7}
        left.plot(log_snr, curve.clamp(min=1e-12), label=name, **style)
        product = curve * density
        right.plot(log_snr, product / product[int(log_snr.abs().argmin())], label=name, **style)
    left.set_yscale("log")
    left.set_ylim(1e-5, 1e5)
    left.set_title("weight of the squared error of ε in the loss of one draw", fontsize=10)
    right.set_title(
        f"times the density of the levels that {schedule} draws,\n1 at log SNR 0: what training minimises", fontsize=10
    )
    right.set_yscale("log")
    right.set_ylim(1e-4, 1e4)
    for ax in (left, right):
        ax.set_xlabel("log SNR = log α²/σ²  (left noise, right data)")
        ax.grid(alpha=0.25)
    left.legend(frameon=False, fontsize=8, ncols=2)
    write_figure(figure, path)
