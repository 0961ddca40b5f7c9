"""What is drawn and said of denoisers that were compared."""

from typing import Any

from diffcli.console.results import Lesson
from diffcli.console.show import table
from diffcli.evaluation.denoisers import TITLES
from diffcli.lessons.autoencoders.dae_comparison import DenoiserComparison, DenoiserStudy
from diffcli.lessons.autoencoders.dae_pictures import examples_figure, quality_figure
from diffcli.pictures.figures import write_figure
from diffcli.system.shell import argument
from diffcli.system.text import width

WIDE = 13  # characters of a column with standard errors
LONGEST = 20  # characters of a data set's name in a title


def fill(made: Lesson, study: DenoiserStudy, found: DenoiserComparison) -> None:
    """Figures, document and lines."""
    _draw(made, study, found)
    here = found.at(study.amount)
    made.document = _headline(study, here) | {
        "count": len(study.test), "images_known": len(study.known), "rows": found.rows,
    }  # fmt: skip
    made.lines = _tables(study, found)
    made.seen, made.leads = _seen(study, here), _leads(study)
    made.next = f"diffcli dae denoise {argument(study.trained.target)} IMAGE"


def _draw(made: Lesson, study: DenoiserStudy, found: DenoiserComparison) -> None:
    unit, recipe = study.corruption.unit, study.trained.recipe
    axis = f"{unit}, of images in [-1, 1]" if unit == "sigma" else "share of values lost"
    name = recipe.data.name if len(recipe.data.name) < LONGEST else "images"
    what = f"{name}, {recipe.corruption.name} corruption"
    figure = quality_figure(found.rows, f"{len(study.test)} test images of {what}", axis)
    write_figure(figure, made.figure("quality.png"))
    title = f"{what}, {unit} {study.amount:g}: PSNR in dB below each image"
    write_figure(examples_figure(found.examples, title), made.figure("examples.png"))


def _headline(study: DenoiserStudy, here: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The numbers at the study's amount."""
    linear, network = here.get("linear", {}).get("psnr"), here["network"]
    return {
        "run": study.trained.target,
        "corruption": study.trained.recipe.corruption.name,
        "amount": study.amount,
        "psnr": network["psnr"],
        "psnr_error": network["psnr_error"],
        "psnr_linear": linear,
        "psnr_median": here["median"]["psnr"],
        "psnr_memorising": here["memorising"]["psnr"],
        "psnr_noisy": here["noisy"]["psnr"],
        "ssim": network["ssim"],
        "above_linear": None if linear is None else network["psnr"] - linear,
    }


def _tables(study: DenoiserStudy, found: DenoiserComparison) -> list[str]:
    """PSNR with its standard error and SSIM: a line per denoiser, a column per amount."""
    amounts, unit = study.amounts, study.corruption.unit
    roomy = width() >= WIDE * (len(amounts) + 1)
    rows = {(row["denoiser"], row["amount"]): row for row in found.rows}
    names = list(dict.fromkeys(row["denoiser"] for row in found.rows))
    columns = range(1, len(amounts) + 1)
    lines = []
    for head, cell in (
        ("PSNR, dB", lambda row: f"{row['psnr']:.2f}" + (f" ±{row['psnr_error']:.2f}" if roomy else "")),
        ("SSIM", lambda row: f"{row['ssim']:.3f}"),
    ):
        cells = [[TITLES[name], *(cell(rows[name, amount]) for amount in amounts)] for name in names]
        heads = [head, *(f"{unit if i == 0 else ''} {amount:g}".strip() for i, amount in enumerate(amounts))]
        lines += [*table(heads, cells, right=columns), ""]
    notes = ["± is one standard error over the images."] if roomy else []
    return [*lines[:-1], *notes, "Estimates are clipped to [-1, 1], the corrupted images are not."]


def _seen(study: DenoiserStudy, here: dict[str, dict[str, Any]]) -> str:
    """The network beside the linear denoiser and the memorising one, in one sentence."""
    network, other = here["network"]["psnr"], "linear" if "linear" in here else "median"
    gain = network - here[other]["psnr"]
    return (
        f"At {study.corruption.unit} {study.amount:g} the network reaches {network:.2f} dB, {abs(gain):.2f} dB "
        f"{'above' if gain >= 0 else 'below'} the {TITLES[other]} denoiser; remembering the training images gives "
        f"{here['memorising']['psnr']:.2f} dB on these new ones."
    )


def _leads(study: DenoiserStudy) -> str:
    """How it leads to diffusion, in one sentence."""
    corruption, wanted = study.corruption, study.trained.recipe.corruption
    if corruption.unit != "sigma":
        return "Under Gaussian noise the same network would hold a score: diffcli dae train --corruption gaussian."
    low, high = wanted.low or corruption.low, wanted.high or corruption.high
    return (
        f"This one network denoises at every sigma from {low:g} to {high:g}; walked down from pure noise, a step at "
        f"each, such a denoiser draws new images: that is a diffusion model (diffcli train)."
    )
