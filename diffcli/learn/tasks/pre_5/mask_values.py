"""Held to a loop over single values."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def mask_values(x: Tensor, share: Tensor, uniform: Tensor) -> Tensor:
    """Items of which a share is lost: a value is lost where its uniform number is below its item's share.

    x:       [B, D] or [B, C, H, W], values from -1 (black) to 1 (white)
    share:   [B], from 0 (nothing is lost) to 1 (all is)
    uniform: like x, numbers from 0 to 1

    Returns a tensor like x: -1 where a value is lost, x elsewhere, as it was.
    """
    return torch.where(uniform < share.reshape(-1, *[1] * (x.dim() - 1)), -1.0, x)


def truth(x: Tensor, share: Tensor, uniform: Tensor) -> Tensor:
    found = x.clone()
    for item, chance, numbers in zip(found, share.tolist(), uniform, strict=True):
        for place, number in enumerate(numbers.flatten().tolist()):
            if number < chance:
                item.view(-1)[place] = -1.0
    return found


def questions(ask: Ask) -> Iterator[Seen]:
    x, uniform = torch.tensor([[0.9, -0.5], [0.0, 0.7]]), torch.tensor([[0.1, 0.6], [0.2, 0.8]])
    told = f"x {x.tolist()}, share [0.3, 0.7], uniform {uniform.tolist()}"
    yield Seen(told, ask(x, torch.tensor([0.3, 0.7]), uniform))
    generator = torch.Generator().manual_seed(2)
    for shape in ((3, 3), (4, 1, 2, 4), (2, 3, 4, 2)):
        x, uniform = 2 * torch.rand(shape, generator=generator) - 1, torch.rand(shape, generator=generator)
        share = torch.linspace(0.2, 0.9, shape[0])
        yield Seen(f"x of shape {list(shape)}, shares {share.tolist()}", ask(x, share, uniform))
    yield Seen("shares 0 and 1: nothing and all", ask(x, torch.tensor([0.0, 1.0]), uniform))


WRONG = [
    Swap("share-kept", "when the share is that of the values that are kept", "which values are lost: those below",
         "uniform <", "uniform >="),
    Swap("grey", "with 0, which is grey, for black", "the range of x: black is -1", "-1.0, x", "0.0, x"),
    Swap("white", "with white for black", "the range of x: black is -1", "-1.0, x", "1.0, x"),
    Swap("along-the-columns", "when each share goes to a column of every item, not to an item",
         "broadcasting: [B] is lined up with the last dimension, so the shares need the shape [B, 1, ..., 1]",
         "share.reshape(-1, *[1] * (x.dim() - 1))", "share"),
    Swap("one-for-all", "with the mean share for all items", "the shape of share: one for each item",
         "share.reshape(-1, *[1] * (x.dim() - 1))", "share.mean()"),
]  # fmt: skip


@wrong(
    "with what dropout does: it divides what is left by the share that is kept",
    "the docstring: what is left stays as it was",
)
def rescaled(x: Tensor, share: Tensor, uniform: Tensor) -> Tensor:
    each = share.reshape(-1, *[1] * (x.dim() - 1))
    return torch.where(uniform < each, torch.zeros(()), x / (1 - each).clamp(min=1e-9))


@wrong(
    "when x is multiplied by the mask `uniform < share`, which is 1 where a value is lost",
    "the mask: it keeps what is lost, and 0 is grey",
)
def multiplied(x: Tensor, share: Tensor, uniform: Tensor) -> Tensor:
    return x * (uniform < share.reshape(-1, *[1] * (x.dim() - 1)))


@wrong("when the smallest numbers are lost, exactly the share of them", "the docstring: each value on its own")
def a_fixed_number(x: Tensor, share: Tensor, uniform: Tensor) -> Tensor:
    found = x.clone()
    for item, chance, numbers in zip(found, share.tolist(), uniform, strict=True):
        item.view(-1)[numbers.flatten().argsort()[: round(chance * numbers.numel())]] = -1.0
    return found


@right
def by_a_factor(x: Tensor, share: Tensor, uniform: Tensor) -> Tensor:
    kept = (uniform.movedim(0, -1) >= share).movedim(-1, 0).to(x.dtype)
    return x * kept - (1 - kept)


@right
def item_by_item(x: Tensor, share: Tensor, uniform: Tensor) -> list[Tensor]:
    return [item.masked_fill(numbers < chance, -1) for item, chance, numbers in zip(x, share, uniform, strict=True)]


@right
def in_place(x: Tensor, share: Tensor, uniform: Tensor) -> Tensor:
    y = x.double()
    y[uniform < share.view([len(x)] + [1] * (x.ndim - 1))] = -1
    return y
