"""Any folder of images as a data set."""

from pathlib import Path

import torch

from diffcli.data.dataset import Dataset
from diffcli.data.fitting import common_shape, digest, in_memory
from diffcli.data.images import SUFFIXES, Files, header
from diffcli.data.kinds import IMAGES, Items
from diffcli.errors import DataProblem


def load_folder(folder: Path, size: int = 0) -> Dataset:
    """The images below a folder, a class per sub-folder where there are several; in memory if they fit.

    Grey images stay one channel; one colour image makes all of them colour.
    """
    paths = image_paths(folder)
    name = folder.resolve().name
    headers = [header(path) for path in paths]
    shape, notes = common_shape(headers, size)

    tops = [p.relative_to(folder).parts[0] if p.parent != folder else "" for p in paths]
    classes = tuple(sorted(set(tops)))
    labels = torch.tensor([classes.index(top) for top in tops]) if len(classes) > 1 else None
    if labels is None:
        classes = ()
    elif "" in classes:
        notes.append("images outside the sub-folders are a class of their own")
        classes = tuple(c or "(none)" for c in classes)

    reader, items = Files.of(paths, headers, shape), Items(IMAGES, shape, classes)
    if (pixels := in_memory(reader, shape)) is not None:
        of_classes = "\n".join((*classes, *tops)).encode(errors="surrogateescape")
        return Dataset(name, items, pixels, labels, digest(of_classes, pixels.numpy().tobytes()), tuple(notes))
    stamps = "\n".join(f"{p.relative_to(folder)} {p.stat().st_size}" for p in paths)
    return Dataset(name, items, reader, labels, digest(stamps.encode(errors="surrogateescape")), tuple(notes))


def image_paths(folder: Path) -> list[Path]:
    """The image files below a folder, sorted; raises DataProblem where there is none."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not _hidden(p.relative_to(folder)))
    if not paths:
        raise DataProblem(f"no images in {folder}", f"images end in {', '.join(sorted(SUFFIXES))}")
    return paths


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
