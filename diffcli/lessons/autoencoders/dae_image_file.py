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
from diffcli.data.readers import is_deep, is_grey
from diffcli.data.spans import Spans
from diffcli.errors import DataProblem, DivergedProblem, UsageProblem
from diffcli.evaluation.denoisers import check_amount
from diffcli.lessons.autoencoders.dae_pictures import before_after_figure
from diffcli.lessons.autoencoders.dae_tiles import (
    TilePlan,
    check_image_fits,
    denoised_strips,
    needed_for_image,
    planned,
)
from diffcli.metrics.quality import QualityByStrips
from diffcli.pictures.deep import Pixels, blank, quantised, save_pixels, unquantised
from diffcli.pictures.figures import write_figure
from diffcli.runs.loading import Trained
from diffcli.system.text import size

AMOUNT = 0.5  # that an image is corrupted by, unless told
CLIPPED = 0.05  # share of values at an end, from which on an estimate of sigma is too low
SAMPLED = 1 << 18  # pixels that sigma is estimated from, in as many bands of rows as `BANDS`
BANDS = 16
ROWS = 1 << 20  # pixels that are corrupted at once
SHOWN = 500  # pixels of the longer side in the figure; of more some are left out


@dataclass(frozen=True)
class ImageFile:
    """An image [C, H, W] as it was read, grey or colour: bytes, or float32 in [-1, 1].

    needed:  bytes that it takes, until what became of it is written
    """

    path: Path
    image: Tensor
    needed: int


@dataclass(frozen=True)
class ImageToDenoise:
    """An image file, how corrupted it is taken to be, and what it was before, if it was corrupted here.

    image:      [C, H, W], bytes, or float32 in [-1, 1] and beyond
    estimated:  whether the amount was read off the image
    """

    file: ImageFile
    image: Tensor
    amount: float
    estimated: bool

    @property
    def clean(self) -> Tensor | None:
        """What it was before; None where nobody knows."""
        return None if self.image is self.file.image else self.file.image


def read_any_size(path: Path, memory: int, spans: Spans | None, *, corrupt: bool) -> ImageFile:
    """The image at its own size, grey or colour as it is.

    memory:  bytes that it may take
    spans:   of the data that the model was trained on

    Raises DataProblem, and UsageProblem where it needs more memory.
    """
    mode, (width, height) = header(path)
    if min(width, height) < 2:
        raise DataProblem(f"{path} is one pixel wide or high", "name an image of at least 2x2 pixels")
    shape = (1 if is_grey(mode) else 3, height, width)
    needed = needed_for_image(*shape, deep=is_deep(mode) or spans is not None, corrupt=corrupt)
    check_image_fits(needed, memory)
    return ImageFile(path, read_image(path, shape, spans), needed)


def image_to_denoise(
    trained: Trained, file: ImageFile, amount: float | None, *, corrupt: bool, seed: int, show: Show
) -> ImageToDenoise:
    """An image made ready for a model: corrupted first, if that is asked for.

    amount:  of corruption; None has it estimated, or is the usual one of an image to corrupt

    Raises UsageProblem for an amount that is impossible or cannot be estimated.
    """
    if corrupt and amount is None:
        amount = AMOUNT
    used = _amount(trained, file.image, amount, show)
    corruption = trained.model.corruption
    check_amount(corruption, used)
    if not corrupt:
        return ImageToDenoise(file, file.image, used, amount is None)
    noisy, source = torch.empty(file.image.shape), keyed(seed, "corruption")
    for part, rows in zip(_bands(noisy), _bands(file.image), strict=True):
        part.copy_(corruption.apply(to_unit(rows).unsqueeze(0), torch.tensor([used]), source)[0])
    return ImageToDenoise(file, noisy, used, False)


def _bands(image: Tensor) -> tuple[Tensor, ...]:
    """Views of an image [C, H, W] from the top to the bottom, so that what is made of one does not take much memory."""
    return image.split(max(1, ROWS // image.shape[2]), dim=1)


def _sampled(image: Tensor) -> Tensor:
    """Bands of rows at even distances, [bands, C, h, W]; of a small image all rows."""
    height, width = image.shape[1:]
    rows = max(2, SAMPLED // BANDS // width)
    if BANDS * rows >= height:
        return to_unit(image).unsqueeze(0)
    starts = [i * (height - rows) // (BANDS - 1) for i in range(BANDS)]
    return to_unit(torch.stack([image[:, start : start + rows] for start in starts]))


def _amount(trained: Trained, image: Tensor, amount: float | None, show: Show) -> float:
    """The amount given, or sigma as estimated and held to what the model was trained on."""
    corruption, wanted = trained.model.corruption, trained.recipe.corruption
    if amount is None and corruption.unit != "sigma":
        raise UsageProblem(f"a lost share cannot be told from an image ({wanted.name})", "give --amount")
    low, high = wanted.low or corruption.low, wanted.high or corruption.high
    some = _sampled(image)
    used = noise_level(some) if amount is None else amount
    clipped = (some.abs() == 1).double().mean().item()
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


def study_image_file(trained: Trained, given: ImageToDenoise, memory: int, show: Show, made: Lesson) -> None:
    """Denoise it, and compare with what it was, where that is known.

    memory:  bytes that image and tiles may take

    Raises UsageProblem where they would take more, and DivergedProblem.
    """
    unit, (_, height, width) = trained.model.corruption.unit, given.image.shape
    judged = given.clean is not None
    plan = planned(trained, given.image, given.amount, memory, given.file.needed, judged=judged)
    name, (high, wide) = Path(trained.recipe.data.name).name, plan.tiling.side
    if len(plan.tiling) > 1:
        show.note(
            f"note: {width}x{height} in {len(plan.tiling)} tiles of {wide}x{high}, each taken for images of {name}, "
            f"{plan.at_once} at once: {size(plan.taken)} of memory"
        )
    gain = _Gain(given) if judged else None
    result = _denoised(trained, given, plan, gain, show)  # of 16 bits where the model's images had more than 8
    save_pixels(made.figure("denoised.png"), result)
    made.document = {
        "run": trained.target, "image": str(given.file.path), "size": [width, height],
        "amount": given.amount, "estimated": given.estimated, "tiles": len(plan.tiling), "memory_bytes": plan.taken,
    }  # fmt: skip
    made.document |= gain.numbers if gain else {}
    title = f"{given.file.path.name}, {unit} {given.amount:.3g}"
    write_figure(before_after_figure(_shown(given, result), title), made.figure("before-after.png"))
    how = "estimated" if given.estimated else "given"
    made.lines = [f"{width}x{height} pixels, {unit} {given.amount:.3g} ({how})"]
    made.seen = _seen(made.document, unit)
    made.leads = "What a denoiser changes, over sigma², is the score: the direction in which images become likelier."
    made.next = "diffcli dae score"


def _denoised(trained: Trained, given: ImageToDenoise, plan: TilePlan, gain: "_Gain | None", show: Show) -> Pixels:
    """The estimate in whole numbers, [H, W] or [H, W, 3], its rows judged as they come; raises DivergedProblem."""
    (channels, height, width), depth = given.image.shape, 8 if trained.items.spans is None else 16
    result = blank(height, width, channels, depth)
    top = 0
    with show.progress("denoising", len(plan.tiling), "tiles") as bar:
        for done, rows in denoised_strips(trained, given.image, given.amount, plan):
            bar.update(done)
            if not rows.isfinite().all():
                raise DivergedProblem("the network's estimate is not finite", "train it again, with a lower --lr")
            result[top : top + rows.shape[1]] = quantised(rows, depth)
            if gain and rows.shape[1]:
                gain.add(rows, top)
            top += rows.shape[1]
    return result


def _shown(given: ImageToDenoise, result: Pixels) -> dict[str, Tensor]:
    """What the figure shows, every so-many-th pixel of a large image."""
    every = -(-max(result.shape[:2]) // SHOWN)
    images = {"before": given.image} | ({} if given.clean is None else {"clean": given.clean})
    few = {name: to_unit(image[:, ::every, ::every]).clamp(-1, 1) for name, image in images.items()}
    return {"before": few.pop("before"), "denoised": unquantised(result[::every, ::every]), **few}


class _Gain:
    """The quality before and after of an image that was corrupted here, of rows as they come."""

    def __init__(self, given: ImageToDenoise) -> None:
        assert given.clean is not None
        self.noisy, self.clean = given.image, given.clean
        self.before, self.after = (QualityByStrips(self.clean.shape[1]) for _ in range(2))

    def add(self, rows: Tensor, top: int) -> None:
        """The next estimates [C, h, W], which begin at this row."""
        below = top + rows.shape[1]
        clean = to_unit(self.clean[:, top:below])
        self.before.add(self.noisy[:, top:below], clean)
        self.after.add(rows, clean)

    @property
    def numbers(self) -> dict[str, float]:
        """Of the whole image."""
        return {
            "psnr_before": self.before.psnr, "psnr": self.after.psnr,
            "ssim_before": self.before.ssim, "ssim": self.after.ssim,
        }  # fmt: skip


def _seen(document: dict[str, Any], unit: str) -> str:
    """What came back, or what the image was taken for."""
    if "psnr" not in document:
        return f"The image was taken to hold noise of {unit} {document['amount']:.3g}, on a scale from -1 to 1."
    return (
        f"PSNR {document['psnr_before']:.2f} -> {document['psnr']:.2f} dB, "
        f"SSIM {document['ssim_before']:.3f} -> {document['ssim']:.3f}."
    )
