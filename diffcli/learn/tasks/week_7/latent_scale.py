"""Held to torch's mixture of Gaussians, of which each channel's latents are one draw."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def latent_scale(means: Tensor, spreads: Tensor) -> list[Tensor]:
    """Mean and standard deviation of each channel of latents that are drawn from what an encoder says.

    Of every number of a latent it says a law, N(m, s²). A latent of the training set is made by taking an image and
    then drawing each of its numbers from its law, and it is these draws whose mean and standard deviation are asked
    for: over images, places and the draws together (divisors: how many there are, not one less).

    means:   [N, C, H, W], m, of N training images
    spreads: [N, C, H, W], s, standard deviations

    Returns two: the means [C] and the standard deviations [C].
    """
    centre = means.mean((0, 2, 3))
    between = means.var((0, 2, 3), correction=0)
    within = spreads.square().mean((0, 2, 3))
    return [centre, (between + within).sqrt()]


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)
    wide, centre = torch.tensor([0.3, 2.0, 1.0]).reshape(3, 1, 1), torch.tensor([1.0, -4.0, 0.5]).reshape(3, 1, 1)
    tilt = torch.linspace(-1, 1, 4).reshape(1, 1, 4)
    means = torch.randn(6, 3, 2, 4, generator=generator) * wide + centre + tilt
    spreads = torch.rand(6, 3, 2, 4, generator=generator) * torch.tensor([0.8, 1.5, 0.1]).reshape(3, 1, 1) + 0.05
    yield Seen("six images, 3 channels", ask(means, spreads))
    yield Seen("the first two of them", ask(means[:2], spreads[:2]))
    yield Seen("one image, its channels of 2 x 4", ask(means[:1], spreads[:1]))
    yield Seen("six images, every s 0: what is left is how the means vary", ask(means, 0 * spreads))
    same = torch.full((2, 1, 3, 3), 0.7)
    yield Seen(
        "two images, one channel, every m 0.7: what is left is s", ask(same, spreads[:2, :1, :1, :1].expand_as(same))
    )


def truth(means: Tensor, spreads: Tensor) -> list[Tensor]:
    numbers = [one.transpose(0, 1).flatten(1).double() for one in (means, spreads)]
    laws = Normal(numbers[0], numbers[1], validate_args=False)
    mixture = MixtureSameFamily(Categorical(logits=torch.zeros_like(numbers[0])), laws, validate_args=False)
    return [mixture.mean, mixture.variance.sqrt()]


WRONG = [
    Swap(
        "spread-forgotten",
        "with the spread of the means alone: a draw varies about its mean as well",
        "what a latent is: a draw from N(m, s²), not m",
        "(between + within).sqrt()",
        "between.sqrt()",
    ),
    Swap(
        "spread-only",
        "with the spread of the draws about their means alone: the means differ, too",
        "Var(m), the first of two terms",
        "(between + within).sqrt()",
        "within.sqrt()",
    ),
    Swap(
        "not-squared",
        "with s for s²",
        "the unit: variances are added, and s is a standard deviation",
        "spreads.square().mean((0, 2, 3))",
        "spreads.mean((0, 2, 3))",
    ),
    Swap(
        "square-of-the-mean",
        "with the square of the mean of s for the mean of its squares",
        "the order: first square each s, then take the mean",
        "spreads.square().mean((0, 2, 3))",
        "spreads.mean((0, 2, 3)).square()",
    ),
    Swap(
        "deviations-added",
        "when standard deviations are added for variances",
        "what adds up: variances, and the root comes last",
        "(between + within).sqrt()",
        "between.sqrt() + within.sqrt()",
    ),
    Swap(
        "variance-for-std",
        "with the variance for the standard deviation",
        "what is asked for: the root of the sum",
        "(between + within).sqrt()",
        "between + within",
    ),
    Swap(
        "divisor-less-one",
        "with N − 1 for N in the variance of the means, as torch has it unless told",
        "the divisor: how many there are",
        "correction=0",
        "correction=1",
    ),
    Swap(
        "mean-square",
        "with the mean square of the means for their variance",
        "what m deviates from: its mean, which is not 0 here",
        "means.var((0, 2, 3), correction=0)",
        "means.square().mean((0, 2, 3))",
    ),
]


@wrong("with one mean and one standard deviation for all channels", "`of each channel`: they differ widely here")
def one_for_all(means: Tensor, spreads: Tensor) -> list[Tensor]:
    merged = [one.transpose(1, 2).flatten(1, 2).unsqueeze(1) for one in (means, spreads)]
    return [found.expand(means.shape[1]) for found in latent_scale(*merged)]


@wrong("with statistics of every place for itself", "what they are taken over: images and places")
def by_place(means: Tensor, spreads: Tensor) -> list[Tensor]:
    return [means.mean(0), (means.var(0, correction=0) + spreads.square().mean(0)).sqrt()]


@wrong(
    "with the mean of the variances within single images, so that images may differ at no cost",
    "what m deviates from: one mean for all images",
)
def image_by_image(means: Tensor, spreads: Tensor) -> list[Tensor]:
    between = means.var((2, 3), correction=0).mean(0)
    return [means.mean((0, 2, 3)), (between + spreads.square().mean((0, 2, 3))).sqrt()]


@right
def by_moments(means: Tensor, spreads: Tensor) -> list[Tensor]:
    m, s = means.double(), spreads.double()
    first, second = m.mean(dim=(0, 2, 3)), (m**2 + s**2).mean(dim=(0, 2, 3))
    return [first, torch.sqrt(second - first**2)]


@right
def channel_by_channel(means: Tensor, spreads: Tensor) -> list[Tensor]:
    centres, widths = [], []
    for c in range(means.shape[1]):
        m, s = means[:, c].flatten(), spreads[:, c].flatten()
        centres.append(m.mean())
        widths.append((((m - m.mean()) ** 2).mean() + (s * s).mean()) ** 0.5)
    return [torch.stack(centres), torch.stack(widths)]


@right
def by_numpy(means: Tensor, spreads: Tensor) -> list[Tensor]:
    import numpy as np

    m, s = (np.moveaxis(one.numpy(), 1, -1).reshape(-1, means.shape[1]) for one in (means, spreads))
    return [torch.from_numpy(m.mean(0)), torch.from_numpy(np.sqrt(m.var(0) + (s**2).mean(0)))]
