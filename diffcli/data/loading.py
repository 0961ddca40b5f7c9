"""Data sets by name, of images or of points, those of torchvision, and any folder of images."""

import os
from pathlib import Path
from typing import NamedTuple

import torch

from diffcli.data import points
from diffcli.data.dataset import Dataset
from diffcli.data.fitting import digest
from diffcli.data.folders import load_folder
from diffcli.data.kinds import IMAGES, Items
from diffcli.data.published import DATASETS
from diffcli.data.vision import PREFIX
from diffcli.errors import DataProblem, UsageProblem, one_of
from diffcli.system.files import is_dir, is_file


def names() -> list[str]:
    """Of all data sets that are neither a folder nor of torchvision."""
    return [*DATASETS, *points.TITLES]


def load_dataset(name: str, split: str = "train", *, data: Path | None = None, size: int = 0) -> Dataset:
    """A data set by name, of images or of points, one of torchvision, or the images of a folder.

    split:  "train", "test", or "val" where a set has one (it is in neither of the others); a folder has no splits
    data:   a folder to look in first for the files of a named set
    size:   side of the square that the images of a folder or of torchvision are cropped to; 0 keeps those of one size

    Raises DataProblem for an unknown name and where files are missing or broken, UsageProblem for an unknown split or
    argument, EnvironmentProblem where torchvision is asked for and cannot be imported.
    """
    if name in DATASETS:
        if size:
            raise UsageProblem(f"size belongs to folders of images; {name} has its own", "leave size at 0")
        return _load_named(name, split, data)
    if name in points.TITLES:
        if size:
            raise UsageProblem(f"size belongs to folders of images; {name} holds points", "leave size at 0")
        return points.toy_dataset(name, one_of(split, points.COUNTS, f"split of {name}"))
    if name.startswith(PREFIX):
        from diffcli.data.vision.request import parse
        from diffcli.data.vision.samples import load

        return load(parse(name), split, data, size)
    folder = Path(os.path.expanduser(name))  # noqa: PTH111  (Path's raises for an unknown user)
    if name and is_dir(folder):
        return load_folder(folder, size)
    if is_file(folder):
        raise DataProblem(f"{name} is a file, not a folder of images", "name the folder that holds the images")
    known = [*names(), f"{PREFIX}NAME"]
    if len(folder.parts) > 1 or name.startswith("."):
        raise DataProblem(f"no such folder: {name}", f"a data set is a folder of images or one of {', '.join(known)}")
    one_of(name, known, "data set (and no such folder)", DataProblem)
    raise AssertionError


def has_test_split(name: str) -> bool:
    """Whether a data set that could be loaded has images of its own to test on, and need not hold some out."""
    if name.startswith(PREFIX):
        from diffcli.data.vision.request import parse

        return bool(parse(name).entry.split)
    return name in names()


class Lasting(NamedTuple):
    """How a recipe names its data, so that they are found again from wherever, and are cropped alike."""

    name: str
    size: int


def lasting(name: str, size: int, dataset: Dataset) -> Lasting:
    """The name and the size that load a data set again, that was loaded as these: a folder by its whole path.

    The size that images of torchvision were given is kept, because their test images may have another.
    """
    if name in names():
        return Lasting(name, size)
    if name.startswith(PREFIX):
        from diffcli.data.vision.request import parse

        _, height, width = dataset.shape
        return Lasting(parse(name).spelling, height if height == width else size)
    return Lasting(str(Path(name).expanduser().resolve()), size)


def _load_named(name: str, split: str, data: Path | None) -> Dataset:
    source = DATASETS[name]
    images, labels = source.read(one_of(split, source.images, f"split of {name}"), data)
    notes = []
    if len(images) != source.images[split]:  # of files that have no checksum
        notes.append(f"{len(images)} images, where the published set has {source.images[split]}")
    return Dataset(
        name, Items(IMAGES, images.shape[1:], source.classes), torch.from_numpy(images),
        torch.from_numpy(labels).long(), digest(images.tobytes(), labels.tobytes()), tuple(notes),
    )  # fmt: skip
