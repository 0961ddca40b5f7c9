"""Held to the package's measure of quality, which has another way of writing it, in double precision."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.metrics import quality


def psnr(estimate: Tensor, clean: Tensor) -> Tensor:
    """The peak signal-to-noise ratio of each image, in decibels, for values that range from -1 to 1.

    10 times the logarithm to base 10 of (range² / mean squared error), the range being 2, the distance of black from
    white; the mean is over all values of one image.

    estimate: [B, C, H, W] or [B, D]
    clean:    like estimate; nowhere the same image

    Returns [B].
    """
    error = (estimate - clean).square().flatten(1).mean(1)
    return 10 * torch.log10(2**2 / error)


def truth(estimate: Tensor, clean: Tensor) -> Tensor:
    return quality.psnr(estimate, clean)


def questions(ask: Ask) -> Iterator[Seen]:
    clean = torch.tensor([[1.0, -1.0, 0.0, 0.5], [-0.2, 0.3, 1.0, -1.0]])
    estimate = torch.tensor([[0.8, -0.9, 0.1, 0.5], [0.3, -0.1, 0.2, 0.4]])
    yield Seen(f"estimate {estimate.tolist()}, clean {clean.tolist()}", ask(estimate, clean))
    generator = torch.Generator().manual_seed(3)
    for shape in ((3, 1, 4, 4), (2, 3, 2, 5)):
        clean = 2 * torch.rand(shape, generator=generator) - 1
        spread = torch.linspace(0.02, 0.9, shape[0]).reshape(-1, 1, 1, 1)
        estimate = clean + spread * torch.randn(shape, generator=generator)
        yield Seen(f"images of shape {list(shape)}", ask(estimate, clean))


WRONG = [
    Swap("range-one", "with a range of 1, as of values from 0 to 1", "the range of values from -1 to 1",
         "2**2 / error", "1 / error"),
    Swap("range-not-squared", "with the range for its square", "the unit of the mean squared error", "2**2 / error",
         "2 / error"),
    Swap("whole-batch", "with the error of the whole batch, the same for every image",
         "the values that the mean is over: those of one image",
         ".square().flatten(1).mean(1)", ".square().mean().expand(len(clean))"),
    Swap("sum", "with the summed error of an image for the mean", "the M of mean squared error",
         ".flatten(1).mean(1)", ".flatten(1).sum(1)"),
    Swap("twenty", "with 20 for 10, where the error is squared already",
         "the square in the error: 20 log of a root is 10 log", "return 10", "return 20"),
    Swap("natural-log", "with the natural logarithm", "the base: 10", "torch.log10", "torch.log"),
    Swap("sign", "with the ratio turned over", "the fraction: a better image has more dB", "2**2 / error",
         "error / 2**2"),
    Swap("absolute-error", "with the mean absolute error", "the S of mean squared error",
         "(estimate - clean).square()", "(estimate - clean).abs()"),
]  # fmt: skip


@wrong("with one number for all images, their mean", "the shape [B]: one number for each image")
def mean_of_all(estimate: Tensor, clean: Tensor) -> Tensor:
    return quality.psnr(estimate, clean).mean()


@wrong("with one number, from the error of the whole batch", "the shape [B]: one number for each image")
def one_for_the_batch(estimate: Tensor, clean: Tensor) -> Tensor:
    return 10 * torch.log10(4 / (estimate - clean).square().mean())


@wrong("with the largest value of each image for the range", "the range of the values that are possible, 2")
def peak_of_the_image(estimate: Tensor, clean: Tensor) -> Tensor:
    error = (estimate - clean).square().flatten(1).mean(1)
    return 10 * torch.log10(clean.flatten(1).amax(1) ** 2 / error)


@right
def by_two_logarithms(estimate: Tensor, clean: Tensor) -> Tensor:
    distance = torch.linalg.vector_norm((estimate - clean).flatten(1), dim=1)
    return 20 * math.log10(2) - 20 * torch.log10(distance) + 10 * math.log10(clean[0].numel())


@right
def by_numpy(estimate: Tensor, clean: Tensor) -> list[float]:
    a, b = (images.numpy().astype(np.float64) for images in (estimate, clean))
    return [float(10 * np.log10(4 / np.mean((one - other) ** 2))) for one, other in zip(a, b, strict=True)]


@right
def on_values_from_zero_to_one(estimate: Tensor, clean: Tensor) -> Tensor:
    error = ((estimate - clean) / 2) ** 2
    return -10 * error.reshape(len(error), -1).mean(-1).log10()
