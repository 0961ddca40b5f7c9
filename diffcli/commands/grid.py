"""diffcli grid: parse, follow a fine teacher, say where walks of few steps should stop."""

from typing import Annotated, Optional

import typer

from diffcli.console import options


def grid(
    target: options.Target = None,
    steps: Annotated[str, typer.Option("--steps", metavar="K[,K...]", help="Numbers of steps.")] = "4,5,6,8,10",
    cost: Annotated[
        str,
        typer.Option(
            help="What a walk pays: jump (a step of DDIM beside a fine path), features (the same in those of a judge),"
            " rollout (the end of the student's own walk) or bound."
        ),
    ] = "jump",
    count: Annotated[
        Optional[int],
        typer.Option(
            "--count",
            help="Walks of the teacher, or test images.  [64; features: 32, rollout: 16; points: 1024]",
            min=1,
            max=10_000,
        ),
    ] = None,
    teacher: Annotated[
        Optional[int],
        typer.Option("--teacher", metavar="N", help="Levels to choose from.  [61; bound: 1000]", min=2),
    ] = None,
    label: Annotated[
        Optional[str], typer.Option("--class", help="A class by number or name, or all in turn.  [all]")
    ] = None,
    guidance: options.Guidance = None,
    discount: Annotated[
        Optional[float], typer.Option(help="Of jump: step k counts this to the power of k times.  [1.15]")
    ] = None,
    features: Annotated[
        Optional[str], typer.Option(help="Of features: judge, pixels, or another encoder of evaluate.  [judge]")
    ] = None,
    schedule: options.Schedule = None,
    weights: options.Weights = "ema",
    seed: options.Seed = 0,
    impl: options.Impl = None,
    data: options.Data = None,
    device: options.Device = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """The best walk of few steps for this model. By dynamic programming over what steps cost; written as grid files."""
    from diffcli import plugins
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.evaluation.grids import report, study
    from diffcli.specs import numbers

    show = Show(as_json=as_json, quiet=quiet)
    plugins.load(impl or ())
    lengths = tuple(sorted(set(numbers(steps, "--steps", int, 1))))
    wanted = study.GridOptions(
        lengths, cost=cost, count=count, teacher=teacher, label=label, guidance=guidance, discount=discount,
        features=features, schedule=schedule, weights=weights, seed=seed, data=data, device=device,
    )  # fmt: skip
    prepared = study.prepared(target, wanted, show)
    for note in prepared.model.notes:
        show.note(f"note: {note}")
    with lesson("grid", out, show) as made:
        for line in prepared.estimate():
            show.note(line)
        report.fill(made, prepared, prepared.find(show))
