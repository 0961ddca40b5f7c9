"""Held to what two convolutions, one after the other, do to an impulse; and to the sum of both ways on an image."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right


def lora_merge(weight: Tensor, down: Tensor, up: Tensor, strength: float) -> Tensor:
    """The weight of one convolution that does what a convolution with a low-rank addition does.

    The addition is a convolution to r channels by `down`, then one of 1 × 1 by `up`, times strength/r. Whoever has the
    merged weight needs neither of them.

    weight: [O, I, k, k]
    down:   [r, I, k, k]
    up:     [O, r, 1, 1]

    Returns [O, I, k, k].
    """
    added = torch.einsum("or,rihw->oihw", up[:, :, 0, 0], down)
    return weight + strength / len(down) * added


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)
    weight, down = torch.randn(3, 3, 3, 3, generator=generator), torch.randn(2, 3, 3, 3, generator=generator)
    up, image = torch.randn(3, 2, 1, 1, generator=generator), torch.randn(1, 3, 5, 5, generator=generator)
    yield Seen("rank 2, up all 0: the weight itself", ask(weight, down, torch.zeros(3, 2, 1, 1), 4.0))
    yield Seen("rank 2, strength 4", ask(weight, down, up, 4.0))
    small = [torch.randn(*shape, generator=generator) for shape in ((4, 2, 1, 1), (1, 2, 1, 1), (4, 1, 1, 1))]
    yield Seen("2 channels to 4, rank 1, kernels of 1 x 1, strength 0.5", ask(*small, 0.5))
    both = F.conv2d(image, weight, padding=1) + 2 * F.conv2d(F.conv2d(image, down, padding=1), up)
    merged = torch.as_tensor(ask(weight, down, up, 4.0)).to(image)
    left = F.conv2d(image, merged, padding=1) - both
    yield Seen(
        "rank 2, strength 4: an image through the merged one, less the sum of both ways, which should leave 0",
        left,
        1e-3,
    )


def truth(weight: Tensor, down: Tensor, up: Tensor, strength: float) -> Tensor:
    through = F.conv2d(down.transpose(0, 1), up).transpose(0, 1)  # each input channel as an image of r channels
    return weight + strength * through / down.shape[0]


WRONG = [
    Swap(
        "not-divided-by-the-rank",
        "with strength for strength/r",
        "the factor of the addition",
        "strength / len(down)",
        "strength",
    ),
    Swap("no-base", "without the weight that is adapted", "what is merged: both", "return weight + ", "return "),
    Swap(
        "whole-scaled",
        "when the strength multiplies the whole weight",
        "the brackets: only the addition is scaled",
        "weight + strength / len(down) * added",
        "strength / len(down) * (weight + added)",
    ),
    Swap(
        "taken-away",
        "when the addition is taken away, which is what undoes a merge",
        "the sign",
        "weight + strength",
        "weight - strength",
    ),
    Swap(
        "kernels-turned",
        "with kernels turned by half a circle",
        "PyTorch's convolution: it does not turn its kernels, so nothing is to be turned back",
        "* added",
        "* added.flip(2, 3)",
    ),
    Swap(
        "kernels-transposed",
        "with rows and columns of the kernels exchanged",
        "the last two dimensions: they stay as they are",
        "* added",
        "* added.transpose(2, 3)",
    ),
]


@right
def by_matrices(weight: Tensor, down: Tensor, up: Tensor, strength: float) -> Tensor:
    return weight + ((up.flatten(1) @ down.flatten(1)) * (strength / down.size(0))).reshape(weight.shape)


@right
def rank_by_rank(weight: Tensor, down: Tensor, up: Tensor, strength: float) -> Tensor:
    merged = weight.clone()
    for r in range(len(down)):
        merged += strength / len(down) * up[:, r].reshape(-1, 1, 1, 1) * down[r]
    return merged


@right
def by_tensordot(weight: Tensor, down: Tensor, up: Tensor, strength: float) -> Tensor:
    scale = strength / up.shape[1]
    return torch.tensordot(up.squeeze(3).squeeze(2).double() * scale, down.double(), dims=1) + weight
