"""Data sets by name, of images or of points, those of torchvision, and any folder or archive of images."""

from dataclasses import fields, replace
from pathlib import Path

import torch

from diffcli.console.show import Show
from diffcli.data import canvas_names, points
from diffcli.data.dataset import Dataset
from diffcli.data.fitting import digest
from diffcli.data.folders import is_place, load_folder, splits_of
from diffcli.data.kinds import IMAGES, Items
from diffcli.data.published import DATASETS, clinical, is_medical
from diffcli.data.reading import PLAIN, Reading
from diffcli.data.vision import PREFIX
from diffcli.errors import DataProblem, UsageProblem, one_of
from diffcli.system.files import expanded, is_dir, is_file

HINTLESS = "leave data.hints out"


def names() -> list[str]:
    """Of all data sets that are neither a folder nor of torchvision."""
    return [*DATASETS, *canvas_names.SIDES, *points.TITLES]


def load_dataset(name: str, split: str = "train", *, data: Path | None = None, reading: Reading = PLAIN) -> Dataset:
    """A data set by name, of images or of points, one of torchvision, or the images of a folder or an archive.

    split:    "train", "test", or "val" where a set has one (it is in neither of the others)
    data:     a folder to look in first for the files of a named set
    reading:  how the files of a folder or of torchvision are read

    Raises DataProblem for an unknown name and where files are missing or broken, UsageProblem for an unknown split or
    argument, EnvironmentProblem where torchvision is asked for and cannot be imported.
    """
    if name in DATASETS:
        _refuse(reading, f"{name} has its own")
        return _load_named(name, split, data)
    if (canvas := canvas_names.canonical(name)) in canvas_names.SIDES:
        from diffcli.data.canvas import canvas_dataset, with_hints

        _refuse(replace(reading, hints=""), f"{canvas} is painted")
        found = canvas_dataset(canvas, one_of(split, canvas_names.COUNTS, f"split of {canvas}"))
        return with_hints(found, reading.hints) if reading.hints else found
    if name in points.TITLES:
        _refuse(reading, f"{name} holds points")
        return points.toy_dataset(name, one_of(split, points.COUNTS, f"split of {name}"))
    if name.startswith(PREFIX):
        from diffcli.data.vision.request import parse
        from diffcli.data.vision.samples import load

        if reading.hints:
            raise UsageProblem(f"data.hints belongs to folders of images and to canvases, not to {name}", HINTLESS)
        return load(parse(name), split, data, reading.size)
    folder = expanded(name)
    if name and (is_dir(folder) or (is_file(folder) and is_place(folder))):
        return load_folder(folder, reading, split)
    if reading.mark and data is not None and not folder.exists():
        return _moved(name, data, reading, split)
    if is_file(folder):
        raise DataProblem(f"{name} is one file, not a folder of images", "name the folder that holds the images")
    known = [*names(), f"{PREFIX}NAME"]
    if len(folder.parts) > 1 or name.startswith("."):
        raise DataProblem(f"no such folder: {name}", f"a data set is a folder of images or one of {', '.join(known)}")
    one_of(name, known, "data set (and no such folder)", DataProblem)
    raise AssertionError


def has_test_split(name: str, data: Path | None = None) -> bool:
    """Whether a data set that could be loaded has images of its own to test on, and need not hold some out.

    data:  where a folder may have been moved to
    """
    if name.startswith(PREFIX):
        from diffcli.data.vision.request import parse

        return bool(parse(name).entry.split)
    if canvas_names.canonical(name) in names():
        return True
    place = expanded(name)
    place = data if data is not None and not place.exists() else place
    return (is_dir(place) or (is_file(place) and is_place(place))) and bool(splits_of(place))


def _moved(name: str, data: Path, reading: Reading, split: str) -> Dataset:
    """The images of a folder that is no longer there, from another one; raises DataProblem unless they are the same."""
    found = load_folder(data, reading)
    if found.fingerprint != reading.mark:
        raise DataProblem(f"{data} does not hold the very images that were in {name}", "name the folder where they are")
    return found if split == "train" else load_folder(data, reading, split)


def lasting(name: str, reading: Reading, dataset: Dataset) -> tuple[str, Reading]:
    """The name and the reading that load a data set again, that was loaded as these: a folder by its whole path.

    The size that images of torchvision were given is kept, because their test images may have another; and the scale
    that was found in a first pass, because other images have to be read by it.
    """
    if (named := canvas_names.canonical(name)) in names():
        return named, reading
    if name.startswith(PREFIX):
        from diffcli.data.vision.request import parse

        _, height, width = dataset.shape
        return parse(name).spelling, replace(reading, size=height if height == width else reading.size)
    if dataset.items.spans is not None:
        reading = replace(reading, range=str(dataset.items.spans))
    if reading.hints and is_dir(expanded(reading.hints)):
        reading = replace(reading, hints=str(expanded(reading.hints).resolve()))
    return str(expanded(name).resolve()), reading


def _refuse(reading: Reading, why: str) -> None:
    """Raise UsageProblem for what concerns files only."""
    reading = replace(reading, mark="")
    if reading != PLAIN:
        key = next(f.name for f in fields(reading) if getattr(reading, f.name) != f.default)
        raise UsageProblem(f"data.{key} belongs to folders of images; {why}", f"leave data.{key} out")


def _load_named(name: str, split: str, data: Path | None) -> Dataset:
    source = DATASETS[name]
    images, labels = source.read(one_of(split, source.images, f"split of {name}"), data)
    items = Items(IMAGES, images.shape[1:], source.classes, patients=is_medical(name))
    if said := clinical(name, items):
        Show.of_command().once(said)
    notes = []
    if len(images) != source.images[split]:  # of files that have no checksum
        notes.append(f"{len(images)} images, where the published set has {source.images[split]}")
    return Dataset(
        name, items, torch.from_numpy(images), torch.from_numpy(labels).long(),
        digest(images.tobytes(), labels.tobytes()), tuple(notes),
    )  # fmt: skip
