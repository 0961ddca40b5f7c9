"""diffcli visualize reverse"""

from typing import Annotated, Optional

import typer

from diffcli.console import options


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
    impl: options.Impl = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """The reverse process, step by step. Where the walk stands (x_t) and what it believes (the clean estimate)."""
    from diffcli import plugins
    from diffcli.console.show import Show
    from diffcli.lessons.diffusion.reverse import reverse_process, write_pictures
    from diffcli.sampling.options import SamplingOptions
    from diffcli.system.files import fresh_place
    from diffcli.system.shell import argument

    plugins.load(impl or ())
    show = Show(as_json=as_json, quiet=quiet)
    wanted = SamplingOptions(
        sampler=sampler, steps=steps, grid=grid, schedule=schedule, label=label, guidance=guidance, count=count,
        seed=seed, device=device,
    )  # fmt: skip
    process = reverse_process(run, wanted, columns)
    model, steps = process.prepared.model, process.prepared.job.steps
    for note in model.notes:
        show.note(f"note: {note}")
    with fresh_place(out, "reverse", "reverse.png", "reverse.gif") as (figure, gif, _):
        write_pictures(process, figure, gif)
    document = {"figure": str(figure), "animation": str(gif), "sampler": sampler, "steps": steps}
    show.result(document, [str(figure), str(gif), f"next: diffcli sample {argument(model.target)} --ddim --animate"])
