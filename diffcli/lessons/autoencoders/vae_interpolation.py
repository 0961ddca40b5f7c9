"""From one image to another through the latent space, on the straight line and on the great circle."""

from pathlib import Path

import torch
from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.core.diffusion.editing import slerp
from diffcli.core.models.vae import VAE
from diffcli.errors import UsageProblem
from diffcli.evaluation import vae_bounds
from diffcli.lessons.autoencoders.vae_pictures import strips_figure
from diffcli.pictures.figures import write_figure
from diffcli.pictures.grid import grid, save_gif
from diffcli.runs.loading import Trained

FRAMES = 30  # of the animation


def ends(trained: Trained, first: int, second: int, data: Path | None) -> Tensor:
    """Two test images by number, [2, C, H, W]; raises UsageProblem where there are not so many."""
    _, x, _ = vae_bounds.test_images(trained, max(first, second) + 1, data)
    if max(first, second) >= len(x):
        raise UsageProblem(f"there are {len(x)} test images, counted from 0", "choose --from and --to among them")
    return x[[first, second]]


def between(a: Tensor, b: Tensor, share: float) -> dict[str, Tensor]:
    """The code at this share of the way from code a [D] to code b, by each way."""
    return {"line": torch.lerp(a, b, share), "great circle": slerp(a, b, share)}


@torch.no_grad()
def study_interpolation(trained: Trained, x: Tensor, numbers: tuple[int, int], count: int, made: Lesson) -> None:
    """`count` images from the first to the second of x [2, C, H, W], by each way; and how long the codes are there.

    numbers:  what the two images are called
    """
    model: VAE = trained.model
    a, b = model.encode(x).mean
    shares = [i / (count - 1) for i in range(count)]
    places = [between(a, b, share) for share in shares]
    pixels = torch.stack([torch.lerp(x[0], x[1], share) for share in shares])
    codes = {way: torch.stack([place[way] for place in places]) for way in places[0]}
    strips = {way: model.pixels.mean(model.decode(z)) for way, z in codes.items()}
    first, second = numbers
    title, heads = f"From test image {first} to {second}", [f"{share:.2f}" for share in shares]
    write_figure(strips_figure({"pixels alone": pixels, **strips}, title, heads), made.figure("interpolation.png"))
    film = [model.decode(between(a, b, i / (FRAMES - 1))["line"].unsqueeze(0)) for i in range(FRAMES)]
    frames = [grid(model.pixels.mean(parameters), columns=1, width=300) for parameters in film]
    save_gif(made.figure("interpolation.gif"), frames)
    lengths = {way: [z.norm().item() for z in along] for way, along in codes.items()}
    made.document = {
        "run": trained.target, "from": first, "to": second, "shares": shares, "lengths": lengths,
    }  # fmt: skip
    middle = len(shares) // 2
    made.lines = [
        f"|z| at the ends {a.norm():.2f} and {b.norm():.2f}, halfway {lengths['line'][middle]:.2f} on the line, "
        f"{lengths['great circle'][middle]:.2f} on the great circle"
    ]
    made.seen = "Between two codes lie images; between two images' pixels only their double exposure."
    made.leads = "Diffusion interpolates too, between noises rather than codes: diffcli sample --ddim --interpolate."
    made.next = "diffcli dae train"
