"""diffcli noise chain"""

from typing import Annotated, Optional

import typer

from diffcli.commands.together import refuse_idle
from diffcli.console import options
from diffcli.lessons.gaussians.noising import MOST_STEPS


def chain(
    context: typer.Context,
    dataset: Annotated[
        Optional[str], typer.Option(help="A name (diffcli data lists them) or a folder of images.  [mnist]")
    ] = None,
    value: Annotated[Optional[float], typer.Option(help="One number as x0, instead of a data set.")] = None,
    schedule: Annotated[str, typer.Option(metavar="NAME[,KEY=VALUE...]", help="Noise schedule, e.g. flow.")] = "linear",
    steps: Annotated[
        Optional[int], typer.Option(help="Of the chain.  [the table's, or 1000]", min=2, max=MOST_STEPS)
    ] = None,
    count: Annotated[
        Optional[int],
        typer.Option("--count", help="Chains.  [20 images, 2000 points, 5000 numbers]", min=1, max=20_000),
    ] = None,
    impl: options.Impl = None,
    seed: options.Seed = 0,
    data: options.Data = None,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """The forward process, step by step against the one-jump formula. The same law at every time, other paths."""
    from diffcli import plugins
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.gaussians.noising.setting import noising_setting
    from diffcli.lessons.gaussians.noising.study import study_chain_and_jump

    if value is not None:
        refuse_idle(context, ("dataset", "data"), "with --value, which takes the place of a data set")
    plugins.load(impl or ())
    show = Show(as_json=as_json, quiet=quiet)
    setting = noising_setting(dataset, value, schedule, steps, count, seed, data)
    with lesson("noise-chain", out, show) as made:
        study_chain_and_jump(setting, made, show)
