"""One image file denoised, of any size and in colour or not, by a model that knows images of one size."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.console.show import Show
from diffcli.core.processes.corruption import noise_level
from diffcli.core.randomness import keyed
from diffcli.data.dataset import to_unit
from diffcli.data.images import header, read_image
from diffcli.data.readers import is_grey
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
from diffcli.pictures.deep import quantised, save_pixels
from diffcli.pictures.figures import write_figure
from diffcli.runs.loading import Trained
from diffcli.system.text import size

AMOUNT = 0.5  # that an image is corrupted by, unless told
CLIPPED = 0.05  # share of values at an end, from which on an estimate of sigma is too low
SAMPLED = 1 << 18  # pixels that sigma is estimated from, in as many bands of rows as `BANDS`
BANDS = 16
ROWS = 1 << 20  # pixels that are corrupted at once
SHOWN = 1000  # pixels of the longer side in the figure; of more some are left out


@dataclass(frozen=True)
class ImageToDenoise:
    """An image [C, H, W], how corrupted it is taken to be, and what it was before, if it was corrupted here.

    image, clean:  bytes, or float32 in [-1, 1] and beyond
    estimated:     whether the amount was read off the image
    """

    path: Path
    image: Tensor
    amount: float
    estimated: bool
    clean: Tensor | None


def read_any_size(path: Path, memory: int, spans: Spans | None, *, corrupt: bool) -> Tensor:
    """The image at its own size, [C, H, W] as `to_unit` takes it, grey or colour as it is.

    memory:  bytes that it may take
    spans:   of the data that the model was trained on

    Raises DataProblem, and UsageProblem where it needs more memory.
    """
    mode, (width, height) = header(path)
    if min(width, height) < 2:
        raise DataProblem(f"{path} is one pixel wide or high", "name an image of at least 2x2 pixels")
    channels = 1 if is_grey(mode) else 3
    check_image_fits(needed_for_image(channels, height, width, corrupt=corrupt), memory)
    return read_image(path, (channels, height, width), spans)


def image_to_denoise(
    trained: Trained, path: Path, image: Tensor, amount: float | None, *, corrupt: bool, seed: int, show: Show
) -> ImageToDenoise:
    """An image [C, H, W] made ready for a model: corrupted first, if that is asked for.

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
    noisy, source = torch.empty(image.shape), keyed(seed, "corruption")
    for part, rows in zip(_bands(noisy), _bands(image), strict=True):
        part.copy_(corruption.apply(to_unit(rows).unsqueeze(0), torch.tensor([used]), source)[0])
    return ImageToDenoise(path, noisy, used, False, image)


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
    plan = planned(trained, given.image, given.amount, memory, corrupt=given.clean is not None)
    name, (high, wide) = Path(trained.recipe.data.name).name, plan.tiling.side
    if len(plan.tiling) > 1:
        show.note(
            f"note: {width}x{height} in {len(plan.tiling)} tiles of {wide}x{high}, each taken for images of {name}, "
            f"{plan.at_once} at once: {size(plan.taken)} of memory"
        )
    gain = _Gain(given) if given.clean is not None else None
    result = _denoised(trained, given, plan, gain, show)
    save_pixels(made.figure("denoised.png"), result)
    made.document = {
        "run": trained.target, "image": str(given.path), "size": [width, height],
        "amount": given.amount, "estimated": given.estimated, "tiles": len(plan.tiling), "memory_bytes": plan.taken,
    }  # fmt: skip
    made.document |= gain.numbers if gain else {}
    title = f"{given.path.name}, {unit} {given.amount:.3g}"
    write_figure(before_after_figure(_shown(given, result), title), made.figure("before-after.png"))
    how = "estimated" if given.estimated else "given"
    made.lines = [f"{width}x{height} pixels, {unit} {given.amount:.3g} ({how})"]
    made.seen = _seen(made.document, unit)
    made.leads = "What a denoiser changes, over sigma², is the score: the direction in which images become likelier."
    made.next = "diffcli dae score"


def _denoised(
    trained: Trained, given: ImageToDenoise, plan: TilePlan, gain: "_Gain | None", show: Show
) -> NDArray[np.uint8]:
    """The estimate in 8 bits, [H, W] or [H, W, 3], its rows judged as they come; raises DivergedProblem."""
    channels, height, width = given.image.shape
    result, top = np.empty((height, width, 3) if channels == 3 else (height, width), np.uint8), 0
    with show.progress("denoising", len(plan.tiling), "tiles") as bar:
        for done, rows in denoised_strips(trained, given.image, given.amount, plan):
            bar.update(done)
            if not rows.isfinite().all():
                raise DivergedProblem("the network's estimate is not finite", "train it again, with a lower --lr")
            result[top : top + rows.shape[1]] = quantised(rows)
            if gain and rows.shape[1]:
                gain.add(rows, top)
            top += rows.shape[1]
    return result


def _shown(given: ImageToDenoise, result: NDArray[np.uint8]) -> dict[str, Tensor]:
    """What the figure shows, every so-many-th pixel of a large image."""
    every = -(-max(result.shape[:2]) // SHOWN)
    few = torch.from_numpy(result[::every, ::every].copy())
    images = {"before": given.image, "denoised": few.unsqueeze(0) if few.dim() == 2 else few.permute(2, 0, 1)}
    if given.clean is not None:
        images["clean"] = given.clean
    return {
        name: to_unit(image if name == "denoised" else image[:, ::every, ::every]).clamp(-1, 1)
        for name, image in images.items()
    }


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
