"""Held to numpy's percentiles of the same draws."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def difference_interval(a: Tensor, b: Tensor, places: Tensor) -> Tensor:
    """A 95 % bootstrap interval of mean(a) − mean(b), where a[i] and b[i] come from the same start noise.

    Each row of `places` says which items are drawn this time; they are drawn from both together. The interval goes
    from the 2.5 % to the 97.5 % quantile of the differences of the draws, between two of them along a straight line,
    as torch.quantile and numpy.quantile do unless told otherwise.

    a, b:   [N], a score of each item under two models, float32 or float64
    places: [R, N], R draws: whole numbers from 0 to N − 1, some of them several times

    Returns [2]: the lower end, the upper end.
    """
    drawn = (a - b)[places].mean(1)
    return torch.quantile(drawn, torch.tensor([0.025, 0.975], dtype=drawn.dtype))


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(40, generator=generator, dtype=torch.float64) * 3
    a = common + 1.0 + 0.3 * torch.randn(40, generator=generator, dtype=torch.float64)
    b = common + 0.3 * torch.randn(40, generator=generator, dtype=torch.float64)
    for draws in (50, 300):
        places = torch.randint(40, (draws, 40), generator=generator)
        yield Seen(f"40 items, a about 1 above b, {draws} draws", ask(a, b, places))
        yield Seen(f"the same items, a and b exchanged, {draws} draws", ask(b, a, places))
    few = torch.tensor([[0, 1, 2], [2, 2, 1], [0, 0, 0]])
    yield Seen("three items, three draws", ask(torch.tensor([1.0, 2.0, 6.0]), torch.tensor([0.5, 2.5, 1.0]), few))


def truth(a: Tensor, b: Tensor, places: Tensor) -> Tensor:
    x, y, index = a.numpy(), b.numpy(), places.numpy()
    drawn = [x[row].mean() - y[row].mean() for row in index]
    return torch.from_numpy(np.percentile(np.array(drawn), [2.5, 97.5]))


WRONG = [
    Swap(
        "other-sign",
        "with mean(b) − mean(a) for mean(a) − mean(b)",
        "which of the two is taken away",
        "(a - b)[places]",
        "(b - a)[places]",
    ),
    Swap(
        "ninety-percent",
        "with 5 % left out at either end: an interval of 90 %",
        "how much 95 % leave at each end",
        "[0.025, 0.975]",
        "[0.05, 0.95]",
    ),
    Swap(
        "one-sided",
        "with 5 % at the lower end and none at the upper",
        "how much 95 % leave at each end",
        "[0.025, 0.975]",
        "[0.05, 1.0]",
    ),
    Swap(
        "medians",
        "with medians of the draws for their means",
        "what is estimated: a difference of means",
        ".mean(1)",
        ".median(1).values",
    ),
    Swap(
        "nothing-drawn",
        "with the items themselves, of which none was drawn again",
        "the spread of means, which is much less than that of items",
        "drawn = (a - b)[places].mean(1)",
        "drawn = a - b",
    ),
]


@wrong(
    "when a and b are drawn independently, so that what they have in common counts as chance",
    "`from both together`: the same places for a and b",
)
def unpaired(a: Tensor, b: Tensor, places: Tensor) -> Tensor:
    drawn = a[places].mean(1) - b[places.flip(0)].mean(1)
    return torch.quantile(drawn, torch.tensor([0.025, 0.975], dtype=drawn.dtype))


@wrong(
    "with quantiles of all drawn items, which were not averaged",
    "what is estimated: a mean; each row of `places` gives one number, the mean of its items",
)
def not_averaged(a: Tensor, b: Tensor, places: Tensor) -> Tensor:
    drawn = (a - b)[places].flatten()
    return torch.quantile(drawn, torch.tensor([0.025, 0.975], dtype=drawn.dtype))


@wrong(
    "with an interval for a less an interval for b, each end by itself",
    "the order: first the difference of each draw, then the quantiles of these differences",
)
def end_by_end(a: Tensor, b: Tensor, places: Tensor) -> Tensor:
    ends = torch.tensor([0.025, 0.975], dtype=a.dtype)
    return torch.quantile(a[places].mean(1), ends) - torch.quantile(b[places].mean(1), ends)


@wrong("with mean ± 1.96 standard deviations of the draws", "the quantiles: the draws need not be normal")
def by_normal(a: Tensor, b: Tensor, places: Tensor) -> Tensor:
    drawn = (a - b)[places].mean(1)
    return torch.stack([drawn.mean() - 1.96 * drawn.std(), drawn.mean() + 1.96 * drawn.std()])


@wrong(
    "with the standard deviation of the draws divided by their root once more",
    "what the spread of the draws is already: a standard error",
)
def too_narrow(a: Tensor, b: Tensor, places: Tensor) -> Tensor:
    drawn = (a - b)[places].mean(1)
    half = 1.96 * drawn.std() / len(drawn) ** 0.5
    return torch.stack([drawn.mean() - half, drawn.mean() + half])


@right
def by_numpy(a: Tensor, b: Tensor, places: Tensor) -> Tensor:
    found = np.quantile(a.numpy()[places.numpy()].mean(axis=1) - b.numpy()[places.numpy()].mean(axis=1), (0.025, 0.975))
    return torch.from_numpy(found)


@right
def by_counts(a: Tensor, b: Tensor, places: Tensor) -> Tensor:
    count = len(a)
    weights = torch.stack([torch.bincount(row, minlength=count) for row in places]).double() / count
    drawn = weights @ (a.double() - b.double())
    return torch.stack([drawn.quantile(0.025), drawn.quantile(0.975)])


@right
def by_sorting(a: Tensor, b: Tensor, places: Tensor) -> list[float]:
    drawn = sorted(float((a[row] - b[row]).sum()) / len(row) for row in places)
    ends = []
    for share in (0.025, 0.975):
        place = share * (len(drawn) - 1)
        low = int(place)
        high = min(low + 1, len(drawn) - 1)
        ends.append(drawn[low] + (place - low) * (drawn[high] - drawn[low]))
    return ends
