"""Data sets by name, of images or of points, and any folder of images."""

import hashlib
import math
import os
from pathlib import Path

import torch

from diffcli.data import points
from diffcli.data.dataset import Dataset
from diffcli.data.images import GREY, SUFFIXES, Files, header
from diffcli.data.kinds import IMAGES, Items
from diffcli.data.published import DATASETS
from diffcli.errors import DataProblem, UsageProblem, one_of
from diffcli.system.files import is_dir, is_file

MEMORY_LIMIT = 1 << 30  # bytes of uint8 pixels; a larger set stays on disk and is read by workers
LARGEST_DEFAULT_SIDE = 64


def names() -> list[str]:
    """Of all data sets that are no folder."""
    return [*DATASETS, *points.TITLES]


def load_dataset(name: str, split: str = "train", *, data: Path | None = None, size: int = 0) -> Dataset:
    """A data set by name, of images or of points, or the images of a folder.

    split:  "train", "test", or "val" where a set has one (it is in neither of the others); a folder has no splits
    data:   a folder to look in first for the files of a named set
    size:   side of the square that a folder's images are cropped to; 0 keeps images of one size as they are

    Raises DataProblem for an unknown name and where files are missing or broken, UsageProblem for an unknown split.
    """
    if name in DATASETS:
        if size:
            raise UsageProblem(f"size belongs to folders of images; {name} has its own", "leave size at 0")
        return _load_named(name, split, data)
    if name in points.TITLES:
        if size:
            raise UsageProblem(f"size belongs to folders of images; {name} holds points", "leave size at 0")
        return points.toy_dataset(name, one_of(split, points.COUNTS, f"split of {name}"))
    folder = Path(os.path.expanduser(name))  # noqa: PTH111  (Path's raises for an unknown user)
    if name and is_dir(folder):
        return load_folder(folder, size)
    if is_file(folder):
        raise DataProblem(f"{name} is a file, not a folder of images", "name the folder that holds the images")
    if len(folder.parts) > 1 or name.startswith("."):
        raise DataProblem(f"no such folder: {name}", f"a data set is a folder of images or one of {', '.join(names())}")
    one_of(name, names(), "data set (and no such folder)", DataProblem)
    raise AssertionError


def _load_named(name: str, split: str, data: Path | None) -> Dataset:
    source = DATASETS[name]
    images, labels = source.read(one_of(split, source.images, f"split of {name}"), data)
    digest = _digest(images.tobytes(), labels.tobytes())
    notes = []
    if len(images) != source.images[split]:  # of files that have no checksum
        notes.append(f"{len(images)} images, where the published set has {source.images[split]}")
    return Dataset(
        name, Items(IMAGES, images.shape[1:], source.classes), torch.from_numpy(images),
        torch.from_numpy(labels).long(), digest, tuple(notes),
    )  # fmt: skip


def load_folder(folder: Path, size: int = 0) -> Dataset:
    """The images below a folder, a class per sub-folder where there are several; in memory if they fit.

    Grey images stay one channel; one colour image makes all of them colour.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not _hidden(p.relative_to(folder)))
    if not paths:
        raise DataProblem(f"no images in {folder}", f"images end in {', '.join(sorted(SUFFIXES))}")
    modes, sizes = zip(*map(header, paths), strict=True)
    grey = all(mode in GREY for mode in modes)
    notes = []
    if any(mode.startswith("I") or mode == "F" for mode in modes):
        notes.append("16-bit images are reduced to 8 bits")
    if any("A" in mode or mode == "P" for mode in modes):
        notes.append("transparency is laid over white")

    width, height = sizes[0]
    smallest = min(min(pair) for pair in sizes)
    if size == 0 and (len(set(sizes)) > 1 or max(width, height) > LARGEST_DEFAULT_SIDE):
        size = min(LARGEST_DEFAULT_SIDE, smallest)
        notes.append(f"images are cropped and resized to {size}x{size} (--set size=N for another)")
    elif size and any(pair != (size, size) for pair in sizes):
        notes.append(f"images are cropped and resized to {size}x{size}")
    if size:
        width = height = size

    tops = [p.relative_to(folder).parts[0] if p.parent != folder else "" for p in paths]
    classes = tuple(sorted(set(tops)))
    labels = torch.tensor([classes.index(top) for top in tops]) if len(classes) > 1 else None
    if labels is None:
        classes = ()
    elif "" in classes:
        notes.append("images outside the sub-folders are a class of their own")
        classes = tuple(c or "(none)" for c in classes)

    shape = (1 if grey else 3, height, width)
    reader, items = Files(tuple(paths), shape), Items(IMAGES, shape, classes)
    if len(paths) * math.prod(shape) <= MEMORY_LIMIT:
        pixels = torch.stack([reader[i] for i in range(len(paths))])
        names = "\n".join((*classes, *tops)).encode()
        return Dataset(folder.name, items, pixels, labels, _digest(names, pixels.numpy().tobytes()), tuple(notes))
    stamps = "\n".join(f"{p.relative_to(folder)} {p.stat().st_size}" for p in paths)
    return Dataset(folder.name, items, reader, labels, _digest(stamps.encode()), tuple(notes))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]
