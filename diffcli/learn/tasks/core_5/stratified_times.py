"""Laws of 4,000 batches: within a batch the gaps are all equal, from batch to batch the shift is uniform and new."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Generator, Tensor

from diffcli.learn.answers import Seed
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right

BATCHES, SIZE = 4000, 8


def stratified_times(batches: int, size: int, generator: Generator) -> Tensor:
    """Times of many batches, evenly spaced in each: low-discrepancy sampling.

    In each batch ONE number u, uniform between 0 and 1 and independent of those of the other batches, shifts `size`
    times that are 1/size apart: (u + i) / size for i = 0 ... size − 1. Their order within the batch is up to you.

    batches:    how many batches
    size:       items of each
    generator:  where all random numbers come from

    Returns [batches, size], between 0 and 1.
    """
    shift = torch.rand(batches, 1, generator=generator)
    return (shift + torch.arange(size)) / size


def questions(ask: Ask) -> Iterator[Seen]:
    yield Seen("the shape for 2 batches of 3", list(torch.as_tensor(ask(2, 3, Seed(0))).shape))
    times = torch.as_tensor(ask(BATCHES, SIZE, Seed(1))).double()
    ordered = times.sort(dim=1).values
    beyond = (times < 0) | (times > 1)
    yield Seen("the share of times that are not between 0 and 1", beyond.double().mean().item(), within=0.003)
    gap = ordered.diff(dim=1)
    yield Seen(
        f"size {SIZE}: the largest gap in a batch times {SIZE}, its mean", SIZE * gap.amax(1).mean().item(), within=0.02
    )
    yield Seen(
        f"size {SIZE}: the smallest gap in a batch times {SIZE}, its mean",
        SIZE * gap.amin(1).mean().item(),
        within=0.02,
    )
    least = SIZE * ordered[:, 0]
    yield Seen(f"the least time of a batch times {SIZE}, its mean", least.mean().item(), within=0.02)
    yield Seen("and its standard deviation", least.std().item(), within=0.02)
    together = torch.corrcoef(torch.stack([least[1:], least[:-1]]))[0, 1].nan_to_num(1.0)
    yield Seen("and its correlation with the one of the batch before", together.item(), within=0.07)


WRONG = [
    Swap("independent", "with times that are drawn on their own", "how many random numbers a batch has: one",
         "shift = torch.rand(batches, 1, generator=generator)\n    return (shift + torch.arange(size)) / size",
         "return torch.rand(batches, size, generator=generator)"),
    Swap("a-shift-for-each", "with a shift for each time: one in every stratum, but no equal gaps",
         "how many random numbers a batch has: one", "torch.rand(batches, 1,", "torch.rand(batches, size,"),
    Swap("one-shift-for-all", "when all batches have the same shift", "the number of shifts: one for each batch",
         "torch.rand(batches, 1, generator=generator)", "torch.rand(1, 1, generator=generator).expand(batches, 1)"),
    Swap("no-shift", "without a shift, so that most times are never seen", "the shift u",
         "(shift + torch.arange(size)) / size",
         "(0 * shift + 0.5 + torch.arange(size)) / size"),
    Swap("both-ends", "when the gaps are 1 / (size − 1), so that the last time is too late", "the gaps: 1 / size",
         "(shift + torch.arange(size)) / size", "shift / size + torch.arange(size) / (size - 1)"),
    Swap("shift-of-whole", "when the shift is not divided by size, so that times lie beyond 1",
         "the length of the shift: at most to the next time",
         "(shift + torch.arange(size)) / size", "shift + torch.arange(size) / size"),
]  # fmt: skip


@right
def around_the_circle(batches: int, size: int, generator: Generator) -> Tensor:
    shift = torch.rand(batches, 1, generator=generator, dtype=torch.float64)
    return 1 - (shift + torch.linspace(0, 1, size + 1)[:-1]) % 1


@right
def batch_by_batch(batches: int, size: int, generator: Generator) -> list[list[float]]:
    return [[(u + i) / size for i in range(size)] for u in torch.rand(batches, generator=generator).tolist()]


@right
def shuffled(batches: int, size: int, generator: Generator) -> np.ndarray:
    order = torch.argsort(torch.rand(batches, size, generator=generator), dim=1)
    return ((order + torch.rand(batches, generator=generator)[:, None]) / size).numpy()
