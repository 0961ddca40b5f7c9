"""Held to torch's layer norm with the channels brought last."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def channel_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """LayerNorm over the channels of each pixel, by hand.

    At every pixel of every image the C numbers there are brought to mean 0 and variance 1, then channel c is multiplied
    by weight[c] and bias[c] is added. The variance is the mean squared deviation (its divisor is C, not C − 1), and eps
    is added to it before the root is taken.

    x:            [B, C, H, W]
    weight, bias: [C]
    eps:          a small number, for pixels whose channels are all the same

    Returns [B, C, H, W].
    """
    centred = x - x.mean(1, keepdim=True)
    variance = centred.square().mean(1, keepdim=True)
    return centred / (variance + eps).sqrt() * weight.reshape(-1, 1, 1) + bias.reshape(-1, 1, 1)


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 4, 5, generator=generator) * 2 + 1
    weight, bias = torch.tensor([0.5, 2.0, -1.0]), torch.tensor([0.1, 0.0, 0.7])
    plain = torch.ones(3), torch.zeros(3)
    yield Seen("two images of 3 x 4 x 5, weight 1 and bias 0", ask(x, *plain, 1e-5))
    yield Seen("the same images, weight 0.5, 2, -1 and bias 0.1, 0, 0.7", ask(x, weight, bias, 1e-5))
    yield Seen("the first image alone", ask(x[:1], weight, bias, 1e-5))
    yield Seen("an image of 4 x 3 x 3 with eps 0.5", ask(
        torch.randn(1, 4, 3, 3, generator=generator), torch.ones(4), torch.zeros(4), 0.5))  # fmt: skip
    yield Seen("an image whose channels are all the same", ask(torch.full((1, 3, 2, 2), 0.7), weight, bias, 1e-5))


def truth(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],), weight, bias, eps).permute(0, 3, 1, 2)


WRONG = [
    Swap(
        "divisor-less-one",
        "with C − 1 for C in the variance, as torch's `std` and `var` have it unless told",
        "`correction=0`",
        "centred.square().mean(1, keepdim=True)",
        "x.var(1, keepdim=True)",
    ),
    Swap(
        "eps-outside",
        "with eps added to the root, not below it",
        "where eps stands",
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
        "where the mean is not taken away",
        "the first of the two things that a norm does",
        "return centred /",
        "return x /",
    ),
    Swap(
        "bias-first",
        "where the bias is added before the weight multiplies",
        "the order: divide, multiply, add",
        "centred / (variance + eps).sqrt() * weight.reshape(-1, 1, 1) + bias.reshape(-1, 1, 1)",
        "(centred / (variance + eps).sqrt() + bias.reshape(-1, 1, 1)) * weight.reshape(-1, 1, 1)",
    ),
]


@wrong(
    "by the statistics of each channel over its pixels, which is InstanceNorm",
    "which numbers are taken together: those of a pixel",
)
def over_pixels(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return F.instance_norm(x, None, None, weight, bias, eps=eps)


@wrong(
    "by the statistics of all numbers of an image, which is GroupNorm with one group",
    "which numbers are taken together: those of a pixel",
)
def over_the_image(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return F.group_norm(x, 1, weight, bias, eps)


@wrong(
    "by the statistics of the whole batch, so that an image depends on its neighbours",
    "dimension 0: images are left alone",
)
def over_the_batch(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)


@right
def by_permuting(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    last = x.permute(0, 2, 3, 1)
    mean, variance = last.mean(-1, keepdim=True), last.var(-1, correction=0, keepdim=True)
    return ((last - mean) * torch.rsqrt(variance + eps) * weight + bias).permute(0, 3, 1, 2)


@right
def by_moments(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    x = x.double()
    mean = x.sum(dim=1, keepdim=True) / x.shape[1]
    variance = (x * x).mean(dim=1, keepdim=True) - mean * mean
    scale, shift = weight[None, :, None, None], bias[None, :, None, None]
    return scale * (x - mean) / torch.sqrt(variance.clamp(min=0) + eps) + shift


@right
def pixel_by_pixel(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    found = torch.empty_like(x)
    for image, made in zip(x, found, strict=True):
        for row in range(x.shape[2]):
            for column in range(x.shape[3]):
                numbers = image[:, row, column]
                deviation = (((numbers - numbers.mean()) ** 2).sum() / len(numbers) + eps) ** 0.5
                made[:, row, column] = (numbers - numbers.mean()) / deviation * weight + bias
    return found
