"""diffcli evaluate: parse, draw if need be, judge, say it."""

from typing import Annotated, Optional

import typer

from diffcli.commands.together import refuse_idle
from diffcli.console import options

OF_MODELS = ("sampler", "steps", "grid", "schedule", "label", "guidance", "weights", "lora", "batch", "seed")
JUDGED = Annotated[
    Optional[str],
    typer.Argument(
        metavar="[RUN|FOLDER|FILE.npy|FILE.npz|exact:...]",
        help="What to judge: a run, a folder of images, an array, an exact model; default the newest run.",
    ),
]


def evaluate(
    context: typer.Context,
    target: JUDGED = None,
    against: Annotated[
        Optional[str],
        typer.Option(metavar="DATASET[:SPLIT]", help="Real images to compare with.  [what the run was trained on]"),
    ] = None,
    count: Annotated[
        Optional[int],
        typer.Option(help="Samples of a model; images of what is given.  [1000; all]", min=2, max=100_000),
    ] = None,
    features: Annotated[
        str,
        typer.Option(metavar="NAME[,NAME]", help="judge, pixels, FILE.safetensors, inception, dinov2, clip; or two."),
    ] = "judge",
    metrics: Annotated[
        Optional[str],
        typer.Option(metavar="LIST", help="Of frechet, kernel, sliced, coverage, classes, copies.  [all]"),
    ] = None,
    downstream: Annotated[
        bool, typer.Option("--downstream", help="Train a classifier on the samples, too, and one on real images.")
    ] = False,
    shrink: Annotated[bool, typer.Option("--shrink", help="Shrink covariances, where there are few images.")] = False,
    sampler: options.Sampler = None,
    steps: options.Steps = None,
    grid: options.Grid = None,
    schedule: options.Schedule = None,
    label: options.Label = None,
    guidance: options.Guidance = None,
    weights: options.Weights = "ema",
    lora: options.Lora = None,
    batch: options.Batch = None,
    seed: options.Seed = 0,
    impl: options.Impl = None,
    data: options.Data = None,
    device: options.Device = "auto",
    devices: options.Devices = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Judge samples: distance, coverage, classes, copies. Each number with its floor, its error and its protocol."""
    from diffcli.commands.crewing import crew_of
    from diffcli.console.show import Show

    show = Show(as_json=as_json, quiet=quiet)
    crew = crew_of(context, devices, device, show)  # others start before this imports
    from diffcli import plugins
    from diffcli.console.results import lesson
    from diffcli.evaluation.quality import report, study
    from diffcli.evaluation.quality.judged import is_given
    from diffcli.sampling.options import SamplingOptions

    plugins.load(impl or ())
    if is_given(target):
        refuse_idle(context, OF_MODELS, f"for {target}: it says how a model draws, and these images are there")
    wanted = study.QualityOptions(
        against=against, encoders=tuple(features.split(",")), shrink=shrink, downstream=downstream, batch=batch or 0,
        metrics=tuple(metrics.split(",")) if metrics else study.METRICS,
        sampling=SamplingOptions(
            sampler=sampler or "ddim", steps=steps, grid=grid, schedule=schedule, label=label, guidance=guidance,
            count=count, seed=seed, device=device, weights=weights, data=data,
            lora=tuple(lora or ()),
        ),
    )  # fmt: skip
    prepared = study.prepared(target, wanted)
    for note in prepared.notes:
        show.note(f"note: {note}")
    with lesson("evaluate", out, show) as made:
        found = study.run(prepared, show, crew)
        report.fill(made, prepared, found)
        if note := report.remember(found.judged, made):
            show.note(note)
