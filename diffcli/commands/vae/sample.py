"""diffcli vae sample"""

from typing import Annotated

import typer

from diffcli.console import options

WIDTHS = 9  # places of a traversal
REACH = 2.5  # standard deviations of the prior


def sample(
    run: options.Run = None,
    count: Annotated[int, typer.Option("--count", help="Number of images.", min=1, max=10_000)] = 40,
    traverse: Annotated[
        int, typer.Option("--traverse", help="Units to walk along, the most active first.", min=0, max=20)
    ] = 8,
    seed: options.Seed = 0,
    data: options.Data = None,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Images from the prior, as means and as drawn pixels; and what each latent unit changes."""
    import torch

    from diffcli.commands.opening import opened
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.core.randomness import image_noise, keyed
    from diffcli.evaluation import vae_bounds
    from diffcli.pictures.grid import grid, save_png
    from diffcli.pictures.latents import strips_figure

    show = Show(as_json=as_json, quiet=quiet)
    trained = opened(run, "vae", show)
    model = trained.model
    with lesson("vae-sample", out, show) as made, torch.no_grad():
        z = image_noise(seed, "start", range(count), (model.latent,))
        parameters = torch.cat([model.decode(part) for part in z.split(vae_bounds.AT_ONCE)])
        means = model.pixels.mean(parameters)
        save_png(made.figure("means.png"), grid(means))
        save_png(made.figure("drawn.png"), grid(model.pixels.draw(parameters, keyed(seed, "pixels"))))
        made.document = {"run": str(trained.path.parent), "count": count, "latent": model.latent, "seed": seed}
        if traverse:
            _, x, _ = vae_bounds.images(trained, 1000, data)
            kl = vae_bounds.bound(model, x, seed).kl.mean(0)
            units = kl.argsort(descending=True)[:traverse].tolist()
            walk = torch.linspace(-REACH, REACH, WIDTHS)
            strips = {}
            for unit in units:
                places = z[:1].repeat(WIDTHS, 1)
                places[:, unit] = walk
                strips[f"unit {unit}\n{kl[unit]:.2f} nats"] = model.pixels.mean(model.decode(places))
            strips_figure(
                made.figure("traversals.png"),
                strips,
                "One unit moved, the others kept",
                [f"{v:.2g}" for v in walk.tolist()],
            )
            made.document["traversed"] = [{"unit": unit, "kl": kl[unit].item()} for unit in units]
        made.lines = [f"{count} images from z ~ N(0, 1) in {model.latent} dimensions, in one step each"]
        made.seen = "means.png shows the decoder's means, which are soft; drawn.png its pixels, each drawn by itself."
        made.leads = "A diffusion model is a VAE with a thousand layers whose encoder is fixed: the forward process."
        made.next = f"diffcli vae interpolate {trained.path.parent}"
