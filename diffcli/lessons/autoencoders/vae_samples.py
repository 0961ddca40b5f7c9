"""Images from the prior of a variational autoencoder, and what each unit of z changes in one of them."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.core.models.vae import VAE
from diffcli.core.randomness import image_noise, keyed
from diffcli.evaluation import vae_bounds
from diffcli.lessons.autoencoders.vae_pictures import strips_figure
from diffcli.pictures.figures import write_figure
from diffcli.pictures.grid import grid, save_png
from diffcli.runs.loading import Trained
from diffcli.system.shell import argument

PLACES = 9  # of a unit that is moved
REACH = 2.5  # of a unit that is moved, in standard deviations of the prior
JUDGES = 1000  # test images that tell how active a unit is


@torch.no_grad()
def study_samples(trained: Trained, count: int, traversed: int, seed: int, data: Path | None, made: Lesson) -> None:
    """Draw `count` images, and move the most active units of the first, `traversed` of them, one at a time."""
    model: VAE = trained.model
    z = image_noise(seed, "start", range(count), (model.latent,))
    parameters = torch.cat([model.decode(part) for part in z.split(vae_bounds.AT_ONCE)])
    save_png(made.figure("means.png"), grid(model.pixels.mean(parameters)))
    save_png(made.figure("drawn.png"), grid(model.pixels.draw(parameters, keyed(seed, "pixels"))))
    made.document = {"run": trained.target, "count": count, "latent": model.latent, "seed": seed}
    if traversed:
        made.document["traversed"] = _traverse(trained, z[:1], traversed, seed, data, made)
    made.lines = [f"{count} images from z ~ N(0, 1) in {model.latent} dimensions, in one step each"]
    made.seen = "means.png shows the decoder's means, which are soft; drawn.png its pixels, each drawn by itself."
    made.leads = "A diffusion model is a VAE with a thousand layers whose encoder is fixed: the forward process."
    made.next = f"diffcli vae interpolate {argument(trained.target)}"


def _traverse(
    trained: Trained, z: Tensor, count: int, seed: int, data: Path | None, made: Lesson
) -> list[dict[str, Any]]:
    """Strips of images from z [1, D] with one unit moved, for the units of the largest KL; these, with their KL."""
    model: VAE = trained.model
    _, x, _ = vae_bounds.test_images(trained, JUDGES, data)
    kl = vae_bounds.bound(model, x, seed).kl.mean(0)
    units = kl.argsort(descending=True)[:count].tolist()
    places = torch.linspace(-REACH, REACH, PLACES)
    strips = {}
    for unit in units:
        moved = z.repeat(PLACES, 1)
        moved[:, unit] = places
        strips[f"unit {unit}\n{kl[unit]:.2f} nats"] = model.pixels.mean(model.decode(moved))
    heads = [f"{place:.2g}" for place in places.tolist()]
    write_figure(strips_figure(strips, "One unit moved, the others kept", heads), made.figure("traversals.png"))
    return [{"unit": unit, "kl": kl[unit].item()} for unit in units]
