"""Rows of a table, looked up by hand; the gradient says which rows are trained."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def class_embedding(label: Tensor, lost: Tensor, table: Tensor) -> Tensor:
    """What the network is told of the class of each image; of those that have lost it: that none is given.

    label: [B], whole numbers from 0 to K − 1
    lost:  [B], bool; True where this image is trained without its class
    table: [K + 1, E]; row k is class k, and the last row, K, is "no class given" (the null token)

    Returns [B, E]. Gradients have to reach the table.
    """
    return table[torch.where(lost, len(table) - 1, label)]


def questions(ask: Ask) -> Iterator[Seen]:
    table = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([0, 3, 1, 0, 2, 3])
    some = torch.tensor([False, True, False, True, False, False])
    yield Seen("4 classes, labels 0 3 1 0 2 3, none lost", ask(label, torch.zeros(6, dtype=torch.bool), table))
    yield Seen("the same labels, the second and the fourth lost", ask(label, some, table))
    yield Seen("the same labels, all lost", ask(label, torch.ones(6, dtype=torch.bool), table))
    asked = "the gradient of the summed result by the table, the second and the fourth lost"
    yield Seen(asked, ask(label, some, table.clone().requires_grad_(True), want="gradients"))


def truth(label: Tensor, lost: Tensor, table: Tensor) -> Tensor:
    classes = len(table) - 1
    hot = F.one_hot(label.masked_fill(lost, classes), classes + 1).to(table)
    return hot @ table


WRONG = [
    Swap(
        "null-is-class-zero",
        "if an image without a class is told that it is of class 0",
        "the row of the null token: the last, after those of the classes",
        "len(table) - 1, label",
        "0, label",
    ),
    Swap(
        "lost-turned-round",
        "with `lost` turned round: it is True where the class is taken away",
        "what `lost` says",
        "torch.where(lost, len(table) - 1, label)",
        "torch.where(lost, label, len(table) - 1)",
    ),
    Swap(
        "not-dropped",
        "if no class is ever taken away",
        "the second argument",
        "torch.where(lost, len(table) - 1, label)",
        "label",
    ),
    Swap("labels-from-one", "with labels that count from 1", "the first row: it is class 0", "label)]", "label + 1)]"),
    Swap(
        "all-or-none",
        "if one lost class takes away those of the whole batch",
        "`lost`, which is of each image by itself",
        "torch.where(lost,",
        "torch.where(lost.any(),",
    ),
]


@wrong(
    "with zeros in the place of the null token, so that nothing is learned for it",
    "the last row of the table, which is trained like the others",
)
def zeros(label: Tensor, lost: Tensor, table: Tensor) -> Tensor:
    return table[label] * (~lost).unsqueeze(1)


@wrong(
    "if the null token is added to the class instead of taking its place",
    "what stays of the class of an image that has lost it: nothing",
)
def added(label: Tensor, lost: Tensor, table: Tensor) -> Tensor:
    return table[label] + table[-1] * lost.unsqueeze(1)


@right
def by_masking(label: Tensor, lost: Tensor, table: Tensor) -> Tensor:
    label = label.clone()
    label[lost] = len(table) - 1
    return F.embedding(label, table)


@right
def mixed(label: Tensor, lost: Tensor, table: Tensor) -> Tensor:
    return torch.where(lost[:, None], table[-1], table[label])


@right
def one_by_one(label: Tensor, lost: Tensor, table: Tensor) -> Tensor:
    return torch.stack([table[-1] if gone else table[int(k)] for k, gone in zip(label, lost.tolist(), strict=True)])
