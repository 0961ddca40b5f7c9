"""diffcli compare: parse, draw every setting from the same noise, say which to use."""

from typing import Annotated, Optional

import typer

from diffcli.commands.together import refuse_idle
from diffcli.console import options

SAMPLERS = "ddim,dpmpp-2m,unipc,ipndm"
STEPS = "5,10,20"


def compare(
    context: typer.Context,
    runs: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="[RUN...]", help="Runs, checkpoints or exact models; default the newest run."),
    ] = None,
    samplers: Annotated[
        Optional[str],
        typer.Option(
            metavar="NAME[,NAME...]", help=f"As for `diffcli sample`; ddpm,steps=1000 has its own steps.  [{SAMPLERS}]"
        ),
    ] = None,
    steps: Annotated[Optional[str], typer.Option(metavar="N[,N...]", help=f"Of their walks.  [{STEPS}]")] = None,
    grid: Annotated[
        Optional[list[str]],
        typer.Option("--grid", metavar="NAME", help="As for `diffcli sample`, or FILE.json; repeatable.  [the usual]"),
    ] = None,
    eta: Annotated[Optional[str], typer.Option(metavar="X[,X...]", help="Fresh noise of ddim and dpmpp-2m.")] = None,
    guidance: Annotated[
        Optional[str], typer.Option(metavar="X[,X...]", help="Of classes; 1 is none.  [the recipe's]")
    ] = None,
    start: Annotated[
        Optional[str], typer.Option(metavar="NAME[,NAME]", help="none or linear, or both, as for `diffcli sample`.")
    ] = None,
    table: Annotated[
        Optional[str], typer.Option("--table", metavar="NAME", help="A paper's table in shape instead: ddim.")
    ] = None,
    against: Annotated[
        Optional[str],
        typer.Option(metavar="DATASET[:SPLIT]", help="Real images to compare with.  [what the runs were trained on]"),
    ] = None,
    features: Annotated[str, typer.Option(metavar="NAME", help="judge, pixels, FILE.safetensors, ...")] = "judge",
    count: Annotated[Optional[int], typer.Option(help="Samples of each setting.  [500]", min=10, max=100_000)] = None,
    truth: Annotated[
        int, typer.Option(help="Images held against those of 256 steps of heun; 0 for none.", min=0, max=64)
    ] = 32,
    label: options.Label = None,
    weights: options.Weights = "ema",
    seed: options.Seed = 0,
    impl: options.Impl = None,
    data: options.Data = None,
    device: options.Device = "auto",
    devices: options.Devices = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Samplers, grids and steps side by side, from the same noise. And the cheapest that is as good as the best."""
    from diffcli.commands.crewing import crew_of
    from diffcli.console.show import Show

    show = Show(as_json=as_json, quiet=quiet)
    crew = crew_of(context, devices, device, show)  # others start before this imports
    from diffcli import plugins
    from diffcli.console.results import lesson
    from diffcli.evaluation.comparison import ddim_table, report, study
    from diffcli.evaluation.comparison.settings import Asked, settings, specs_of
    from diffcli.sampling.options import SamplingOptions
    from diffcli.specs import numbers

    plugins.load(impl or ())
    base = SamplingOptions(count=count, seed=seed, label=label, weights=weights, data=data, device=device)
    if table:
        refuse_idle(context, ("truth",), "with --table, which sends images to noise and back instead")
        given = {"samplers": samplers, "grid": grid, "eta": eta, "guidance": guidance, "start": start}
        asked = ddim_table.asked(table, runs or [], steps, given, base, against, features)
        for note in asked.comparison.notes:
            show.note(f"note: {note}")
        with lesson("compare", out, show) as made:
            ddim_table.fill(made, asked, ddim_table.run(asked, show, crew))
        return
    lists = Asked(
        specs_of(samplers or SAMPLERS), numbers(steps or STEPS, "--steps", int, 1), grid or [None],
        numbers(eta, "--eta", float, 0) if eta else [None],
        numbers(guidance, "--guidance", float, 0) if guidance else [None],
        [None if name == "none" else name for name in specs_of(start)] if start else [None],
        steps_told=steps is not None,
    )  # fmt: skip
    wanted = study.ComparisonOptions(settings(runs or [None], lists), against, features, truth, base)
    prepared = study.prepared(wanted)
    if not prepared.has_truth:
        refuse_idle(
            context, ("truth",), "where every walk draws noise of its own", "leave it out, or add a sampler without"
        )
    for note in prepared.notes:
        show.note(f"note: {note}")
    with lesson("compare", out, show) as made:
        found = study.run(prepared, show, crew)
        report.fill(made, prepared, found)
        for note in report.remember(prepared, found):
            show.note(note)
