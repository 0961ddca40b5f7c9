"""Held to torch's batch norm in evaluation, which knows the statistics of something else, too."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def normalised(latents: Tensor, training: Tensor) -> Tensor:
    """Latents brought to where those of the training data have mean 0 and variance 1 in every channel.

    Mean and standard deviation are those of the training latents, of each channel over all images and places; the
    standard deviation is the root of the mean squared deviation (divisor: their number, not one less).

    latents:  [B, C, H, W], of any images
    training: [N, C, H, W], of the training images

    Returns [B, C, H, W].
    """
    mean = training.mean((0, 2, 3), keepdim=True)
    std = training.var((0, 2, 3), correction=0, keepdim=True).sqrt()
    return (latents - mean) / std


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)
    spread, centre = torch.tensor([0.2, 3.0, 1.0]).reshape(3, 1, 1), torch.tensor([1.0, -4.0, 0.0]).reshape(3, 1, 1)
    tilt = torch.linspace(-1, 1, 4).reshape(1, 1, 4)
    training = torch.randn(6, 3, 2, 4, generator=generator) * spread + centre + tilt
    others = torch.randn(2, 3, 2, 4, generator=generator) * 2
    yield Seen("two new images, 3 channels", ask(others, training))
    yield Seen("one of them alone", ask(others[:1], training))
    yield Seen("the training latents themselves", ask(training, training))
    yield Seen("one training image, one channel", ask(others[:, :1], training[:1, :1]))


def truth(latents: Tensor, training: Tensor) -> Tensor:
    numbers = training.transpose(0, 1).flatten(1).double()
    variance = numbers.square().mean(1) - numbers.mean(1) ** 2
    return F.batch_norm(latents.double(), numbers.mean(1), variance, eps=0.0)


WRONG = [
    Swap(
        "own-statistics",
        "by the statistics of the latents themselves, so that they depend on what is beside them",
        "the second argument",
        "mean = training.mean((0, 2, 3), keepdim=True)\n    std = training.var(",
        "mean = latents.mean((0, 2, 3), keepdim=True)\n    std = latents.var(",
    ),
    Swap(
        "scale-only",
        "without taking the mean away, as the one factor of latent diffusion does",
        "what the mean of the training latents becomes: 0",
        "(latents - mean) / std",
        "latents / std",
    ),
    Swap(
        "divisor-less-one",
        "with N − 1 for N in the variance, as torch has it unless told",
        "the divisor: the number of deviations, not one less",
        "correction=0",
        "correction=1",
    ),
    Swap(
        "variance-for-std",
        "with the variance for the standard deviation",
        "the unit of what is divided by",
        "keepdim=True).sqrt()",
        "keepdim=True)",
    ),
    Swap(
        "multiplied",
        "when the standard deviation multiplies, as on the way back",
        "what a wide channel needs: to be made narrower",
        "(latents - mean) / std",
        "(latents - mean) * std",
    ),
    Swap(
        "by-place",
        "by statistics of every place for itself",
        "what a channel's statistics are taken over: images and places",
        "mean((0, 2, 3), keepdim=True)\n    std = training.var((0, 2, 3),",
        "mean(0, keepdim=True)\n    std = training.var((0,),",
    ),
    Swap(
        "one-for-all",
        "with one mean and one standard deviation for all channels",
        "`in every channel`: they differ widely here",
        "mean((0, 2, 3), keepdim=True)\n    std = training.var((0, 2, 3),",
        "mean((0, 1, 2, 3), keepdim=True)\n    std = training.var((0, 1, 2, 3),",
    ),
]


@wrong("with the mean taken away after dividing by the standard deviation", "the brackets: (z − mean)/std")
def late_mean(latents: Tensor, training: Tensor) -> Tensor:
    mean, std = training.mean((0, 2, 3), keepdim=True), training.std((0, 2, 3), correction=0, keepdim=True)
    return latents / std - mean


@wrong(
    "with the mean of the standard deviations of single images",
    "what deviates from what: all numbers of a channel, from one mean",
)
def image_by_image(latents: Tensor, training: Tensor) -> Tensor:
    widths = training.std((2, 3), correction=0, keepdim=True).mean(0, keepdim=True)
    return (latents - training.mean((0, 2, 3), keepdim=True)) / widths


@right
def by_channels(latents: Tensor, training: Tensor) -> Tensor:
    found = torch.empty_like(latents)
    for c in range(latents.shape[1]):
        numbers = training[:, c].reshape(-1)
        found[:, c] = (latents[:, c] - numbers.mean()) / numbers.std(correction=0)
    return found


@right
def channels_last(latents: Tensor, training: Tensor) -> Tensor:
    numbers = training.movedim(1, -1).reshape(-1, training.shape[1]).double()
    centre = numbers.mean(0)
    width = ((numbers - centre) ** 2).mean(0) ** 0.5
    return ((latents.movedim(1, -1) - centre) / width).movedim(-1, 1)


@right
def by_numpy(latents: Tensor, training: Tensor) -> Tensor:
    import numpy as np

    z, known = latents.numpy(), training.numpy()
    found = (z - known.mean(axis=(0, 2, 3), keepdims=True)) / known.std(axis=(0, 2, 3), keepdims=True)
    return torch.from_numpy(np.ascontiguousarray(found))
