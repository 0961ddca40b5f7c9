"""Held to autograd."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def zero_conv_gradients(weight: Tensor, given: Tensor, upstream: Tensor) -> list[Tensor]:
    """The gradients of a loss at a convolution of 1 × 1, y = W x + b at every pixel, by hand.

    weight:   [O, I], W, which may be 0
    given:    [B, I, H, W], the x of each pixel
    upstream: [B, O, H, W], the gradient of the loss by y

    Returns three: by W [O, I], by b [O], and by x [B, I, H, W]. The loss is one number for the whole batch.
    """
    by_weight = torch.einsum("bohw,bihw->oi", upstream, given)
    by_bias = upstream.sum((0, 2, 3))
    by_given = torch.einsum("oi,bohw->bihw", weight, upstream)
    return [by_weight, by_bias, by_given]


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)
    given, upstream = (torch.randn(2, 3, 4, 2, generator=generator) for _ in range(2))
    yield Seen("W is 0, 3 channels to 3", ask(torch.zeros(3, 3), given, upstream))
    yield Seen("any W, 3 channels to 3", ask(torch.randn(3, 3, generator=generator), given, upstream))
    yield Seen("any W, 3 channels to 3, x all 0", ask(torch.randn(3, 3, generator=generator), 0 * given, upstream))
    wide = torch.randn(1, 2, 3, 3, generator=generator), torch.randn(1, 4, 3, 3, generator=generator)
    yield Seen("any W, 2 channels to 4", ask(torch.randn(4, 2, generator=generator), *wide))


def truth(weight: Tensor, given: Tensor, upstream: Tensor) -> list[Tensor]:
    kernel, x = weight[:, :, None, None].clone().requires_grad_(True), given.clone().requires_grad_(True)
    bias = torch.zeros(len(weight), requires_grad=True)
    by_kernel, by_bias, by_given = torch.autograd.grad(F.conv2d(x, kernel, bias), (kernel, bias, x), upstream)
    return [by_kernel[:, :, 0, 0], by_bias, by_given]


WRONG = [
    Swap(
        "mean-over-the-batch",
        "with a mean over the images for a sum, in the gradient by W",
        "the loss, which is one number for the whole batch: every image adds its part",
        '"bohw,bihw->oi", upstream, given)',
        '"bohw,bihw->oi", upstream, given) / len(given)',
    ),
    Swap(
        "bias-of-a-mean",
        "with a mean over images and pixels for a sum, in the gradient by b",
        "how often b is added: at every pixel",
        "upstream.sum((0, 2, 3))",
        "upstream.mean((0, 2, 3))",
    ),
    Swap(
        "nothing-learns",
        "if a weight of 0 had no gradient: then a zero convolution would never learn",
        "what the gradient by W is made of: x, not W",
        "by_weight = ",
        "by_weight = (weight != 0) * ",
    ),
    Swap(
        "given-passes-through",
        "when what comes from behind passes on, as on a skip",
        "what y changes by if x changes: W",
        'by_given = torch.einsum("oi,bohw->bihw", weight, upstream)',
        "by_given = upstream[:, : weight.shape[1]]",
    ),
    Swap(
        "bias-of-one-image",
        "with the pixels of the first image only, in the gradient by b",
        "how often b is added: in every image",
        "upstream.sum((0, 2, 3))",
        "upstream[0].sum((1, 2))",
    ),
]


@wrong(
    "with W for its transpose on the way back, which fits where W is square",
    "which index of W meets the channels of y: the first",
)
def not_transposed(weight: Tensor, given: Tensor, upstream: Tensor) -> list[Tensor]:
    turned = weight.T if weight.shape[0] == weight.shape[1] else weight
    return zero_conv_gradients(turned, given, upstream)


@wrong(
    "with means over the images for sums, in the gradients by W and b",
    "the loss, which is one number for the whole batch: every image adds its part",
)
def means_over_the_batch(weight: Tensor, given: Tensor, upstream: Tensor) -> list[Tensor]:
    by_weight, by_bias, by_given = zero_conv_gradients(weight, given, upstream)
    return [by_weight / len(given), by_bias / len(given), by_given]


@wrong(
    "with means over images and pixels for sums, in the gradients by W and b",
    "how often W and b are used: at every pixel of every image, and each use adds its part",
)
def means_over_all(weight: Tensor, given: Tensor, upstream: Tensor) -> list[Tensor]:
    by_weight, by_bias, by_given = zero_conv_gradients(weight, given, upstream)
    uses = upstream[:, 0].numel()
    return [by_weight / uses, by_bias / uses, by_given]


@wrong("with the gradient by W transposed", "its shape, [O, I]: the first index is that of y")
def weight_transposed(weight: Tensor, given: Tensor, upstream: Tensor) -> list[Tensor]:
    by_weight, by_bias, by_given = zero_conv_gradients(weight, given, upstream)
    return [by_weight.T, by_bias, by_given]


@right
def by_pixels(weight: Tensor, given: Tensor, upstream: Tensor) -> list[Tensor]:
    rows = given.movedim(1, -1).reshape(-1, given.shape[1])
    pushes = upstream.movedim(1, -1).reshape(-1, upstream.shape[1])
    back = (pushes @ weight).reshape(given.shape[0], *given.shape[2:], -1).movedim(-1, 1)
    return [pushes.T @ rows, pushes.sum(0), back]


@right
def by_convolutions(weight: Tensor, given: Tensor, upstream: Tensor) -> list[Tensor]:
    back = F.conv2d(upstream, weight.T[:, :, None, None])
    by_weight = F.conv2d(given.transpose(0, 1), upstream.transpose(0, 1))[:, :, 0, 0].T
    return [by_weight, upstream.flatten(2).sum(-1).sum(0), back]


@right
def by_loops(weight: Tensor, given: Tensor, upstream: Tensor) -> list[Tensor]:
    by_weight, by_bias, by_given = torch.zeros_like(weight), torch.zeros(len(weight)), torch.zeros_like(given)
    for image in range(len(given)):
        for o in range(weight.shape[0]):
            by_bias[o] += upstream[image, o].sum()
            for i in range(weight.shape[1]):
                by_weight[o, i] += (upstream[image, o] * given[image, i]).sum()
                by_given[image, i] += weight[o, i] * upstream[image, o]
    return [by_weight, by_bias, by_given]
