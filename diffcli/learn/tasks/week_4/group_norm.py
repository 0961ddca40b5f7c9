"""Held to torch's group norm, and to its gradients."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def group_norm(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """GroupNorm by hand: the channels in groups of neighbours, each group of each image brought to mean 0, variance 1.

    With G groups of C channels, the first group is the first C/G channels with all their pixels, and so on. The
    variance is the mean squared deviation (its divisor is the count, not one less), and eps is added to it before the
    root is taken. Then channel c is multiplied by weight[c], and bias[c] is added.

    x:            [B, C, H, W]
    groups:       G, which divides C
    weight, bias: [C]
    eps:          a small number, for groups whose numbers are all the same

    Returns [B, C, H, W]. It is trained with later, so gradients have to pass, through mean and variance as well.
    """
    grouped = x.reshape(len(x), groups, -1)
    centred = grouped - grouped.mean(2, keepdim=True)
    variance = centred.square().mean(2, keepdim=True)
    unit = (centred / (variance + eps).sqrt()).reshape(x.shape)
    return unit * weight.reshape(-1, 1, 1) + bias.reshape(-1, 1, 1)


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)
    spread, centre = torch.tensor([1.0, 3.0, 0.3, 2.0]), torch.tensor([0.0, 2.0, -1.0, 1.0])
    x = torch.randn(2, 4, 3, 2, generator=generator) * spread[:, None, None] + centre[:, None, None]
    weight, bias = torch.tensor([0.5, 2.0, -1.0, 1.0]), torch.tensor([0.1, 0.0, 0.7, -0.4])
    yield Seen(
        "two images of 4 x 3 x 2 in 2 groups, weight 1 and bias 0", ask(x, 2, torch.ones(4), torch.zeros(4), 1e-5)
    )
    yield Seen("the same in 2 groups, any weight and bias", ask(x, 2, weight, bias, 1e-5))
    yield Seen("the same in 1 group", ask(x, 1, weight, bias, 1e-5))
    yield Seen("the same in 4 groups", ask(x, 4, weight, bias, 1e-5))
    yield Seen("the first image alone, in 2 groups", ask(x[:1], 2, weight, bias, 1e-5))
    yield Seen("the same with eps 0.5", ask(x[:1], 2, weight, bias, 0.5))
    trained = [part.clone().requires_grad_() for part in (x, weight, bias)]
    asked = "the gradients of the summed result for x, weight and bias, in 2 groups"
    yield Seen(asked, ask(trained[0], 2, *trained[1:], 1e-5, want="gradients"))


def truth(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return F.group_norm(x, groups, weight, bias, eps)


WRONG = [
    Swap(
        "divisor-less-one",
        "with one less in the divisor of the variance, as torch's `std` and `var` have it unless told",
        "`correction=0`",
        "centred.square().mean(2, keepdim=True)",
        "grouped.var(2, keepdim=True)",
    ),
    Swap(
        "eps-outside",
        "with eps added to the root, not below it",
        "the place of eps: below the root",
        "(variance + eps).sqrt()",
        "(variance.sqrt() + eps)",
    ),
    Swap(
        "no-root",
        "with the variance for the standard deviation",
        "the unit of what a number is divided by",
        "(variance + eps).sqrt()",
        "(variance + eps)",
    ),
    Swap(
        "not-centred",
        "if the mean is not taken away",
        "the first of the two things that a norm does",
        "(centred / (",
        "(grouped / (",
    ),
    Swap(
        "bias-first",
        "if the bias is added before the weight multiplies",
        "the order: divide, multiply, add",
        "unit * weight.reshape(-1, 1, 1) + bias.reshape(-1, 1, 1)",
        "(unit + bias.reshape(-1, 1, 1)) * weight.reshape(-1, 1, 1)",
    ),
    Swap("always-one-group", "with all channels in one group", "`groups`", "len(x), groups, -1", "len(x), 1, -1"),
]


@wrong(
    "by the statistics of the whole batch, so that an image depends on the others",
    "dimension 0: images are apart",
)
def over_the_batch(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    parts = x.unflatten(1, (groups, -1))
    centred = parts - parts.mean((0, 2, 3, 4), keepdim=True)
    unit = centred / (centred.square().mean((0, 2, 3, 4), keepdim=True) + eps).sqrt()
    return unit.flatten(1, 2) * weight.reshape(-1, 1, 1) + bias.reshape(-1, 1, 1)


@wrong(
    "when no gradient passes through mean and variance, as under no_grad or behind detach",
    "the gradient for x: mean and variance are made of x, too",
)
def statistics_detached(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    grouped = x.reshape(len(x), groups, -1)
    variance, mean = torch.var_mean(grouped.detach(), dim=2, correction=0, keepdim=True)
    unit = ((grouped - mean) / (variance + eps).sqrt()).reshape(x.shape)
    return unit * weight.reshape(-1, 1, 1) + bias.reshape(-1, 1, 1)


@wrong("when no gradient reaches x, as when it goes through numpy", "the way from x to the result: torch alone")
def x_detached(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return group_norm(x.detach(), groups, weight, bias, eps)


@wrong("with every G-th channel in the same group", "the channels of the first group: the first C/G")
def interleaved(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    places = torch.arange(x.shape[1]).reshape(-1, groups).T.flatten()
    back = places.argsort()
    return F.group_norm(x[:, places], groups, weight[places], bias[places], eps)[:, back]


@wrong(
    "by the statistics of each pixel: its channels of the group alone",
    "the numbers that share a mean: all pixels of the group's channels",
)
def pixel_by_pixel(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    parts = x.unflatten(1, (groups, -1))
    unit = (parts - parts.mean(2, keepdim=True)) / (parts.var(2, correction=0, keepdim=True) + eps).sqrt()
    return unit.flatten(1, 2) * weight.reshape(-1, 1, 1) + bias.reshape(-1, 1, 1)


@right
def by_chunks(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    parts = []
    for part in x.chunk(groups, dim=1):
        mean = part.mean((1, 2, 3), keepdim=True)
        parts.append((part - mean) * torch.rsqrt(part.var((1, 2, 3), correction=0, keepdim=True) + eps))
    return torch.cat(parts, dim=1) * weight[:, None, None] + bias[:, None, None]


@right
def by_moments(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    wide = x.double().unflatten(1, (groups, -1))
    mean = wide.mean((2, 3, 4), keepdim=True)
    variance = (wide * wide).mean((2, 3, 4), keepdim=True) - mean**2
    unit = ((wide - mean) / torch.sqrt(variance + eps)).flatten(1, 2)
    return torch.einsum("bchw,c->bchw", unit, weight.double()) + bias.double()[None, :, None, None]


@right
def image_by_image(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    found, size = torch.empty_like(x), x.shape[1] // groups
    for number, image in enumerate(x):
        for first in range(0, x.shape[1], size):
            numbers = image[first : first + size]
            deviation = (((numbers - numbers.mean()) ** 2).mean() + eps) ** 0.5
            for c in range(first, first + size):
                found[number, c] = (image[c] - numbers.mean()) / deviation * weight[c] + bias[c]
    return found
