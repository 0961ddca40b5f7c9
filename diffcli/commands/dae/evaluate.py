"""diffcli dae evaluate"""

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli import options

if TYPE_CHECKING:
    from diffcli.restoring import Row

HEADLINE = 0.5  # the amount whose numbers are at the top of the document


def evaluate(
    target: options.Target = None,
    amounts: Annotated[
        Optional[str],
        typer.Option("--amount", metavar="A[,B...]", help="Of damage.  [five, from little to much]"),
    ] = None,
    count: Annotated[int, typer.Option("--count", help="Test images.", min=1, max=10_000)] = 256,
    seed: options.Seed = 0,
    data: options.Data = None,
    device: options.Device = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """PSNR and SSIM on test images, beside the best linear denoiser, the memorising one and a median filter."""

    from diffcli import device as devices
    from diffcli import restoring, runs
    from diffcli.lesson import lesson
    from diffcli.pictures.denoising import mosaic, quality_curves
    from diffcli.show import Show

    show = Show(as_json=as_json, quiet=quiet)
    trained = runs.load(target, device=devices.pick(device), family="dae")
    for note in trained.notes:
        show.note(f"note: {note}")
    corruption = trained.recipe.corruption
    wanted = restoring.amounts(amounts, corruption)
    bench = restoring.Bench.of(trained, count, data, seed)
    if corruption != "gaussian":
        show.note("note: kept pixels tell their value exactly, so the memorising denoiser is given some tolerance")
    rows: list[Row] = []
    with lesson("dae-evaluate", out, show) as made:
        with show.progress("denoising", len(wanted), "amounts") as bar:
            for done, row in enumerate(bench.rows(wanted), 1):
                rows.append(row)
                bar.update(done, f"{row.amount:g}: {row.psnr['network'].mean:.2f} dB")
        head = min(rows, key=lambda row: abs(row.amount - HEADLINE))
        quality_curves(made.figure("quality.png"), rows, bench.title)
        mosaic(made.figure("images.png"), head)
        made.document = _document(str(trained.path), corruption, len(bench.clean), head, rows)
        made.lines = _lines(rows, bench.title)
        gain = head.psnr["network"].mean - head.psnr["linear"].mean
        made.seen = (
            f"At damage {head.amount:g} the network is {gain:+.2f} dB from the best linear denoiser; "
            f"the memorising one, which knows its own images only, has {head.psnr['memorising'].mean:.2f} dB."
        )
        made.leads = "The best denoiser at every noise level is all that diffusion needs: walk down the levels."
        made.next = "diffcli dae score"
        if corruption != "gaussian":
            made.next = f"diffcli dae denoise IMAGE {trained.path.parent} --corrupt"


def _document(run: str, corruption: str, count: int, head: "Row", rows: list["Row"]) -> dict[str, Any]:
    return {
        "checkpoint": run,
        "corruption": corruption,
        "images": count,
        "amount": head.amount,
        "psnr": head.psnr["network"].mean,
        "psnr_standard_error": head.psnr["network"].error,
        "psnr_linear": head.psnr["linear"].mean,
        "psnr_memorising": head.psnr["memorising"].mean,
        "psnr_median": head.psnr["median"].mean,
        "psnr_noisy": head.psnr["damaged"].mean,
        "ssim": head.ssim["network"].mean,
        "ssim_noisy": head.ssim["damaged"].mean,
        "rows": [row.document for row in rows],
    }


def _lines(rows: list["Row"], title: str) -> list[str]:
    from diffcli.show import table

    names = list(rows[0].psnr)
    psnr = [[f"{row.amount:g}", *(f"{row.psnr[name].mean:.2f}" for name in names)] for row in rows]
    ssim = [[f"{row.amount:g}", *(f"{row.ssim[name].mean:.3f}" for name in names)] for row in rows]
    right = range(len(names) + 1)
    error = max(estimate.error for row in rows for estimate in row.psnr.values())
    return [
        f"PSNR in dB, mean over images (standard error at most {error:.2f}); damage: {title}",
        *table(["damage", *names], psnr, right=right),
        "",
        "SSIM",
        *table(["damage", *names], ssim, right=right),
    ]
