"""Items to look at: some of a data set, one of each class first, or a single image file."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from diffcli.core.randomness import keyed
from diffcli.data.dataset import Dataset, to_unit
from diffcli.data.images import header, read_image
from diffcli.data.readers import is_grey

LARGEST = 256  # pixels of the longer side of an image file
CHOSEN_FROM = 1000  # items, drawn at random


def examples(dataset: Dataset, count: int, seed: int) -> Tensor:
    """`count` items of a data set [N, ...], all of them if it has fewer; one of each class first, then the second."""
    order = torch.randperm(len(dataset), generator=keyed(seed, "show"))[: max(CHOSEN_FROM, count)]
    if dataset.labels is not None:
        labels = dataset.labels[order]
        rank = one_hot(labels).cumsum(0).gather(1, labels.unsqueeze(1)).squeeze(1)
        order = order[rank.argsort(stable=True)]
    return dataset.take(order[:count])[0]


def first(dataset: Dataset, count: int) -> Dataset:
    """The first `count` items of a data set, or all of them, as one of their own."""
    return dataset.only(torch.arange(min(count, len(dataset))))


def image_file(path: Path) -> Tensor:
    """An image file [1, C, H, W] in [-1, 1], grey or colour; a large one is made smaller in its proportions."""
    mode, (width, height) = header(path)
    factor = min(1.0, LARGEST / max(width, height))
    shape = (1 if is_grey(mode) else 3, max(1, round(height * factor)), max(1, round(width * factor)))
    return to_unit(read_image(path, shape)).unsqueeze(0)
