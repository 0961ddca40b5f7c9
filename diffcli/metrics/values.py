"""Which values do the images of a data set have? What a model in training is to reproduce, at its coarsest."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from diffcli.data.dataset import Dataset

AT_ONCE = 1 << 22  # values


class Values(NamedTuple):
    """Mean, spread (of the population), least and greatest of all values."""

    mean: float
    std: float
    min: float
    max: float


def measure(dataset: Dataset) -> Iterator[tuple[int, Values]]:
    """The number of images read so far and their values in [-1, 1], block by block; the last is of all of them."""
    numbers = math.prod(dataset.shape)
    block = max(1, AT_ONCE // numbers)
    total, squares, least, greatest = 0.0, 0.0, math.inf, -math.inf
    for first in range(0, len(dataset), block):
        done = min(first + block, len(dataset))
        values = dataset.take(range(first, done))[0].double()
        total, squares = total + values.sum().item(), squares + values.square().sum().item()
        least, greatest = min(least, values.min().item()), max(greatest, values.max().item())
        mean = total / (done * numbers)
        yield done, Values(mean, math.sqrt(max(0.0, squares / (done * numbers) - mean**2)), least, greatest)
