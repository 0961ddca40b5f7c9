"""diffcli dae evaluate"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffcli.console import options
from diffcli.errors import DivergedProblem

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.console.show import Show
    from diffcli.data.dataset import Dataset
    from diffcli.evaluation.denoisers import Rivals
    from diffcli.runs.loading import Trained

AMOUNT = 0.5
EXAMPLES = 6
AT_ONCE = 512  # images
WIDE = 13  # characters of a column with standard errors
NAMES = {"noisy": "corrupted", "median": "median 3x3", "linear": "best linear"}


def evaluate(
    run: options.Run = None,
    amount: Annotated[
        float, typer.Option(help="The one to show examples of: sigma of images in [-1, 1], or a share.")
    ] = AMOUNT,
    count: Annotated[int, typer.Option(help="Test images.", min=2, max=10_000)] = 100,
    seed: options.Seed = 0,
    data: options.Data = None,
    device: options.Device = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """PSNR and SSIM of a denoising autoencoder on test images, beside those of four other denoisers."""
    import torch

    from diffcli.commands.opening import opened
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.evaluation.denoisers import Rivals, check_amount
    from diffcli.pictures.denoising import examples_figure, quality_figure

    show = Show(as_json=as_json, quiet=quiet)
    trained = opened(run, "dae", show, device)
    corruption = trained.model.corruption
    check_amount(corruption, amount)
    known, test = _images(trained, data, count, show)
    with lesson("dae-evaluate", out, show) as made:
        amounts = sorted({amount, *corruption.shown})
        rivals = Rivals(corruption, known)
        rows, examples = _measure(trained, rivals, test, amounts, amount, seed, show)
        unit = f"{corruption.unit}, of images in [-1, 1]" if corruption.unit == "sigma" else "share of values lost"
        what = (
            f"{trained.recipe.dataset if len(trained.recipe.dataset) < 20 else 'images'}, {trained.recipe.corruption}"
        )
        quality_figure(made.figure("quality.png"), rows, f"{len(test)} test images of {what} corruption", unit)
        title = f"{what} corruption, {corruption.unit} {amount:g}: PSNR in dB below each image"
        examples_figure(made.figure("examples.png"), examples, NAMES, title)
        here = {row["denoiser"]: row for row in rows if row["amount"] == amount}
        if not torch.tensor(here["network"]["psnr"]).isfinite():
            raise DivergedProblem("the network's estimates are not finite", "train it again, with a lower --lr")
        made.document |= _headline(here, amount, trained) | {"count": len(test), "images_known": len(known)}
        made.document["rows"] = rows
        made.lines += _tables(rows, amounts, corruption.unit)
        made.seen, made.leads = _sentences(here, amount, trained)
        made.next = f"diffcli dae denoise {_name(trained)} IMAGE"


def _images(trained: "Trained", folder: Path | None, count: int, show: "Show") -> tuple["Tensor", "Tensor"]:
    """Training images to know, as many as memory takes, and images to test on."""
    from diffcli.data import loading as datasets
    from diffcli.evaluation.denoisers import KNOWN

    recipe = trained.recipe
    dataset = datasets.load_dataset(recipe.dataset, data=folder, size=recipe.size)
    _check_shape(trained, dataset)
    places, held = dataset.holdout()
    most = int(KNOWN / dataset.take([0])[0].numel())
    if len(places) > most:
        show.note(f"note: the linear and the memorising denoiser know {most} of {len(places)} training images")
    known, _ = dataset.take(places[:most])
    if recipe.dataset in datasets.names():
        tested = datasets.load_dataset(recipe.dataset, "test", data=folder)
        return known, tested.take(range(min(count, len(tested))))[0]
    show.note("note: a folder has no test images; these were held out of its training")
    return known, dataset.take(held[:count])[0]


def _check_shape(trained: "Trained", dataset: "Dataset") -> None:
    from diffcli.errors import DataProblem

    if dataset.shape != trained.shape:
        raise DataProblem(
            f"{trained.recipe.dataset} holds items of {dataset.shape}, and the model was trained on {trained.shape}",
            "train a model on the data as they are",
        )


def _measure(
    trained: "Trained", rivals: "Rivals", test: "Tensor", amounts: list[float], headline: float, seed: int, show: "Show"
) -> tuple[list[dict[str, Any]], dict[str, tuple["Tensor", list[float]]]]:
    """A row per amount and denoiser, and at the headline amount a few images of each with their PSNR."""
    import torch

    from diffcli.core.randomness import keyed
    from diffcli.metrics.quality import Quality

    rows: list[dict[str, Any]] = []
    examples: dict[str, tuple[Tensor, list[float]]] = {}
    with show.progress("denoising", len(amounts) * len(test), "images") as bar:
        for place, amount in enumerate(amounts):
            noise = keyed(seed, "corruption")
            y = rivals.corruption.apply(test, torch.full((len(test),), amount), noise)
            denoisers = rivals.at(amount, trained.model)
            for name, estimate in {"noisy": lambda y: y, **denoisers}.items():
                parts = [estimate(part) for part in y.split(AT_ONCE)]
                found = Quality.of(torch.cat(parts), test)
                rows.append({"amount": amount, "denoiser": name, **found.summary()})
                if amount == headline:
                    examples[name] = (torch.cat(parts)[:EXAMPLES], found.psnr[:EXAMPLES].tolist())
            bar.update((place + 1) * len(test))
    return rows, {"clean": (test[:EXAMPLES], []), **examples}


def _headline(here: dict[str, dict[str, Any]], amount: float, trained: "Trained") -> dict[str, Any]:
    linear = here.get("linear", {}).get("psnr")
    found = here["network"]
    return {
        "run": _name(trained),
        "corruption": trained.recipe.corruption,
        "amount": amount,
        "psnr": found["psnr"],
        "psnr_error": found["psnr_error"],
        "psnr_linear": linear,
        "psnr_median": here["median"]["psnr"],
        "psnr_memorising": here["memorising"]["psnr"],
        "psnr_noisy": here["noisy"]["psnr"],
        "ssim": found["ssim"],
        "above_linear": None if linear is None else found["psnr"] - linear,
    }


def _name(trained: "Trained") -> str:
    return str(trained.path.parent)


def _tables(rows: list[dict[str, Any]], amounts: list[float], unit: str) -> list[str]:
    """PSNR with its standard error and SSIM: a line per denoiser, a column per amount."""
    from diffcli.console.show import table
    from diffcli.system.text import width

    roomy = width() >= WIDE * (len(amounts) + 1)
    found = {(row["denoiser"], row["amount"]): row for row in rows}
    names = list(dict.fromkeys(row["denoiser"] for row in rows))
    columns = range(1, len(amounts) + 1)
    lines = []
    for head, cell in (
        ("PSNR, dB", lambda row: f"{row['psnr']:.2f}" + (f" ±{row['psnr_error']:.2f}" if roomy else "")),
        ("SSIM", lambda row: f"{row['ssim']:.3f}"),
    ):
        cells = [[NAMES.get(name, name), *(cell(found[name, amount]) for amount in amounts)] for name in names]
        heads = [head, *(f"{unit if i == 0 else ''} {amount:g}".strip() for i, amount in enumerate(amounts))]
        lines += [*table(heads, cells, right=columns), ""]
    notes = ["Estimates are clipped to [-1, 1], the corrupted images are not."]
    return [*lines[:-1], *(["± is one standard error over the images."] if roomy else []), *notes]


def _sentences(here: dict[str, dict[str, Any]], amount: float, trained: "Trained") -> tuple[str, str]:
    """What was seen, and how it leads to diffusion."""
    corruption, network = trained.model.corruption, here["network"]["psnr"]
    other = "linear" if "linear" in here else "median"
    gain = network - here[other]["psnr"]
    seen = (
        f"At {corruption.unit} {amount:g} the network reaches {network:.2f} dB, {abs(gain):.2f} dB "
        f"{'above' if gain >= 0 else 'below'} the {NAMES[other]} denoiser; remembering the training images gives "
        f"{here['memorising']['psnr']:.2f} dB on these new ones."
    )
    if corruption.unit != "sigma":
        return (
            seen,
            "Under Gaussian noise the same network would hold a score: diffcli dae train --corruption gaussian.",
        )
    low, high = trained.recipe.low or corruption.low, trained.recipe.high or corruption.high
    return seen, (
        f"This one network denoises at every sigma from {low:g} to {high:g}; walked down from pure noise, a step at "
        f"each, such a denoiser draws new images: that is a diffusion model (diffcli train)."
    )
