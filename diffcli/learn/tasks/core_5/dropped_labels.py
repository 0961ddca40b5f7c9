"""Laws: the share of items that lose their class, in each class; that neighbours lose it independently."""

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from diffcli.learn.answers import Seed
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong

COUNT = 9_000


def dropped_labels(labels: Tensor, null: int, share: float, generator: Generator) -> Tensor:
    """Classes of a batch, some of them replaced by "no class", so that one network learns both.

    labels:     int64 [B], the class of each item
    null:       the number that stands for "no class given", one above the classes
    share:      the probability with which an item loses its class, each item on its own
    generator:  where all random numbers come from

    Returns int64 [B]; `labels` itself is left as it is.
    """
    lost = torch.rand(len(labels), generator=generator) < share
    return torch.where(lost, null, labels)


def questions(ask: Ask) -> Iterator[Seen]:
    labels = torch.arange(COUNT) % 3
    for share, seed in ((0.1, 1), (0.7, 2)):
        found = torch.as_tensor(ask(labels, 3, share, Seed(seed)))
        lost = (found == 3).double()
        case = f"{COUNT:,} labels 0, 1, 2, 0, 1, 2, ..., null 3, share {share:g}"
        yield Seen(f"{case}: how many are neither what they were nor 3", int(((found != labels) & (found != 3)).sum()))
        yield Seen(f"{case}: the share of 3", lost.mean().item(), within=0.025)
        per_class = [lost[labels == i].mean().item() for i in range(3)]
        yield Seen("the share of 3 among those that were 0, 1, 2", per_class, within=0.04)
        yield Seen("the share of neighbours that both are 3", (lost[1:] * lost[:-1]).mean().item(), within=0.035)
    alone = [int(torch.as_tensor(ask(torch.tensor([4]), 9, 0.5, Seed(seed)))[0] == 9) for seed in range(24)]
    yield Seen("label 4 alone, null 9, share 0.5, 24 times: how often it is lost", sum(alone), within=10)


WRONG = [
    Swap("kept-for-lost", "when the share is kept, and the rest is lost",
         "the event of probability `share`: a class is lost",
         "< share", "> share"),
    Swap("all-or-none", "when the whole batch loses its classes, or none",
         "the number of random numbers: one for each item",
         "torch.rand(len(labels), generator=generator)", "torch.rand(1, generator=generator).expand(len(labels))"),
    Swap("class-zero", "when a lost class becomes class 0, which is a class", "`null`",
         "lost, null, labels", "lost, 0, labels"),
    Swap("another-class", "when a lost class becomes a random one", "`null`", "lost, null, labels",
         "lost, labels[torch.randperm(len(labels), generator=generator)], labels"),
    Swap("never", "when no label is ever lost", "the result: some labels are null",
         "lost, null, labels", "lost, labels, labels"),
]  # fmt: skip


@wrong("when the first items of a batch always lose their classes", "the items that are lost: each has the same chance")
def the_first(labels: Tensor, null: int, share: float, generator: Generator) -> Tensor:
    found = labels.clone()
    found[: round(share * len(labels))] = null
    return found


@wrong(
    "when a fixed number of items is lost, and of one item alone none",
    "the number that is lost: each item has its own chance",
)
def fixed_number(labels: Tensor, null: int, share: float, generator: Generator) -> Tensor:
    found = labels.clone()
    found[torch.randperm(len(labels), generator=generator)[: round(share * len(labels))]] = null
    return found


@right
def masked(labels: Tensor, null: int, share: float, generator: Generator) -> Tensor:
    keep = torch.rand(labels.shape, generator=generator, dtype=torch.float64) >= share
    return labels * keep + null * ~keep


@right
def by_bernoulli(labels: Tensor, null: int, share: float, generator: Generator) -> Tensor:
    chances = torch.full(labels.shape, share)
    return labels.masked_fill(torch.bernoulli(chances, generator=generator).bool(), null)


@right
def one_by_one(labels: Tensor, null: int, share: float, generator: Generator) -> list[int]:
    places = torch.rand(len(labels), generator=generator).tolist()
    return [null if place > 1 - share else label for place, label in zip(places, labels.tolist(), strict=True)]
