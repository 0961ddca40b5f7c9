"""The real images that samples are held against: those compared with, those trained on, those for the floor."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffcli.core.randomness import keyed
from diffcli.data import loading as datasets
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import IMAGES
from diffcli.data.reading import PLAIN, Reading
from diffcli.errors import DataProblem, UsageProblem
from diffcli.runs.loading import find, read

SPLITS = ("train", "test", "val")
MOST_HELD = 10_000  # images of a folder that are kept apart; a tenth of it at most


@dataclass(frozen=True)
class Reference:
    """Real images of one data set.

    name, split:  what samples are compared with
    real:         the images of that split
    train:        the images that a model of these data was trained on, where copies are looked for
    unseen:       real images that are not in `real`, for the floor: what a perfect model would get
    """

    name: str
    split: str
    real: Dataset
    train: Dataset
    unseen: Dataset

    @property
    def untrained(self) -> Dataset:
        """Real images that no model was trained on."""
        return self.unseen if self.split == "train" else self.real


def reference(spec: str, data: Path | None, reading: Reading = PLAIN) -> Reference:
    """The data set that is called DATASET or DATASET:SPLIT, by default its training images.

    reading:  how the files of a folder or of torchvision are read; those of named sets have one way

    Raises DataProblem for data that are missing or too few, UsageProblem for points and unknown splits.
    """
    name, split = parsed(spec)
    reading = PLAIN if name in datasets.names() else reading
    if not datasets.has_test_split(name, data):
        return _of_folder(name, split, data, reading)
    train, test = (datasets.load_dataset(name, s, data=data, reading=reading) for s in ("train", "test"))
    _check(train)
    real = {"train": train, "test": test}.get(split) or datasets.load_dataset(name, split, data=data, reading=reading)
    return Reference(name, split, real, train, train if split == "test" else test)


def parted(dataset: Dataset, count: int, like: Tensor | None, others: int = 0) -> tuple[Dataset, Dataset]:
    """At most `count` images of a data set, and at most so many others; random, and always the same.

    like:  classes [N] of samples: the first part has as many images of each, as far as there are so many
    """
    order, labels = shuffled(len(dataset)), dataset.labels
    if like is None or labels is None:
        first = order[:count]
    else:
        wanted = like.bincount(minlength=int(labels.max()) + 1).tolist()
        first = torch.cat([order[labels[order] == label][:most] for label, most in enumerate(wanted)])
    return dataset.only(first), dataset.only(order[~torch.isin(order, first)][:others])


def trained_on(run: str | None) -> tuple[str, Reading]:
    """The data set that a run was trained on, and how its files are read; None is the newest run."""
    stored = read(find(run, "diffusion"))
    return stored.recipe.data.name, stored.reading


def parsed(spec: str) -> tuple[str, str]:
    """DATASET:SPLIT -> both; the split is train where none is named."""
    name, _, split = spec.rpartition(":")
    return (name, split) if name and split in SPLITS else (spec, "train")


def shuffled(count: int) -> Tensor:
    """The numbers 0 ... count - 1 in an order that is always the same."""
    return torch.randperm(count, generator=keyed(0, "judged"))


def _of_folder(name: str, split: str, data: Path | None, reading: Reading) -> Reference:
    """A folder has no splits: a tenth of it is kept apart."""
    if split != "train":
        raise UsageProblem(f"{name} is a folder, which has no {split} split", f"leave :{split} out")
    whole = datasets.load_dataset(name, data=data, reading=reading)
    _check(whole)
    if len(whole) < 20:
        raise DataProblem(f"{name} has {len(whole)} images, too few to judge by", "use a folder of 20 or more")
    seen, kept = whole.holdout(MOST_HELD)
    train = whole.only(seen.sort().values)
    return Reference(name, split, train, train, whole.only(kept))


def _check(dataset: Dataset) -> None:
    if dataset.items.kind is not IMAGES:
        raise UsageProblem(f"{dataset.name} holds {dataset.items.kind.name}, not images", "evaluate judges images")
