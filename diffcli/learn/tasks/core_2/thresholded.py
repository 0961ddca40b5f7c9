"""Held to the package's dynamic thresholding, which has its own quantile; with and without values that go too far."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Prediction
from diffcli.core.diffusion.guidance import thresholded as held
from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right


def thresholded(x0: Tensor, share: float) -> Tensor:
    """Estimates of clean images held to [-1, 1] by dynamic thresholding, each image by its own measure.

    q is the quantile `share` of |x0| over all numbers of one image, or 1 if that is less (the paper calls it s).
    The image is clipped to [-q, q], and then divided by q.

    x0:    [B, C, H, W], any numbers
    share: above 0, at most 1; quantiles between two numbers are read along a straight line, as torch.quantile does

    Returns the shape of x0.
    """
    q = torch.quantile(x0.flatten(1).abs(), share, dim=1).clamp(min=1).reshape(-1, 1, 1, 1)
    return torch.minimum(torch.maximum(x0, -q), q) / q


def truth(x0: Tensor, share: float) -> Tensor:
    def denoise(x: Tensor, level: Level, **_: Any) -> Prediction:
        return Prediction(x, x)

    return held(denoise, share)(x0, Level.of(0.6, 0.8)).x0


def questions(ask: Ask) -> Iterator[Seen]:
    numbers = torch.randn(4, 2, 3, 4, generator=torch.Generator().manual_seed(2))
    images = numbers * torch.tensor([2.0, 0.4, 1.2, 0.9]).reshape(-1, 1, 1, 1) + torch.tensor(0.3)
    for share in (0.9, 0.6):
        yield Seen(f"four images, the first goes too far, the second not, share {share:g}", ask(images, share))
    yield Seen("one image, share 1", ask(-3 * images[2:3], 1.0))
    yield Seen("four images within [-1, 1], which stay as they are", ask(images.clamp(-1, 1) / 2, 0.8))


WRONG = [
    Swap(
        "wrong-axis",
        "if the quantiles run along the last axis of the images instead of the first",
        "the shape of the quantiles, [B], beside that of the images: broadcasting begins at the last axis",
        ".reshape(-1, 1, 1, 1)",
        "",
    ),
    Swap(
        "clipped-to-one",
        "with plain clipping to [-1, 1]",
        "the quantile: it says where to clip, and clipping is only half of it",
        "torch.minimum(torch.maximum(x0, -q), q) / q",
        "x0.clamp(-1, 1)",
    ),
    Swap(
        "clipped-to-one-and-divided",
        "with clipping to [-1, 1] and then the division by q, which darkens what is cut off already",
        "the numbers that the image is clipped to: −q and q",
        "torch.minimum(torch.maximum(x0, -q), q) / q",
        "x0.clamp(-1, 1) / q",
    ),
    Swap(
        "not-divided",
        "without the division by q",
        "the last step: the image is divided by its q",
        "torch.minimum(torch.maximum(x0, -q), q) / q",
        "torch.minimum(torch.maximum(x0, -q), q)",
    ),
    Swap(
        "always-stretched",
        "if images that fit already are stretched: q may not be less than 1",
        "what q is where the quantile is below 1",
        ".clamp(min=1)",
        "",
    ),
    Swap(
        "signed", "with the quantile of x0, not of |x0|", "the absolute value: black may go too far, too", ".abs()", ""
    ),
    Swap(
        "whole-batch",
        "with one q for the whole batch, so that an image depends on the others",
        "the numbers that the quantile is taken of: those of one image",
        "torch.quantile(x0.flatten(1).abs(), share, dim=1)",
        "torch.quantile(x0.abs().flatten(), share)",
    ),
    Swap(
        "not-clipped",
        "without the clipping: what lies beyond q ends beyond 1",
        "the first of the two steps",
        "torch.minimum(torch.maximum(x0, -q), q) / q",
        "x0 / q",
    ),
    Swap(
        "maximum",
        "with the largest number in the place of the quantile",
        "`share`",
        "torch.quantile(x0.flatten(1).abs(), share, dim=1)",
        "x0.flatten(1).abs().amax(1)",
    ),
]


@right
def image_by_image(x0: Tensor, share: float) -> list[Tensor]:
    found = []
    for image in x0:
        q = max(1.0, torch.quantile(image.abs(), share).item())
        found.append(image.clamp(-q, q) / q)
    return found


@right
def divided_first(x0: Tensor, share: float) -> Tensor:
    q = x0.double().abs().reshape(len(x0), -1).quantile(share, dim=1)
    return (x0.double() / torch.where(q > 1, q, torch.ones_like(q))[:, None, None, None]).clamp(-1, 1)


@right
def by_sorting(x0: Tensor, share: float) -> Tensor:
    ordered = x0.abs().flatten(1).sort(dim=1).values
    place = share * (ordered.shape[1] - 1)
    low = int(place)
    high = min(low + 1, ordered.shape[1] - 1)
    q = torch.lerp(ordered[:, low], ordered[:, high], place - low).clamp_min(1).view(-1, 1, 1, 1)
    return x0.sign() * torch.minimum(x0.abs(), q) / q
