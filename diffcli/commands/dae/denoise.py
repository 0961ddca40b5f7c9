"""diffcli dae denoise"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.console import options
from diffcli.errors import DataProblem, DivergedProblem, UsageProblem

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.console.show import Show
    from diffcli.runs.loading import Trained

MOST = 4_000_000  # pixels
AMOUNT = 0.5  # of --corrupt
CLIPPED = 0.05  # share of values at an end, from which on an estimate of sigma is too low


def denoise(
    places: Annotated[
        list[str], typer.Argument(metavar="[RUN] IMAGE", help="An image file of any size; a run, default the newest.")
    ],
    amount: Annotated[
        Optional[float],
        typer.Option(help="How corrupted it is: sigma of [-1, 1], or a share.  [sigma: estimated; --corrupt: 0.5]"),
    ] = None,
    corrupt: Annotated[bool, typer.Option("--corrupt", help="Corrupt it first, and say how much came back.")] = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Denoise an image file; it keeps its size, and is worked on in tiles of the size that the model knows."""
    import torch

    from diffcli.commands.opening import opened
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.core.randomness import keyed
    from diffcli.evaluation.denoisers import check_amount
    from diffcli.pictures.denoising import before_after_figure
    from diffcli.pictures.grid import save_png, single

    if len(places) > 2:
        raise UsageProblem(f"one run and one image, not {len(places)} places", "diffcli dae denoise [RUN] IMAGE")
    show, path = Show(as_json=as_json, quiet=quiet), Path(places[-1])
    if amount is not None and not amount > 0:
        raise UsageProblem(f"--amount must be above 0, not {amount}", "leave it out to have sigma estimated")
    image = _read(path)
    trained = opened(places[0] if len(places) == 2 else None, "dae", show, device)
    corruption = trained.model.corruption
    if corrupt:
        amount = AMOUNT if amount is None else amount
    used = _amount(trained, image, amount, show)
    check_amount(corruption, used)
    clean = image if corrupt else None
    if corrupt:
        image = corruption.apply(image, torch.tensor([used]), keyed(seed, "corruption"))
    with lesson("dae-denoise", out, show) as made:
        found = _denoised(trained, image, used, show)
        if not found.isfinite().all():
            raise DivergedProblem("the network's estimate is not finite", "train it again, with a lower --lr")
        made.document |= {
            "run": str(trained.path.parent), "image": str(path), "size": [image.shape[-1], image.shape[-2]],
            "amount": used, "estimated": amount is None,
        }  # fmt: skip
        shown = {"before": image.clamp(-1, 1)[0], "denoised": found[0]}
        if clean is not None:
            made.document |= _gain(image, found, clean)
            shown["clean"] = clean[0]
        save_png(made.figure("denoised.png"), single(found[0]))
        before_after_figure(made.figure("before-after.png"), shown, f"{path.name}, {corruption.unit} {used:.3g}")
        how = "estimated" if amount is None else "given"
        made.lines.append(f"{image.shape[-1]}x{image.shape[-2]} pixels, {corruption.unit} {used:.3g} ({how})")
        made.seen, made.leads = _sentences(made.document, corruption.unit)
        made.next = "diffcli dae score"


def _read(path: Path) -> "Tensor":
    """The image at its own size, [1, C, H, W] in [-1, 1], grey or colour as it is."""
    from diffcli.data.dataset import to_unit
    from diffcli.data.images import GREY, header, read_image

    mode, (width, height) = header(path)
    if not width * height <= MOST:
        raise DataProblem(f"{path} has {width * height} pixels; {MOST} are the most", "make it smaller first")
    if min(width, height) < 2:
        raise DataProblem(f"{path} is one pixel wide or high", "name an image of at least 2x2 pixels")
    return to_unit(read_image(path, (1 if mode in GREY else 3, height, width))).unsqueeze(0)


def _amount(trained: "Trained", image: "Tensor", amount: float | None, show: "Show") -> float:
    """The amount given, or sigma as estimated and held to what the model was trained on."""
    from diffcli.core.processes.corruption import noise_level

    corruption = trained.model.corruption
    if amount is None and corruption.unit != "sigma":
        raise UsageProblem(f"a lost share cannot be told from an image ({trained.recipe.corruption})", "give --amount")
    low, high = trained.recipe.low or corruption.low, trained.recipe.high or corruption.high
    used = noise_level(image) if amount is None else amount
    clipped = (image.abs() == 1).double().mean().item()
    if amount is None and clipped > CLIPPED:
        show.note(
            f"note: {100 * clipped:.0f} % of the values are black or white, where noise is cut off: sigma may be more"
        )
    if not low <= used <= high:
        held = min(max(used, low), high)
        text = f"{corruption.unit} {used:.3g} lies outside of the training, {low:g} to {high:g}"
        show.note(f"note: {text}" + (f"; {held:g} is used" if amount is None else ""))
        used = held if amount is None else used
    return used


def _denoised(trained: "Trained", image: "Tensor", amount: float, show: "Show") -> "Tensor":
    """The image [1, C, H, W] denoised; a grey model takes the colours one by one, a colour model sees grey thrice."""
    from diffcli.evaluation.denoisers import by_network, by_tiles, tiles

    channels, *side = trained.shape
    given = image.shape[1]
    parts = image.transpose(0, 1) if channels == 1 else image.expand(-1, channels, -1, -1)
    height, width = (max(a, b) for a, b in zip(image.shape[-2:], side, strict=True))
    total, found = len(list(tiles(height, width, (side[0], side[1])))), parts
    if total > 1:
        name = Path(trained.recipe.dataset).name
        show.note(f"note: in {total} tiles of {side[1]}x{side[0]}, each taken for an image of {name}")
    with show.progress("denoising", total, "tiles") as bar:
        walk = by_tiles(lambda y: by_network(trained.model, y, amount), parts, (side[0], side[1]))
        for done, whole in walk:
            bar.update(done)
            found = whole
    found = found.transpose(0, 1) if channels == 1 else found
    return (found.mean(1, keepdim=True) if given == 1 else found).clamp(-1, 1)


def _gain(before: "Tensor", after: "Tensor", clean: "Tensor") -> dict[str, Any]:
    from diffcli.metrics.quality import psnr, ssim

    return {
        "psnr_before": psnr(before, clean).item(), "psnr": psnr(after, clean).item(),
        "ssim_before": ssim(before, clean).item(), "ssim": ssim(after, clean).item(),
    }  # fmt: skip


def _sentences(document: dict[str, Any], unit: str) -> tuple[str, str]:
    if "psnr" in document:
        seen = (
            f"PSNR {document['psnr_before']:.2f} -> {document['psnr']:.2f} dB, "
            f"SSIM {document['ssim_before']:.3f} -> {document['ssim']:.3f}."
        )
    else:
        seen = f"The image was taken to hold noise of {unit} {document['amount']:.3g}, on a scale from -1 to 1."
    return seen, "What a denoiser changes, over sigma², is the score: the direction in which images become likelier."
