"""The images and classes of a data set of torchvision, brought to one shape as those of a folder are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffcli.console.show import Show
from diffcli.data.dataset import Dataset
from diffcli.data.fitting import Header, Shape, common_shape, digest, fitted, in_memory, reduced
from diffcli.data.images import header
from diffcli.data.kinds import IMAGES, Items
from diffcli.data.pages import Pages, is_fast
from diffcli.data.readers import UNREADABLE, Page
from diffcli.data.readers.pictures import header_of
from diffcli.data.sources import ImageSource
from diffcli.data.vision import places
from diffcli.data.vision.request import Request
from diffcli.errors import DataProblem

PICTURES = (Image.Image, str)  # what a sample's first part may be: an image, or the path of its file


@dataclass(frozen=True)
class SampleReader:
    """The images of a data set of torchvision, read when asked for."""

    source: Any
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Tensor:
        try:
            return fitted(self.source[index][0], self.shape)
        except UNREADABLE as error:
            raise DataProblem(f"image {index} of {type(self.source).__name__} is not readable: {error}") from error


def load(request: Request, split: str, data: Path | None, size: int) -> Dataset:
    """A split of a data set of torchvision, downloaded where it is not here; in memory if it fits.

    size:  side of the square that images are cropped to; 0 keeps those of one size as they are

    Raises UsageProblem, DataProblem and EnvironmentProblem.
    """
    source = places.find(request, split, data)
    if source is None:
        source = places.fetch(request, split)
    return dataset_of(request, source, size)


def dataset_of(request: Request, source: Any, size: int) -> Dataset:
    """The images and classes of an instance of torchvision's class."""
    name = request.entry.name
    if len(source) == 0:
        raise DataProblem(f"{name} holds no images here", "delete its files, or fetch them again")
    found = _in_arrays(source) or _surveyed(name, source)
    shape, notes = common_shape(found.headers, size)
    notes += reduced(found.headers)
    labels, classes, note = _classes(request, source, found.targets)
    paths, pixels = found.paths, found.pixels
    storage: Pages | SampleReader = _files(paths, found.headers, shape) if paths else SampleReader(source, shape)
    if pixels is None or pixels.shape[1:] != shape:
        pixels = in_memory(storage, shape)
    content = [f"{path.name} {path.stat().st_size}" for path in paths] if paths else map(str, found.headers)
    stamps, told = [request.spelling, *content], [*classes, *map(str, [] if labels is None else labels.tolist())]
    of_stamps, of_classes = ("\n".join(lines).encode(errors="surrogateescape") for lines in (stamps, told))
    of_pixels = of_stamps if pixels is None else pixels.numpy().tobytes()
    return Dataset(
        name, Items(IMAGES, shape, classes), storage if pixels is None else pixels, labels,
        digest(of_classes, of_pixels), (*notes, *note),
    )  # fmt: skip


def _files(paths: Sequence[Path], headers: Sequence[Header], shape: Shape) -> Pages:
    """Image files, read when asked for."""
    found = tuple(Page(ImageSource(p, p.name), 0, mode, size) for p, (mode, size) in zip(paths, headers, strict=True))
    return Pages(found, shape, None, is_fast(found))


@dataclass(frozen=True)
class _Survey:
    """What is known of the images before they are brought to one shape.

    headers:  mode and size of each, or of all where they are alike
    targets:  what torchvision gives with each
    paths:    of the files, where it gives these instead of images
    pixels:   uint8 [N, C, H, W] where it has them in memory already
    """

    headers: Sequence[Header]
    targets: Sequence[Any]
    paths: Sequence[Path] = ()
    pixels: Tensor | None = None


def _surveyed(name: str, source: Any) -> _Survey:
    """Every item, one by one; files are not decoded."""
    headers, targets, paths = [], [], []
    with Show.of_command().progress(f"opening {name}", len(source), unit="images") as bar:
        for i in range(len(source)):
            try:
                sample = source[i]
            except Exception as error:  # there is no end to what a data set may raise
                raise DataProblem(f"item {i} of {name} is not readable: {error}", "fetch its files again") from error
            if not isinstance(sample, tuple) or len(sample) != 2 or not isinstance(sample[0], PICTURES):
                raise DataProblem(f"the items of {name} are not an image and a class", "choose another data set")
            image, target = sample
            if isinstance(image, str):
                paths.append(Path(image))
            headers.append(header(paths[-1]) if isinstance(image, str) else header_of(image))
            targets.append(target)
            bar.update(i + 1)
    return _Survey(headers, targets, paths)


def _in_arrays(source: Any) -> _Survey | None:
    """The images and classes that many data sets keep in arrays: 50 times as fast as item by item for MNIST's like.

    They are taken only if the first item, the middle one and the last are in them as the data set gives them.
    """
    data, targets = getattr(source, "data", None), getattr(source, "targets", getattr(source, "labels", None))
    data = torch.from_numpy(data) if isinstance(data, np.ndarray) and data.dtype == np.uint8 else data
    if not isinstance(data, Tensor) or data.dtype != torch.uint8 or data.ndim not in (3, 4):
        return None
    if targets is None or not len(data) == len(targets) == len(source):
        return None
    layouts = [data.unsqueeze(1)] if data.ndim == 3 else [data, data.movedim(3, 1)]
    probes = [(i, *source[i]) for i in (0, len(source) // 2, len(source) - 1)]
    if not all(isinstance(image, Image.Image) and _number(targets[i]) == _number(t) for i, image, t in probes):
        return None
    for pixels in layouts:
        shape = (pixels.shape[1], *pixels.shape[2:])
        if shape[0] in (1, 3) and all(torch.equal(fitted(image, shape), pixels[i]) for i, image, _ in probes):
            numbers = [_number(target) for target in (targets.tolist() if hasattr(targets, "tolist") else targets)]
            return _Survey([header_of(probes[0][1])], numbers, pixels=pixels.contiguous())
    return None


def _classes(request: Request, source: Any, targets: Sequence[Any]) -> tuple[Tensor | None, tuple[str, ...], list[str]]:
    """The class of each image [N], the names of the classes, and why there are none if so.

    Classes have torchvision's numbers, and names where it tells them; else the number is the name.
    """
    numbers = [_number(target) for target in targets]
    if any(number is None for number in numbers):
        return None, (), [_why_none(request, next(t for t, n in zip(targets, numbers, strict=True) if n is None))]
    labels = torch.tensor(numbers, dtype=torch.int64)
    if labels.min() < 0:
        return None, (), [f"{int((labels < 0).sum())} images have no class, so classes are left out"]
    names = _names(source)
    if names and names[0] == "N/A" and labels.min() > 0:  # the letters of EMNIST are numbered from 1
        return labels - 1, names[1:], []
    most = int(labels.max()) + 1
    return labels, names if len(names) >= most else tuple(map(str, range(most))), []


def _number(target: Any) -> int | None:
    """The target as a class; None where it is none."""
    if isinstance(target, int) and not isinstance(target, bool):
        return target
    if getattr(target, "shape", None) == () and "int" in str(target.dtype):  # of torch or numpy
        return int(target)
    return None


def _why_none(request: Request, target: Any) -> str:
    """What a target is that is no class; raises DataProblem for one that is a thing of its own."""
    choice = next((key for key in ("target_type", "target_types") if key in request.entry.parameters), "")
    hint = f"another {choice} may give one" if choice else "choose another data set"
    if target is None:
        return "there are images whose class torchvision does not tell, so classes are left out"
    if isinstance(target, str | bytes | dict | list | tuple | Image.Image):
        kinds: dict[Any, str] = {str: "a text", dict: "annotations", tuple: "several things", list: "several things"}
        found = kinds.get(type(target), "a picture")
        raise DataProblem(f"{request.entry.name} has no class for each image: a target is {found}", hint)
    count = target.numel() if isinstance(target, Tensor) else getattr(target, "size", 1)
    return f"no classes: torchvision gives {count} numbers for an image ({hint})"


def _names(source: Any) -> tuple[str, ...]:
    """Names of classes as data sets keep them, the first where a class has several; () where one keeps none."""
    found = getattr(source, "classes", None) or getattr(source, "categories", None)
    if not found:
        numbered = getattr(source, "class_to_idx", None) or {}
        found = sorted(numbered, key=lambda name: numbered[name])
    names = tuple(name if isinstance(name, str) else name[0] for name in found)
    if len(set(names)) < len(names):
        names = tuple(name if isinstance(name, str) else ", ".join(name) for name in found)
    return names
