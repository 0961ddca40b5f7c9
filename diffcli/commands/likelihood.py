"""diffcli likelihood: parse, follow the probability flow, say what the items cost."""

from typing import Annotated, Optional

import typer

from diffcli.console import options


def likelihood(
    context: typer.Context,
    target: options.Target = None,
    count: Annotated[
        Optional[int],
        typer.Option("--count", help="Test images, or draws of a law.  [64 images, 1000 points]", min=1, max=10_000),
    ] = None,
    dequantise: Annotated[
        Optional[str],
        typer.Option(help="How 8-bit values become real: variational or uniform.  [variational; points: none]"),
    ] = None,
    trace: Annotated[
        Optional[str],
        typer.Option(help="Of the divergence: exact, rademacher or gaussian.  [exact up to 16 numbers, rademacher]"),
    ] = None,
    probes: Annotated[int, typer.Option(help="Random directions per item of an estimated trace.", min=1, max=1000)] = 1,
    rtol: Annotated[
        Optional[float], typer.Option(help="Relative tolerance of the solver.  [1e-4; points: 1e-6]")
    ] = None,
    atol: Annotated[Optional[float], typer.Option(help="Absolute tolerance.  [the same]")] = None,
    schedule: options.Schedule = None,
    conditional: Annotated[bool, typer.Option("--conditional", help="Tell the model the class of each image.")] = False,
    weights: options.Weights = "ema",
    precision: Annotated[str, typer.Option(help="fp32, bf16, or auto: by its recipe.")] = "fp32",
    batch: Annotated[Optional[int], typer.Option(help="Items at once.  [up to 64 images, 10000 points]", min=1)] = None,
    seed: options.Seed = 0,
    impl: options.Impl = None,
    data: options.Data = None,
    device: options.Device = "auto",
    devices: options.Devices = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """log p(x) by the probability flow. In nats and in bits per dimension."""
    from diffcli.commands.crewing import crew_of
    from diffcli.console.show import Show

    show = Show(as_json=as_json, quiet=quiet)
    crew = crew_of(context, devices, device, show)  # others start before this imports
    from diffcli import plugins
    from diffcli.console.results import lesson
    from diffcli.evaluation import likelihood_study as study

    plugins.load(impl or ())
    wanted = study.LikelihoodOptions(
        count=count, dequantise=dequantise, trace=trace, probes=probes, rtol=rtol, atol=atol, schedule=schedule,
        conditional=conditional, weights=weights, precision=precision, batch=batch, seed=seed, data=data, device=device,
    )  # fmt: skip
    prepared = study.prepared(target, wanted)
    subject, flow, model = prepared.subject, prepared.flow, prepared.subject.model
    for note in model.notes:
        show.note(f"note: {note}")
    show.note(
        f"{model.name}: {subject.source}, {model.schedule_name} schedule, {flow.trace} trace, "
        f"dequantisation {flow.dequantisation}"
    )
    with lesson("likelihood", out, show) as made:
        study.run(prepared, made, show, crew)
