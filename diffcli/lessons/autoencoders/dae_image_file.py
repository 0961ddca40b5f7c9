"""One image file denoised, of any size and in colour or not, by a model that knows images of one size."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.console.show import Show
from diffcli.core.processes.corruption import noise_level
from diffcli.core.randomness import keyed
from diffcli.data.dataset import to_unit
from diffcli.data.images import header, read_image
from diffcli.data.readers import is_grey
from diffcli.errors import DataProblem, DivergedProblem, UsageProblem
from diffcli.evaluation.denoisers import by_network, by_tiles, check_amount, tiles
from diffcli.lessons.autoencoders.dae_pictures import before_after_figure
from diffcli.metrics.quality import psnr, ssim
from diffcli.pictures.figures import write_figure
from diffcli.pictures.grid import save_png, single
from diffcli.runs.loading import Trained

MOST = 4_000_000  # pixels
AMOUNT = 0.5  # that an image is corrupted by, unless told
CLIPPED = 0.05  # share of values at an end, from which on an estimate of sigma is too low


@dataclass(frozen=True)
class ImageToDenoise:
    """An image [1, C, H, W], how corrupted it is taken to be, and what it was before, if it was corrupted here.

    estimated:  whether the amount was read off the image
    """

    path: Path
    image: Tensor
    amount: float
    estimated: bool
    clean: Tensor | None


def read_any_size(path: Path) -> Tensor:
    """The image at its own size, [1, C, H, W] in [-1, 1], grey or colour as it is."""
    mode, (width, height) = header(path)
    if not width * height <= MOST:
        raise DataProblem(f"{path} has {width * height} pixels; {MOST} are the most", "make it smaller first")
    if min(width, height) < 2:
        raise DataProblem(f"{path} is one pixel wide or high", "name an image of at least 2x2 pixels")
    return to_unit(read_image(path, (1 if is_grey(mode) else 3, height, width))).unsqueeze(0)


def image_to_denoise(
    trained: Trained, path: Path, image: Tensor, amount: float | None, *, corrupt: bool, seed: int, show: Show
) -> ImageToDenoise:
    """An image [1, C, H, W] made ready for a model: corrupted first, if that is asked for.

    amount:  of corruption; None has it estimated, or is the usual one of an image to corrupt

    Raises UsageProblem for an amount that is impossible or cannot be estimated.
    """
    if corrupt and amount is None:
        amount = AMOUNT
    used = _amount(trained, image, amount, show)
    corruption = trained.model.corruption
    check_amount(corruption, used)
    if not corrupt:
        return ImageToDenoise(path, image, used, amount is None, None)
    noisy = corruption.apply(image, torch.tensor([used]), keyed(seed, "corruption"))
    return ImageToDenoise(path, noisy, used, False, image)


def _amount(trained: Trained, image: Tensor, amount: float | None, show: Show) -> float:
    """The amount given, or sigma as estimated and held to what the model was trained on."""
    corruption, wanted = trained.model.corruption, trained.recipe.corruption
    if amount is None and corruption.unit != "sigma":
        raise UsageProblem(f"a lost share cannot be told from an image ({wanted.name})", "give --amount")
    low, high = wanted.low or corruption.low, wanted.high or corruption.high
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


def study_image_file(trained: Trained, given: ImageToDenoise, show: Show, made: Lesson) -> None:
    """Denoise it, and compare with what it was, where that is known; raises DivergedProblem."""
    found, unit = _denoised(trained, given.image, given.amount, show), trained.model.corruption.unit
    if not found.isfinite().all():
        raise DivergedProblem("the network's estimate is not finite", "train it again, with a lower --lr")
    height, width = given.image.shape[-2:]
    made.document = {
        "run": trained.target, "image": str(given.path), "size": [width, height],
        "amount": given.amount, "estimated": given.estimated,
    }  # fmt: skip
    shown = {"before": given.image.clamp(-1, 1)[0], "denoised": found[0]}
    if given.clean is not None:
        made.document |= _gain(given.image, found, given.clean)
        shown["clean"] = given.clean[0]
    save_png(made.figure("denoised.png"), single(found[0]))
    title = f"{given.path.name}, {unit} {given.amount:.3g}"
    write_figure(before_after_figure(shown, title), made.figure("before-after.png"))
    how = "estimated" if given.estimated else "given"
    made.lines = [f"{width}x{height} pixels, {unit} {given.amount:.3g} ({how})"]
    made.seen = _seen(made.document, unit)
    made.leads = "What a denoiser changes, over sigma², is the score: the direction in which images become likelier."
    made.next = "diffcli dae score"


def _denoised(trained: Trained, image: Tensor, amount: float, show: Show) -> Tensor:
    """The image [1, C, H, W] denoised; a grey model takes the colours one by one, a colour model sees grey thrice."""
    channels, *side = trained.items.shape
    given = image.shape[1]
    parts = image.transpose(0, 1) if channels == 1 else image.expand(-1, channels, -1, -1)
    height, width = (max(a, b) for a, b in zip(image.shape[-2:], side, strict=True))
    total, found = len(list(tiles(height, width, (side[0], side[1])))), parts
    if total > 1:
        name = Path(trained.recipe.data.name).name
        show.note(f"note: in {total} tiles of {side[1]}x{side[0]}, each taken for an image of {name}")
    with show.progress("denoising", total, "tiles") as bar:
        walk = by_tiles(lambda y: by_network(trained.model, y, amount), parts, (side[0], side[1]))
        for done, whole in walk:
            bar.update(done)
            found = whole
    found = found.transpose(0, 1) if channels == 1 else found
    return (found.mean(1, keepdim=True) if given == 1 else found).clamp(-1, 1)


def _gain(before: Tensor, after: Tensor, clean: Tensor) -> dict[str, Any]:
    """The quality before and after."""
    return {
        "psnr_before": psnr(before, clean).item(), "psnr": psnr(after, clean).item(),
        "ssim_before": ssim(before, clean).item(), "ssim": ssim(after, clean).item(),
    }  # fmt: skip


def _seen(document: dict[str, Any], unit: str) -> str:
    """What came back, or what the image was taken for."""
    if "psnr" not in document:
        return f"The image was taken to hold noise of {unit} {document['amount']:.3g}, on a scale from -1 to 1."
    return (
        f"PSNR {document['psnr_before']:.2f} -> {document['psnr']:.2f} dB, "
        f"SSIM {document['ssim_before']:.3f} -> {document['ssim']:.3f}."
    )
