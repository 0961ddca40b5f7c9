"""diffcli visualize reverse"""

from typing import Annotated, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem

FRAMES = 40  # of the animation


def reverse(
    run: options.Target = None,
    sampler: Annotated[str, typer.Option(help="ddim, ddpm, heun, ...: those of `sample`.")] = "ddim",
    steps: Annotated[Optional[int], typer.Option(help="Steps of the walk.  [the sampler's]", min=1)] = None,
    grid: options.Grid = None,
    schedule: options.Schedule = None,
    label: options.Label = None,
    guidance: options.Guidance = None,
    count: Annotated[
        Optional[int], typer.Option("--count", help="How many.  [3 images, 2000 points]", min=1, max=20_000)
    ] = None,
    columns: Annotated[
        Optional[int], typer.Option("--columns", help="Levels to show.  [9 of images, 6 of points]", min=2, max=20)
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """The reverse process: where the walk stands (x_t) and what it believes (the clean estimate), step by step."""
    import torch

    from diffcli.console.show import Show
    from diffcli.core.diffusion.job import even_in_angle, spread
    from diffcli.core.diffusion.samplers import Step
    from diffcli.pictures.figures import reverse_figure
    from diffcli.pictures.grid import grid as mosaic
    from diffcli.pictures.grid import save_gif, save_png
    from diffcli.pictures.points import extent, moving, row
    from diffcli.sampling.planes import PlanarData
    from diffcli.sampling.prepare import SamplingOptions, prepare
    from diffcli.system.files import fresh_place

    show = Show(as_json=as_json, quiet=quiet)
    wish = SamplingOptions(
        sampler=sampler, steps=steps, grid=grid, schedule=schedule, label=label, guidance=guidance, count=count,
        seed=seed, device=device,
    )  # fmt: skip
    job, model = prepare(run, wish)
    steps = len(job.levels) - 1
    for note in model.notes:
        show.note(f"note: {note}")
    plane = PlanarData.of_model(model)
    if plane is None and len(job.shape) != 3:
        raise UsageProblem(f"points with {job.shape[0]} coordinates cannot be drawn in the plane", "use 2, or sample")
    if plane is None and count and count > 10:
        raise UsageProblem(f"--count must be at most 10 for images, not {count}")
    with fresh_place(out, "reverse", "reverse.png", "reverse.gif") as (figure, gif, _):
        walk = list(job.walk(range(count or (2000 if plane else 3))))
        lengths = [torch.hypot(*level) for level in job.levels[1:]]  # shown at unit length, as the network sees them
        seen = [(level, Step(x / n, x0)) for level, n, (x, x0) in zip(job.levels[1:], lengths, walk, strict=True)]
        columns_at = even_in_angle(job.levels[1:], columns or (6 if plane else 9))
        frames = spread(steps, FRAMES)
        title = f"{sampler} in {steps} steps"
        if plane:
            points = [(level, step.x) for level, step in zip(job.levels[1:], walk, strict=True)]
            strip = plane.panels([points[i] for i in columns_at])
            save_png(figure, row(strip, title=f"{title}: particles over the density at each level", side=2.4))
            save_gif(gif, list(moving(plane.panels([points[i] for i in frames]), limit=extent(strip))))
        else:
            title = f"{title}: above x_t, below the clean estimate made one step before"
            reverse_figure(figure, [seen[i] for i in columns_at], title)
            pairs = [torch.stack(list(seen[i][1]), 1).flatten(0, 1) for i in frames]
            save_gif(gif, [mosaic(pair, columns=2, width=300) for pair in pairs])
    document = {"figure": str(figure), "animation": str(gif), "sampler": sampler, "steps": steps}
    show.result(document, [str(figure), str(gif), f"next: diffcli sample {model.target} --ddim --animate"])
