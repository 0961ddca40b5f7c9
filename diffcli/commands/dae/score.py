"""diffcli dae score"""

from typing import TYPE_CHECKING, Annotated

import typer

from diffcli import options

if TYPE_CHECKING:
    from diffcli.denoised_score import Comparison


def score(
    target: Annotated[
        str, typer.Argument(metavar="[TARGET]", help="mixture, or mixture,means=-1:0/1:0,weights=1/3,stds=0.2.")
    ] = "mixture",
    sigma: Annotated[float, typer.Option("--sigma", help="Noise at which the fields are drawn.")] = 0.4,
    steps: Annotated[int, typer.Option("--steps", help="Training steps of the denoiser.", min=1, max=100_000)] = 1500,
    seed: options.Seed = 0,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Learn to denoise points, and find the score in it: (r(x) - x) / sigma² is the gradient of log p."""
    from diffcli import denoised_score
    from diffcli.lesson import lesson
    from diffcli.pictures.denoising import errors_figure, field_figure
    from diffcli.show import Show

    show = Show(as_json=as_json, quiet=quiet)
    law = denoised_score.plane(target)
    denoised_score.check_sigma(sigma)
    with lesson("dae-score", out, show) as made:
        with show.progress("training", steps, "steps") as bar:
            for done, loss, model in denoised_score.learn(law, steps, seed):  # noqa: B007 (the last is used)
                bar.update(done, f"loss {loss:.3f}")
        found = [denoised_score.compare(model, law, s, seed) for s in denoised_score.SIGMAS]
        here = denoised_score.compare(model, law, sigma, seed)
        field_figure(made.figure("field.png"), *denoised_score.fields(model, law, sigma))
        errors_figure(
            made.figure("errors.png"),
            denoised_score.SIGMAS,
            {
                "learned denoiser, against the score with noise": [c.error for c in found],
                "exact denoiser, against the score of the data": [c.limit for c in found],
            },
        )
        made.document = {
            "target": target, "sigma": sigma, "relative_error": here.error, "correlation": here.correlation,
            "identity_error": here.identity, "data_score_error": here.limit, "steps": steps,
            "rows": [c._asdict() for c in found],
        }  # fmt: skip
        made.lines = _lines(found)
        made.seen = (
            f"At σ = {sigma:g} the learned field correlates {here.correlation:.4f} with the true score and errs by "
            f"{100 * here.error:.1f} %; the exact denoiser gives the score to {here.identity:.0e}."
        )
        made.leads = "A network that denoises at every σ knows the score at every σ: that is a diffusion model."
        made.next = "diffcli train"


def _lines(found: list["Comparison"]) -> list[str]:
    from diffcli.show import table

    rows = [
        [f"{c.sigma:g}", f"{c.correlation:.4f}", f"{c.error:.4f}", f"{c.identity:.1e}", f"{c.limit:.4f}"] for c in found
    ]
    heads = ["sigma", "correlation", "relative error", "exact denoiser", "to the data's score"]
    return table(heads, rows, right=range(5))
