"""diffcli vlb: parse, evaluate the model at every level, say what the steps cost."""

from typing import Annotated, Optional

import typer

from diffcli.console import options


def vlb(
    context: typer.Context,
    target: options.Target = None,
    count: Annotated[
        Optional[int],
        typer.Option("--count", help="Test images, or draws of a law.  [100 images, 2000 points]", min=1, max=10_000),
    ] = None,
    steps: Annotated[Optional[int], typer.Option(help="T, of the walk.  [1000, or the schedule's]", min=1)] = None,
    grid: Annotated[
        Optional[str],
        typer.Option(help="trailing, leading, linspace, quadratic, karras, log-snr, or FILE.json.  [trailing]"),
    ] = None,
    schedule: options.Schedule = None,
    variance: Annotated[
        Optional[str],
        typer.Option(help="Reverse variance: small, large, learned or optimal.  [learned if it is, else optimal]"),
    ] = None,
    decoder: Annotated[
        str,
        typer.Option(help="p(x0 | x_1): gaussian, of the reverse variance, or bayes, by the histogram of the data."),
    ] = "gaussian",
    samples: Annotated[int, typer.Option(help="Noises per image, the same at all steps.", min=1, max=1000)] = 1,
    every: Annotated[
        int, typer.Option(help="Each image pays every so-many-th step only, in turn; N times faster.", min=1)
    ] = 1,
    best_steps: Annotated[
        Optional[int], typer.Option(metavar="K", help="Also find the best walk of K of these steps.", min=1)
    ] = None,
    conditional: Annotated[bool, typer.Option("--conditional", help="Tell the model the class of each image.")] = False,
    weights: options.Weights = "ema",
    precision: Annotated[str, typer.Option(help="fp32, bf16, or auto: by its recipe.")] = "auto",
    batch: Annotated[int, typer.Option(help="Evaluations at once.", min=1, max=100_000)] = 250,
    seed: options.Seed = 0,
    impl: options.Impl = None,
    data: options.Data = None,
    device: options.Device = "auto",
    devices: options.Devices = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """The variational bound: what every step costs. In nats and in bits per dimension."""
    from diffcli.commands.crewing import crew_of
    from diffcli.console.show import Show

    show = Show(as_json=as_json, quiet=quiet)
    crew = crew_of(context, devices, device, show)  # others start before this imports
    from diffcli import plugins
    from diffcli.console.results import lesson
    from diffcli.evaluation.bound import report, study

    plugins.load(impl or ())
    wanted = study.BoundOptions(
        count=count, steps=steps, grid="trailing" if grid is None else grid, schedule=schedule, variance=variance,
        decoder=decoder, samples=samples, every=every, best_steps=best_steps, conditional=conditional, weights=weights,
        precision=precision, batch=batch, seed=seed, data=data, device=device,
    )  # fmt: skip
    prepared = study.prepared(target, wanted)
    subject, model = prepared.subject, prepared.subject.model
    for note in model.notes:
        show.note(f"note: {note}")
    walk = f"{len(prepared.times)} steps on the {model.schedule_name} schedule, {prepared.grid} grid"
    show.note(f"{model.name}: {subject.source}, {walk}")
    with lesson("vlb", out, show) as made:
        for line in study.estimates(prepared):
            show.note(line)
        report.fill(made, prepared, study.run(prepared, show, crew))
