"""Held to a loop over items and pixels in double precision, and to gradients."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def modulated(h: Tensor, scale_shift: Tensor) -> Tensor:
    """The channels of each pixel normalised, then scaled and shifted by numbers of the item.

    h:            [B, C, H, W]
    scale_shift:  [B, 2 C], what a linear layer has made of the embedding for this place in the network: for each item
                  the scales of its C channels, and behind them their C shifts

    First, for every pixel of every item alone, its C numbers are brought to mean 0 and variance 1:
    (h − mean) / √(variance + 1e-5), where the variance has the divisor C. Then channel c is multiplied by 1 + scale_c,
    and shift_c is added. So where scales and shifts are 0, the normalised h stays as it is.

    Returns [B, C, H, W].
    """
    scale, shift = scale_shift.unsqueeze(-1).unsqueeze(-1).chunk(2, dim=1)
    centred = h - h.mean(dim=1, keepdim=True)
    unit = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
    return (1 + scale) * unit + shift


def truth(h: Tensor, scale_shift: Tensor) -> Tensor:
    rows = []
    for image, words in zip(h.double(), scale_shift.double(), strict=True):
        scale, shift = words[: len(image)], words[len(image) :]
        pixels = [
            (1 + scale) * (pixel - pixel.mean()) / torch.sqrt(pixel.var(correction=0) + 1e-5) + shift
            for pixel in image.flatten(1).T
        ]
        rows.append(torch.stack(pixels, dim=1).reshape(image.shape))
    return torch.stack(rows)


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    yield Seen("h [1, 4, 2, 2], all of `scale_shift` 0", ask(drawn(1, 4, 2, 2), torch.zeros(1, 8)))
    yield Seen("h [2, 4, 1, 3], far from 0, scales and shifts", ask(3 * drawn(2, 4, 1, 3) + 5, drawn(2, 8)))
    yield Seen("h [3, 6, 2, 2], scales and shifts", ask(0.5 * drawn(3, 6, 2, 2) - 1, drawn(3, 12)))
    asking = drawn(2, 4, 2, 2).requires_grad_(), drawn(2, 8).requires_grad_()
    yield Seen("the gradients for h and scale_shift, at h [2, 4, 2, 2]", ask(*asking, want="gradients"))


WRONG = [
    Swap("no-one", "with scale alone for 1 + scale: where it is 0 nothing is left", "the 1 in 1 + scale",
         "(1 + scale) * unit", "scale * unit"),
    Swap("halves-exchanged", "with scales and shifts exchanged", "the order in `scale_shift`: scales first",
         "scale, shift = scale_shift", "shift, scale = scale_shift"),
    Swap("shift-first", "when the shift is scaled, too", "the order: first scale, then shift",
         "(1 + scale) * unit + shift", "(1 + scale) * (unit + shift)"),
    Swap("batch-statistics", "with mean and variance over the whole batch, as a batch norm does",
         "the axes of the mean: no item may depend on the others",
         "centred = h - h.mean(dim=1, keepdim=True)\n    unit = centred / (centred.square().mean(dim=1, keepdim=True)",
         "centred = h - h.mean(dim=(0, 2, 3), keepdim=True)\n"
         "    unit = centred / (centred.square().mean(dim=(0, 2, 3), keepdim=True)"),
    Swap("channel-statistics", "with mean and variance of each channel over its pixels, as an instance norm does",
         "the axes of the mean: here a pixel is normalised over its channels",
         "centred = h - h.mean(dim=1, keepdim=True)\n    unit = centred / (centred.square().mean(dim=1, keepdim=True)",
         "centred = h - h.mean(dim=(2, 3), keepdim=True)\n"
         "    unit = centred / (centred.square().mean(dim=(2, 3), keepdim=True)"),
    Swap("item-statistics", "with one mean and one variance for the whole item, as a group norm with one group has",
         "the axes of the mean: every pixel has its own",
         "centred = h - h.mean(dim=1, keepdim=True)\n    unit = centred / (centred.square().mean(dim=1, keepdim=True)",
         "centred = h - h.mean(dim=(1, 2, 3), keepdim=True)\n"
         "    unit = centred / (centred.square().mean(dim=(1, 2, 3), keepdim=True)"),
    Swap("not-normalised", "without the normalisation", "the first half of the docstring", "* unit +", "* h +"),
]  # fmt: skip


@wrong("with the divisor C − 1 in the variance, which is torch's default", "the `correction` of var and std")
def less_one(h: Tensor, scale_shift: Tensor) -> Tensor:
    scale, shift = scale_shift[:, :, None, None].chunk(2, dim=1)
    unit = (h - h.mean(1, keepdim=True)) / torch.sqrt(h.var(1, keepdim=True) + 1e-5)
    return (1 + scale) * unit + shift


@right
def by_layer_norm(h: Tensor, scale_shift: Tensor) -> Tensor:
    channels = h.shape[1]
    unit = F.layer_norm(h.permute(0, 2, 3, 1), [channels], eps=1e-5)
    return (unit * (1 + scale_shift[:, None, None, :channels]) + scale_shift[:, None, None, channels:]).permute(
        0, 3, 1, 2
    )


@right
def item_by_item(h: Tensor, scale_shift: Tensor) -> Tensor:
    found = []
    for image, words in zip(h, scale_shift, strict=True):
        variance, mean = torch.var_mean(image, dim=0, correction=0)
        unit = (image - mean) * torch.rsqrt(variance + 1e-5)
        scale, shift = words.split(len(image))
        found.append(torch.einsum("c,chw->chw", 1 + scale, unit) + shift.reshape(-1, 1, 1))
    return torch.stack(found)


@right
def in_double(h: Tensor, scale_shift: Tensor) -> Tensor:
    wide, channels = h.double(), h.shape[1]
    mean = wide.sum(1, keepdim=True) / channels
    variance = (wide**2).sum(1, keepdim=True) / channels - mean**2
    unit = (wide - mean) / (variance + 1e-5) ** 0.5
    scale, shift = scale_shift.double().reshape(len(h), 2, channels, 1, 1).unbind(1)
    return torch.addcmul(shift, unit, scale + 1)
