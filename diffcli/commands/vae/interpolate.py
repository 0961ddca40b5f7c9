"""diffcli vae interpolate"""

from typing import Annotated

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem

FRAMES = 30


def interpolate(
    run: options.Run = None,
    first: Annotated[int, typer.Option("--from", help="Number of a test image, from 0.", min=0)] = 0,
    second: Annotated[int, typer.Option("--to", help="Number of another.", min=0)] = 1,
    count: Annotated[int, typer.Option("--count", help="Images on the way, both ends among them.", min=2, max=20)] = 10,
    seed: options.Seed = 0,
    data: options.Data = None,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """From one test image to another through the latent space: on the straight line and on the great circle."""
    import torch

    from diffcli.commands.opening import opened
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.core.diffusion.editing import slerp
    from diffcli.evaluation import vae_bounds
    from diffcli.pictures.grid import grid, save_gif
    from diffcli.pictures.latents import strips_figure

    show = Show(as_json=as_json, quiet=quiet)
    trained = opened(run, "vae", show)
    _, x, _ = vae_bounds.images(trained, max(first, second) + 1, data)
    if max(first, second) >= len(x):
        raise UsageProblem(f"there are {len(x)} test images, counted from 0", "choose --from and --to among them")
    model = trained.model
    with lesson("vae-interpolate", out, show) as made, torch.no_grad():
        a, b = model.encode(x[[first, second]]).mean

        def along(share: float) -> dict[str, torch.Tensor]:
            return {"line": torch.lerp(a, b, share), "great circle": slerp(a, b, share)}

        shares = [i / (count - 1) for i in range(count)]
        places = [along(share) for share in shares]
        strips = {
            name: model.pixels.mean(model.decode(torch.stack([place[name] for place in places]))) for name in places[0]
        }
        pixels_only = torch.stack([torch.lerp(x[first], x[second], share) for share in shares])
        strips_figure(
            made.figure("interpolation.png"),
            {"pixels alone": pixels_only, **strips},
            f"From test image {first} to {second}",
            [f"{share:.2f}" for share in shares],
        )
        frames = [model.decode(along(i / (FRAMES - 1))["line"].unsqueeze(0)) for i in range(FRAMES)]
        save_gif(made.figure("interpolation.gif"), [grid(model.pixels.mean(f), columns=1, width=300) for f in frames])
        lengths = {name: [place[name].norm().item() for place in places] for name in places[0]}
        made.document = {
            "run": str(trained.path.parent), "from": first, "to": second, "shares": shares, "lengths": lengths,
        }  # fmt: skip
        middle = len(shares) // 2
        made.lines = [
            f"|z| at the ends {a.norm():.2f} and {b.norm():.2f}, halfway {lengths['line'][middle]:.2f} on the line, "
            f"{lengths['great circle'][middle]:.2f} on the great circle"
        ]
        made.seen = "Between two codes lie images; between two images' pixels only their double exposure."
        made.leads = (
            "Diffusion interpolates too, between noises rather than codes: diffcli sample --ddim --interpolate."
        )
        made.next = "diffcli dae train"
