"""diffcli control evaluate"""

from typing import Annotated

import typer

from diffcli.console import options


def evaluate(
    run: options.Run = None,
    count: Annotated[int, typer.Option(help="Hints, of images that were not trained on.", min=2, max=10_000)] = 200,
    sampler: options.Sampler = None,
    steps: options.Steps = None,
    guidance: options.Guidance = None,
    guide_by: options.GuideBy = None,
    judge: Annotated[bool, typer.Option(help="Let the judge of the data read classes.")] = True,
    weights: options.Weights = "ema",
    seed: options.Seed = 0,
    impl: options.Impl = None,
    data: options.Data = None,
    device: options.Device = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure how well a model obeys. What samples show, beside samples without hints and real images."""
    from diffcli import plugins
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.evaluation.obedience import report
    from diffcli.evaluation.obedience.study import studied
    from diffcli.sampling.options import SamplingOptions

    show = Show(as_json=as_json, quiet=quiet)
    plugins.load(impl or ())
    wanted = SamplingOptions(
        sampler=sampler or "ddim", steps=steps, guidance=guidance, guide_by=guide_by, count=count, seed=seed,
        device=device, weights=weights, data=data,
    )  # fmt: skip
    with lesson("obedience", out, show) as made:
        report.fill(made, studied(run, wanted, show, judged=judge))
