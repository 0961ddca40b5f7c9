"""diffcli vae reconstruct"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from diffcli.console import options

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.runs.loading import Trained


def reconstruct(
    run: options.Run = None,
    image: Annotated[
        Optional[list[Path]], typer.Option("--image", metavar="FILE", help="An image file; repeatable.  [test images]")
    ] = None,
    count: Annotated[int, typer.Option("--count", help="Test images.", min=1, max=20)] = 10,
    seed: options.Seed = 0,
    data: options.Data = None,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Images above what the autoencoder makes of them, each with its bound in parts."""
    import torch

    from diffcli.commands.opening import opened
    from diffcli.console.results import lesson
    from diffcli.console.show import Show, table
    from diffcli.evaluation import vae_bounds
    from diffcli.pictures.latents import strips_figure

    show = Show(as_json=as_json, quiet=quiet)
    trained = opened(run, "vae", show)
    x = _files(image, trained, seed) if image else vae_bounds.images(trained, count, data)[1]
    model = vae_bounds.exact(trained)
    with lesson("vae-reconstruct", out, show) as made, torch.no_grad():
        terms = vae_bounds.bound(model, x, seed)
        means = model.pixels.mean(model.decode(vae_bounds.encoded(model, x).mean))
        heads = [f"{value:.0f}" for value in terms.elbo.tolist()]
        strips = {"image": x, "reconstruction": means}
        strips_figure(made.figure("reconstructions.png"), strips, "Images and reconstructions; above, the ELBO", heads)
        rows = [
            {"elbo": elbo, "reconstruction": r, "kl": kl}
            for elbo, r, kl in zip(
                terms.elbo.tolist(), terms.reconstruction.tolist(), terms.kl.sum(1).tolist(), strict=True
            )
        ]
        made.document = {"run": str(trained.path.parent), "images": rows}
        cells = [
            [str(i + 1), *(f"{row[key]:.2f}" for key in ("elbo", "reconstruction", "kl"))] for i, row in enumerate(rows)
        ]
        made.lines = table(["image", "ELBO", "reconstruction", "KL"], cells, right=range(4))
        worst = min(range(len(rows)), key=lambda i: rows[i]["elbo"])
        made.seen = f"Nats per image: image {worst + 1} is the least likely of these, {rows[worst]['elbo']:.1f}."
        made.leads = (
            "KL is what the code costs, reconstruction what it leaves open; a diffusion model pays in small coins."
        )
        made.next = f"diffcli vae sample {trained.path.parent}"


def _files(paths: list[Path], trained: "Trained", seed: int) -> "Tensor":
    """Image files as the model sees pixels, [N, C, H, W]."""
    import torch

    from diffcli.core.processes.laws.pixels import bits
    from diffcli.core.randomness import keyed
    from diffcli.data.dataset import to_unit
    from diffcli.data.images import read_image

    channels, height, width = trained.shape
    x = torch.stack([to_unit(read_image(path, (channels, height, width))) for path in paths])
    return bits(x, keyed(seed, "file bits")) if trained.recipe.pixels in ("static", "dynamic") else x
