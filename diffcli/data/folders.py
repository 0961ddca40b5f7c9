"""A folder of images, an archive or a file of several images as a data set."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.data.dataset import Dataset
from diffcli.data.decoding import Decoded, few
from diffcli.data.fitting import digest
from diffcli.data.keeping import decoded_once
from diffcli.data.kinds import IMAGES, Items
from diffcli.data.layout import Layout, layout, numbering
from diffcli.data.pairs import apart, mark_of, paired, suspected
from diffcli.data.published import clinical
from diffcli.data.readers import MEDICAL, SLICES, SUFFIXES, UNREADABLE
from diffcli.data.readers.arrays import DAMAGED, labels_of
from diffcli.data.reading import PLAIN, Reading
from diffcli.data.scan import LeftOut, Scan, reader_kind, scan, told
from diffcli.data.sources import ImageSource, is_archive
from diffcli.errors import DataProblem, one_of
from diffcli.system.text import legible

NONE = "(none)"  # what the class of images outside the sub-folders is called


def load_folder(place: Path, reading: Reading = PLAIN, split: str = "train") -> Dataset:
    """The images below a folder or in an archive, with a class per sub-folder; in memory if they fit.

    split:  that the folder names, where it has any; a folder without is one itself, whatever is asked for

    Grey images stay one channel; one colour image makes all of them colour. Raises DataProblem.
    """
    found, hints, named = laid_out(place, reading.hints)
    splits = named.splits
    sources = splits[_split(split, splits, place)]
    result = decoded_once(sources, reading, Show.of_command())
    labels, classes = _labels(result, named, reading.frames == "first")
    notes = [*named.notes, *result.notes]
    if labels is not None:
        notes += few(labels.tolist(), [name or NONE for name in classes])
    if not reading.hints and (beside := suspected(found.images)):
        notes.append(beside)
    if left := told((*found.left, *named.left)):
        notes.append(left)
    pairs = paired(result.pages, found.images, hints, reading.hints, result.shape) if reading.hints else None
    patients = any(reader_kind(source) in (MEDICAL, SLICES) for source in sources)
    items = Items(IMAGES, result.shape, tuple(name or NONE for name in classes), result.spans, patients)
    name = legible(place.resolve().name)
    if said := clinical(name, items):
        Show.of_command().once(said)
    mark = _mark(result, named, items.classes)
    mark = mark if pairs is None else mark_of(mark, pairs)
    return Dataset(name, items, result.storage, labels, mark, tuple(notes), hints=pairs)


def laid_out(place: Path, hints: str = "") -> tuple[Scan, dict[str, ImageSource], Layout]:
    """What lies below a folder or in an archive, by its names, and hints by the names of their images.

    Raises DataProblem where no image does.
    """
    found, beside = scan(place), dict[str, ImageSource]()
    if hints:
        images, beside, others = apart(found.images, hints)
        found = replace(found, images=tuple(images), left=(*found.left, *others))
    if not found.images:
        left = told(found.left)
        raise DataProblem(
            f"no images in {place}" + (f"; {left}" if left else ""), f"images end in {', '.join(SUFFIXES)}"
        )
    named = layout(found.images, found.tables)
    if not any(named.splits.values()):
        raise DataProblem(f"the table of labels in {place} names none of its images", "see the names in it")
    return found, beside, named


def everything_left(place: Path) -> list[LeftOut]:
    """What is left out of a folder or an archive, all of it; raises DataProblem where no image is left."""
    found, _, named = laid_out(place)
    return sorted((*found.left, *named.left))


def splits_of(place: Path) -> tuple[str, ...]:
    """The splits that a folder or an archive has; none where its images are not divided."""
    found = scan(place)
    splits = tuple(layout(found.images, found.tables).splits) if found.images else ()
    return splits if len(splits) > 1 else ()


def image_sources(place: Path) -> tuple[ImageSource, ...]:
    """The image files below a folder, in order; raises DataProblem where there is none."""
    return laid_out(place)[0].images


def is_place(path: Path) -> bool:
    """Whether a file is one that holds a data set: an archive, or images of a kind that has several in a file."""
    several = (".npy", ".npz", ".nii", ".nii.gz", ".tif", ".tiff", ".gif", ".dcm")
    return is_archive(path) or path.name.lower().endswith(several)


def _split(asked: str, splits: dict[str, tuple[ImageSource, ...]], place: Path) -> str:
    """The split that is meant: of a folder without splits its only one, and its validation where it has no test."""
    if len(splits) == 1:
        return next(iter(splits))
    if asked == "test" and "test" not in splits:
        return "val"
    return one_of(asked, splits, f"split of {place}")


def _labels(result: Decoded, named: Layout, first: bool) -> tuple[Tensor | None, tuple[str, ...]]:
    """The class of each image [N], and the names of all: of folders and tables, or of arrays beside the images."""
    inside = _inside(named) if named.labels is None else None
    if inside is not None:
        for source, count in Counter(page.source for page in result.pages).items():
            if len(inside[source]) != count and (len(inside[source]) < count or not first):
                held = f"{count:,} images and {len(inside[source]):,} classes"
                raise DataProblem(f"{source} holds {held}", "there is one class for an image")
        names = [inside[page.source][page.number] for page in result.pages]
        classes = tuple(sorted({name for some in inside.values() for name in some}, key=numbering))
    elif named.labels is not None:
        names, classes = [named.labels[page.source] for page in result.pages], named.classes
    else:
        return None, ()
    number = {name: i for i, name in enumerate(classes)}
    return torch.tensor([number[name] for name in names]), tuple(map(legible, classes))


def _inside(named: Layout) -> dict[ImageSource, list[str]] | None:
    """The classes that numpy files hold beside their images, of all splits; None unless all files have some.

    Raises DataProblem where they are no classes.
    """
    found: dict[ImageSource, list[str]] = {}
    for source in [source for some in named.splits.values() for source in some]:
        try:
            names = labels_of(source)
        except (*UNREADABLE, *DAMAGED) as error:
            raise DataProblem(f"{source}: {error}", "classes are whole numbers or words, one for an image") from None
        if names is None:
            return None
        found[source] = names
    return found if len({name for some in found.values() for name in some}) > 1 else None


def _mark(result: Decoded, named: Layout, classes: Sequence[str]) -> str:
    """The fingerprint: of classes and pixels, or of names and sizes where the pixels stay on the disk."""
    if isinstance(result.storage, Tensor):
        tops = [_top(page.source, named) for page in result.pages]
        of_classes = "\n".join((*classes, *tops)).encode("utf-8", "surrogateescape")
        pixels = result.storage.numpy().reshape(-1).view("uint8")  # where they lie: a copy may be half of the memory
        return digest(of_classes, pixels.data)
    stamps = "\n".join(f"{source.name} {source.length}" for source in dict.fromkeys(p.source for p in result.pages))
    return digest(stamps.encode("utf-8", "surrogateescape"))


def _top(source: ImageSource, named: Layout) -> str:
    if named.labels is not None:
        return named.labels[source]
    return source.parts[0] if len(source.parts) > 1 else ""
