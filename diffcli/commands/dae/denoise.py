"""diffcli dae denoise"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli import options
from diffcli.errors import UsageProblem

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.runs import Trained

LARGEST = 2048  # pixels of a side
SLIGHT = 0.01  # of noise, below which there is none to speak of


def denoise(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="Any image file.")],
    run: Annotated[
        Optional[str], typer.Argument(metavar="[RUN|FILE]", help="A run or a checkpoint; default the newest of dae.")
    ] = None,
    amount: Annotated[
        Optional[float],
        typer.Option("--amount", help="Of the damage; black is -1, white 1.  [Gaussian noise: estimated]"),
    ] = None,
    corrupt: Annotated[bool, typer.Option("--corrupt", help="Damage it first, and say how well it is mended.")] = False,
    fit: Annotated[bool, typer.Option("--fit", help="Crop and resize it to the model's size first.")] = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Mend an image file: of any size by overlapping tiles, in colour channel by channel where the model is grey."""
    from diffcli import device as devices
    from diffcli import restoring, runs
    from diffcli.lesson import lesson
    from diffcli.metrics.denoisers import estimated_noise
    from diffcli.pictures.denoising import before_after
    from diffcli.pictures.grid import save_png, single
    from diffcli.show import Show

    show = Show(as_json=as_json, quiet=quiet)
    trained = runs.load(run, device=devices.pick(device), family="dae")
    for note in trained.notes:
        show.note(f"note: {note}")
    given = _read(image, trained, fit)
    corruption = trained.recipe.corruption
    if amount is not None:
        (amount,) = restoring.amounts(str(amount), corruption)
    elif corrupt:
        amount = 0.5
    elif corruption == "gaussian":
        amount = estimated_noise(given)
        if amount < SLIGHT:
            raise UsageProblem(f"{image} has no noise that can be seen", "give --amount, or damage it by --corrupt")
        show.note(f"note: noise of σ = {amount:.3f} is estimated from the finest details")
    else:
        raise UsageProblem(f"how much {corruption} there is must be told", "give --amount, or --corrupt")
    before = _damaged(given, trained, amount, seed) if corrupt else given
    with lesson("dae-denoise", out, show) as made:
        after = restoring.mend_any(trained, before, amount)
        save_png(made.figure("denoised.png"), single(after), {"amount": amount})
        shown = {"clean": given} if corrupt else {}
        shown |= {"damaged" if corrupt else "before": before.clamp(-1, 1), "denoised": after}
        before_after(made.figure("before-after.png"), shown, f"{image.name}, damage {amount:.3g}")
        made.document = {
            "image": str(image), "checkpoint": str(trained.path), "corruption": corruption, "amount": amount,
            "shape": list(after.shape), **(_quality(given, before, after) if corrupt else {}),
        }  # fmt: skip
        made.lines, made.seen = _said(made.document, after)
        made.leads = (
            "Here noise becomes a clean estimate in one step; diffusion takes many small ones, each to less noise."
        )
        made.next = "diffcli dae score" if corruption == "gaussian" else "diffcli dae train --corruption gaussian"


def _read(image: Path, trained: "Trained", fit: bool) -> "Tensor":
    """The image in [-1, 1], [C, H, W], at its own size unless it shall fit, no smaller than the model's."""
    from diffcli.dataset import to_unit
    from diffcli.errors import DataProblem
    from diffcli.images import GREY, header, read_image

    mode, (width, height) = header(image)
    channels, high, wide = trained.shape
    if fit:
        return to_unit(read_image(image, (channels, high, wide)))
    if max(width, height) > LARGEST:
        raise DataProblem(f"{image} is {width}x{height}; at most {LARGEST} pixels a side are mended", "add --fit")
    colours = 1 if mode in GREY else 3
    return to_unit(read_image(image, (colours, height, width)))


def _damaged(x0: "Tensor", trained: "Trained", amount: float, seed: int) -> "Tensor":
    import torch

    from diffcli.core.processes.corruption import CORRUPTIONS
    from diffcli.core.randomness import keyed

    damage = CORRUPTIONS[trained.recipe.corruption].damage
    return damage(x0.unsqueeze(0), torch.tensor(amount), keyed(seed, "corrupt"))[0]


def _quality(clean: "Tensor", before: "Tensor", after: "Tensor") -> dict[str, Any]:
    from diffcli.metrics.quality import psnr
    from diffcli.restoring import similarity

    numbers: dict[str, Any] = {}
    for name, x in (("_before", before.clamp(-1, 1)), ("", after)):
        numbers[f"psnr{name}"] = psnr(x.unsqueeze(0), clean.unsqueeze(0)).item()
        numbers[f"ssim{name}"] = similarity(x.unsqueeze(0), clean.unsqueeze(0)).item()
    return numbers


def _said(document: dict[str, Any], after: "Tensor") -> tuple[list[str], str]:
    d = document
    size = "x".join(map(str, reversed(after.shape[1:])))
    if "psnr" not in d:
        seen = f"Damage of {d['amount']:.3g} is taken away; how well, only the clean image could tell (see --corrupt)."
        return [f"{d['image']}, {size}"], seen
    lines = [
        f"PSNR {d['psnr_before']:.2f} dB damaged, {d['psnr']:.2f} dB denoised",
        f"SSIM {d['ssim_before']:.3f} damaged, {d['ssim']:.3f} denoised",
    ]
    return lines, f"The network mends {d['psnr'] - d['psnr_before']:+.2f} dB of damage {d['amount']:.3g} in one step."
