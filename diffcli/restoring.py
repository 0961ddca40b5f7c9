"""Damaged images mended: test images by every denoiser, and one image file of any size by a network."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcli import data as datasets
from diffcli.core.processes.corruption import CORRUPTIONS
from diffcli.core.randomness import keyed
from diffcli.errors import UsageProblem
from diffcli.metrics import denoisers
from diffcli.metrics.quality import WINDOW, psnr, ssim
from diffcli.metrics.statistics import standard_error
from diffcli.runs import Trained

USUAL = {"gaussian": (0.1, 0.25, 0.5, 1.0, 2.0)}
USUAL_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
AT_ONCE = 256
REMEMBERED = 60_000  # images, by the memorising denoiser
COVARIANCE_IMAGES = 60_000
LARGEST = 4096  # numbers in an image of which a covariance is taken


class Estimate(NamedTuple):
    """A mean over images and its standard error."""

    mean: float
    error: float

    @classmethod
    def of(cls, values: Tensor) -> "Estimate":
        return cls(values.mean().item(), standard_error(values))


@dataclass(frozen=True)
class Row:
    """One amount of damage: each denoiser's PSNR and SSIM, and some images, clean first."""

    amount: float
    psnr: dict[str, Estimate]
    ssim: dict[str, Estimate]
    images: dict[str, Tensor]

    @property
    def document(self) -> dict[str, Any]:
        return {"amount": self.amount} | {
            name: {
                "psnr": self.psnr[name].mean,
                "psnr_standard_error": self.psnr[name].error,
                "ssim": self.ssim[name].mean,
            }
            for name in self.psnr
        }


def amounts(text: str | None, corruption: str) -> list[float]:
    """The amounts that a user asks for, as in 0.1,0.5, or the usual ones. Raises UsageProblem."""
    kind = CORRUPTIONS[corruption]
    if text is None:
        return list(USUAL.get(corruption, USUAL_SHARES))
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = [math.nan]
    if not all(kind.least <= value <= kind.most for value in values):
        raise UsageProblem(
            f"--amount must be from {kind.least:g} to {kind.most:g}, not {text}", f"{corruption}: {kind.title}"
        )
    return values


@torch.no_grad()
def mend(trained: Trained, x: Tensor, amount: float) -> Tensor:
    """The network's estimates of images [B, C, H, W], in [-1, 1]."""
    device = next(trained.model.parameters()).device
    parts = [
        trained.model(part.to(device), torch.full((len(part),), amount, device=device)).clamp(-1, 1).cpu()
        for part in x.split(AT_ONCE)
    ]
    return torch.cat(parts)


@dataclass(frozen=True)
class Bench:
    """Test images, and what the denoisers that are not trained know of the training images."""

    trained: Trained
    clean: Tensor
    known: Tensor
    moments: denoisers.Moments
    seed: int

    @classmethod
    def of(cls, trained: Trained, count: int, data: Path | None, seed: int) -> "Bench":
        """With test images of the data set that the model was trained on; a folder's are those held out in training."""
        recipe = trained.recipe
        train = datasets.load(recipe.dataset, data=data, size=recipe.size)
        places, held = train.holdout()
        if train.shape != trained.shape:
            raise UsageProblem(f"{recipe.dataset} now holds images of another shape than the model's", "train it again")
        if math.prod(train.shape) > LARGEST:
            raise UsageProblem(
                f"images of {math.prod(train.shape)} numbers are too large for the best linear denoiser",
                f"train with --set size=N, so that an image has at most {LARGEST}",
            )
        if recipe.dataset in datasets.names():
            test = datasets.load(recipe.dataset, "test", data=data)
            clean, _ = test.take(range(min(count, len(test))))
        else:
            clean, _ = train.take(held[:count])
        known, _ = train.take(places[:REMEMBERED])
        return cls(trained, clean, known, denoisers.Moments.of(known[:COVARIANCE_IMAGES]), seed)

    @property
    def title(self) -> str:
        """What an amount of damage is."""
        return CORRUPTIONS[self.trained.recipe.corruption].title

    def rows(self, amounts: list[float]) -> Iterator[Row]:
        """Each amount of damage in turn; its noise is keyed by it."""
        name = self.trained.recipe.corruption
        for amount in amounts:
            key = keyed(self.seed, "damage", round(amount * 1e6))
            x = CORRUPTIONS[name].damage(self.clean, torch.tensor(amount), key)
            found = {
                "damaged": x,
                "median": denoisers.median(x),
                "linear": denoisers.Linear(self.moments, name, amount)(x),
                "memorising": denoisers.memorising(self.known, x, name, amount),
                "network": mend(self.trained, x, amount),
            }
            found = {k: v.clamp(-1, 1) for k, v in found.items()}
            yield Row(
                amount,
                {k: Estimate.of(psnr(v, self.clean)) for k, v in found.items()},
                {k: Estimate.of(similarity(v, self.clean)) for k, v in found.items()},
                {"clean": self.clean[:8]} | {k: v[:8] for k, v in found.items()},
            )


def similarity(images: Tensor, truth: Tensor) -> Tensor:
    """SSIM of each image, [B]; nan where it is smaller than the window."""
    if min(images.shape[-2:]) < WINDOW:
        return torch.full((len(images),), math.nan)
    return ssim(images, truth)


def mend_any(trained: Trained, image: Tensor, amount: float) -> Tensor:
    """An image [C, H, W] of any size and with any channels, by tiles of the model's size that overlap by half.

    The tiles are blended by a smooth window; a grey model mends each channel by itself.
    """
    channels, height, width = trained.shape
    if image.shape[0] != channels:
        if channels != 1:
            image = image.expand(channels, -1, -1)
        else:
            return torch.cat([mend_any(trained, channel.unsqueeze(0), amount) for channel in image])
    if image.shape[1:] == (height, width):
        return mend(trained, image.unsqueeze(0), amount)[0]
    (tops, high), (lefts, wide) = _tiles(image.shape[1], height), _tiles(image.shape[2], width)
    padded = torch.nn.functional.pad(
        image.unsqueeze(0), (0, wide - image.shape[2], 0, high - image.shape[1]), mode="replicate"
    )[0]
    places = [(top, left) for top in tops for left in lefts]
    tiles = torch.stack([padded[:, t : t + height, left : left + width] for t, left in places])
    window = torch.outer(_hill(height), _hill(width))
    total, weight = torch.zeros_like(padded), torch.zeros_like(padded)
    for (top, left), tile in zip(places, mend(trained, tiles, amount), strict=True):
        total[:, top : top + height, left : left + width] += window * tile
        weight[:, top : top + height, left : left + width] += window
    return (total / weight)[:, : image.shape[1], : image.shape[2]]


def _tiles(length: int, tile: int) -> tuple[list[int], int]:
    """Where tiles begin that overlap by half, and the length that they cover."""
    stride = max(1, tile // 2)
    count = 1 + max(0, math.ceil((length - tile) / stride))
    return [i * stride for i in range(count)], (count - 1) * stride + tile


def _hill(length: int) -> Tensor:
    """A window that is high in the middle and above 0 at its ends."""
    return torch.hann_window(length + 2, periodic=False)[1:-1]
