"""Images beside what a variational autoencoder makes of them, each with its bound in parts."""

from pathlib import Path

import torch
from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.console.show import table
from diffcli.core.processes.laws.pixels import bits
from diffcli.core.randomness import keyed
from diffcli.data.dataset import to_unit
from diffcli.data.images import read_image
from diffcli.evaluation import vae_bounds
from diffcli.evaluation.subject import held_out
from diffcli.lessons.autoencoders.vae_pictures import strips_figure
from diffcli.pictures.figures import write_figure
from diffcli.runs.loading import Trained
from diffcli.system.shell import argument


def images_to_reconstruct(
    trained: Trained, files: list[Path] | None, count: int, seed: int, data: Path | None
) -> Tensor:
    """Image files, or without any `count` test images, as the model sees pixels, [N, C, H, W]."""
    latents = trained.recipe.family == "codec"
    if not files and latents:
        test, places = held_out(trained, data)
        return test.take(places[:count])[0]
    if not files:
        return vae_bounds.test_images(trained, count, data)[1]
    channels, height, width = trained.items.shape
    x = torch.stack([to_unit(read_image(path, (channels, height, width), trained.items.spans)) for path in files])
    return x if latents or trained.recipe.pixels.name not in vae_bounds.BITS else bits(x, keyed(seed, "file bits"))


@torch.no_grad()
def study_reconstructions(trained: Trained, x: Tensor, seed: int, made: Lesson) -> None:
    """Reconstruct images [N, C, H, W], and take the bound of each apart."""
    model = vae_bounds.in_full_precision(trained)
    terms = vae_bounds.bound(model, x, seed)
    means = model.pixels.mean(model.decode(vae_bounds.encoded(model, x).mean))
    heads = [f"{value:.0f}" for value in terms.elbo.tolist()]
    strips = {"image": x, "reconstruction": means}
    figure = strips_figure(strips, "Images and reconstructions; above, the ELBO", heads)
    write_figure(figure, made.figure("reconstructions.png"))
    values = {"elbo": terms.elbo, "reconstruction": terms.reconstruction, "kl": terms.kl.sum(1)}
    rows = [{name: value[i].item() for name, value in values.items()} for i in range(len(x))]
    made.document = {"run": trained.target, "images": rows}
    cells = [[str(i + 1), *(f"{row[key]:.2f}" for key in values)] for i, row in enumerate(rows)]
    made.lines = table(["image", "ELBO", "reconstruction", "KL"], cells, right=range(4))
    worst = min(range(len(rows)), key=lambda i: rows[i]["elbo"])
    made.seen = f"Nats per image: image {worst + 1} is the least likely of these, {rows[worst]['elbo']:.1f}."
    made.leads = "KL is what the code costs, reconstruction what it leaves open; a diffusion model pays in small coins."
    made.next = f"diffcli vae sample {argument(trained.target)}"
