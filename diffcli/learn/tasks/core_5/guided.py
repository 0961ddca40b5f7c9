"""Held to the straight line through both predictions: through the unconditional one at 0, the conditional one at 1."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def guided(
    denoise: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, t: Tensor, labels: Tensor, null: int, scale: float
) -> Tensor:
    """The noise in x by classifier-free guidance: away from what a network says without a class.

    denoise:  (x [B, D], t [B], labels int64 [B]) -> the noise in x, [B, D]
    x, t:     noisy points and their times
    labels:   the class of each
    null:     the label that stands for "no class given", one above the classes
    scale:    1 is what the network says of the class, 0 what it says without one; between, below and above these the
              result changes evenly with scale

    Returns [B, D].
    """
    without = denoise(x, t, torch.full_like(labels, null))
    return without + scale * (denoise(x, t, labels) - without)


def told(x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
    """Something that depends on all three, and on each item alone."""
    if not isinstance(labels, Tensor):
        raise ValueError(f"labels are {labels}, a tensor [B] is wanted: one for each item")
    if labels.shape != t.shape or len(labels) != len(x):
        raise ValueError(f"labels {list(labels.shape)} and t {list(t.shape)} for x {list(x.shape)}")
    column = labels.double().unsqueeze(1)
    return torch.tanh(x.double() * (1 + column) + t.double().unsqueeze(1)).add(torch.sin(column)).float()


def truth(
    denoise: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, t: Tensor, labels: Tensor, null: int, scale: float
) -> Tensor:
    both = torch.stack([denoise(x, t, torch.full_like(labels, null)), denoise(x, t, labels)]).double()
    return torch.tensordot(torch.tensor([1 - scale, scale], dtype=torch.float64), both, 1)


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)
    for labels, null in (([2, 0, 1], 3), ([1, 1, 5, 0], 6)):
        x, t = torch.randn(len(labels), 2, generator=generator), torch.rand(len(labels), generator=generator)
        for scale in (0.0, 1.0, 2.5, 0.4):
            yield Seen(
                f"labels {labels}, null {null}, scale {scale:g}", ask(told, x, t, torch.tensor(labels), null, scale)
            )


LINE = "return without + scale * (denoise(x, t, labels) - without)"
WRONG = [
    Swap("scale-of-the-paper", "with the w of Ho & Salimans, for which 0 is no guidance",
         "the result at scale 1: the prediction for the class",
         LINE, "return denoise(x, t, labels) + scale * (denoise(x, t, labels) - without)"),
    Swap("exchanged", "with both exchanged: away from the class", "the result at scale 1: the prediction for the class",
         LINE, "return (1 - scale) * denoise(x, t, labels) + scale * without"),
    Swap("only-scaled", "when the prediction for the class is multiplied, no more", "the prediction without a class",
         LINE, "return scale * denoise(x, t, labels)"),
    Swap("sum", "with the sum for the difference", "the sign: away from `without` means minus",
         "denoise(x, t, labels) - without", "denoise(x, t, labels) + without"),
    Swap("class-zero", "when class 0 stands for no class", "`null`",
         "torch.full_like(labels, null)", "torch.zeros_like(labels)"),
    Swap("only-the-difference", "without the prediction that the difference is added to",
         "the result at scale 0: the prediction without a class",
         "without + scale", "scale"),
]  # fmt: skip


@wrong("without guidance", "`scale`")
def unguided(
    denoise: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, t: Tensor, labels: Tensor, null: int, scale: float
) -> Tensor:
    return denoise(x, t, labels)


@right
def in_one_call(
    denoise: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, t: Tensor, labels: Tensor, null: int, scale: float
) -> Tensor:
    both = denoise(torch.cat([x, x]), torch.cat([t, t]), torch.cat([labels, torch.full_like(labels, null)]))
    given, without = both.chunk(2)
    return scale * given + (1 - scale) * without


@right
def beyond_the_class(
    denoise: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, t: Tensor, labels: Tensor, null: int, scale: float
) -> Tensor:
    given = denoise(x, t, labels)
    if scale == 1:
        return given
    return given + (scale - 1) * (given - denoise(x, t, labels * 0 + null))


@right
def item_by_item(
    denoise: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, t: Tensor, labels: Tensor, null: int, scale: float
) -> Tensor:
    none = torch.tensor([null])
    found = []
    for i in range(len(x)):
        here = slice(i, i + 1)
        found.append(torch.lerp(denoise(x[here], t[here], none), denoise(x[here], t[here], labels[here]), scale))
    return torch.cat(found)
