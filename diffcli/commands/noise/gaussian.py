"""diffcli noise gaussian"""

from typing import Annotated, Optional

import typer

from diffcli.console import options

MATRIX = "NUMBERS|FILE"


def gaussian(
    dim: Annotated[int, typer.Option(help="Dimensions, 1 or 2.", min=1, max=2)] = 2,
    mean: Annotated[str, typer.Option(help="One number, or one per dimension, as 0.5:-1.")] = "0",
    std: Annotated[Optional[str], typer.Option(help="The same, for independent coordinates.")] = None,
    covariance: Annotated[
        Optional[str], typer.Option(metavar=MATRIX, help="Rows, or .csv, .npy.  [1.5, or 1,0.6/0.6,2]")
    ] = None,
    other_mean: Annotated[str, typer.Option(help="Of a second Gaussian.")] = "1",
    other_std: Annotated[Optional[str], typer.Option(help="Of the second.")] = None,
    other_covariance: Annotated[
        Optional[str], typer.Option(metavar=MATRIX, help="Of the second.  [0.5, or 0.8,-0.3/-0.3,0.5]")
    ] = None,
    matrix: Annotated[
        Optional[str], typer.Option(metavar=MATRIX, help="A of the affine map A x + b.  [2, or 1,-0.5/0.5,1]")
    ] = None,
    shift: Annotated[str, typer.Option(help="b of the affine map.")] = "1",
    given: Annotated[
        str, typer.Option(help="Where the second coordinate is, in 1-D x + z, for the conditional.")
    ] = "1.5",
    count: Annotated[int, typer.Option("--count", help="Draws.", min=10, max=1_000_000)] = 20_000,
    seed: options.Seed = 0,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """What Gaussians do, by draws and by formula. Density, affine map, sum, product, conditional and KL."""
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.gaussians.named import WrittenGaussian
    from diffcli.lessons.gaussians.operations import gaussian_setting
    from diffcli.lessons.gaussians.study import study_gaussians

    show = Show(as_json=as_json, quiet=quiet)
    first = WrittenGaussian(mean, std, covariance)
    second = WrittenGaussian(other_mean, other_std, other_covariance)
    setting = gaussian_setting(dim, first, second, turn=matrix, shift=shift, given=given, count=count, seed=seed)
    with lesson("noise-gaussian", out, show) as made:
        study_gaussians(setting, made)
