"""diffcli visualize reverse"""

from typing import Annotated, Optional

import typer

from diffcli import options

FRAMES = 40  # of the animation


def reverse(
    run: options.Target = None,
    sampler: Annotated[str, typer.Option(help="ddim, ddpm, heun, ...: those of `sample`.")] = "ddim",
    steps: Annotated[Optional[int], typer.Option(help="Steps of the walk.  [the sampler's]", min=1)] = None,
    grid: options.Grid = None,
    schedule: options.Schedule = None,
    label: options.Label = None,
    guidance: options.Guidance = None,
    count: Annotated[int, typer.Option("--count", help="Number of images.", min=1, max=10)] = 3,
    columns: options.Columns = 9,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """The reverse process: where the walk stands (x_t) and what it believes (the clean estimate), step by step."""
    import torch

    from diffcli.files import fresh_place
    from diffcli.pictures.figures import reverse_figure
    from diffcli.pictures.grid import grid as mosaic
    from diffcli.pictures.grid import save_gif
    from diffcli.sampling import Wish, prepare, spread
    from diffcli.show import Show

    show = Show(as_json=as_json, quiet=quiet)
    wish = Wish(
        sampler=sampler, steps=steps, grid=grid, schedule=schedule, label=label, guidance=guidance, count=count,
        seed=seed, device=device,
    )  # fmt: skip
    job, model = prepare(run, wish)
    steps = len(job.levels) - 1
    for note in model.notes:
        show.note(f"note: {note}")
    with fresh_place(out, "reverse", "reverse.png", "reverse.gif") as (figure, gif, _):
        walk = list(job.walk(range(count)))
        columns_at = spread(steps, columns)
        title = f"{sampler} in {steps} steps: above x_t, below the clean estimate made one step before"
        reverse_figure(figure, [(job.levels[i + 1], walk[i]) for i in columns_at], title)
        moving = [torch.stack([walk[i].x, walk[i].x0], 1).flatten(0, 1) for i in spread(steps, FRAMES)]
        save_gif(gif, [mosaic(pairs, columns=2, width=300) for pairs in moving])
    document = {"figure": str(figure), "animation": str(gif), "sampler": sampler, "steps": steps}
    show.result(document, [str(figure), str(gif), f"next: diffcli sample {model.target} --ddim --animate"])
