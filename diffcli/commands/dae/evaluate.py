"""diffcli dae evaluate"""

from typing import Annotated

import typer

from diffcli.console import options


def evaluate(
    run: options.Run = None,
    amount: Annotated[
        float, typer.Option(help="The one to show examples of: sigma of images in [-1, 1], or a share.")
    ] = 0.5,
    count: Annotated[int, typer.Option(help="Test images.", min=2, max=10_000)] = 100,
    seed: options.Seed = 0,
    data: options.Data = None,
    device: options.Device = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """PSNR and SSIM on test images, beside those of other denoisers."""
    from diffcli.commands.opening import opened
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.autoencoders import dae_comparison_report
    from diffcli.lessons.autoencoders.dae_comparison import compare_denoisers, denoiser_study

    show = Show(as_json=as_json, quiet=quiet)
    study = denoiser_study(opened(run, "dae", show, device), amount, count, seed, data, show)
    with lesson("dae-evaluate", out, show) as made:
        dae_comparison_report.fill(made, study, compare_denoisers(study, show))
