"""The pictures that samples are to obey: read from files, or found in images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffcli.data.conditions import CONDITIONS
from diffcli.data.dataset import to_unit
from diffcli.data.images import header, read_image
from diffcli.data.readers import is_grey
from diffcli.errors import DataProblem, UsageProblem
from diffcli.runs.controlling import ControlTaken
from diffcli.sampling.models import Model
from diffcli.sampling.options import SamplingOptions
from diffcli.system.files import is_dir

ARRAY = ".npy"
PICTURES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".jpg", ".jpeg", ".webp", ARRAY)


@dataclass(frozen=True)
class Hinted:
    """Hints by the name of the condition that a network is told, [n, k, H, W] each in [-1, 1].

    found:  whether they were found in images, and are worth keeping
    """

    hints: tuple[tuple[str, Tensor], ...] = ()
    found: bool = False

    @property
    def count(self) -> int:
        """The most that there are of one condition."""
        return max((len(hints) for _, hints in self.hints), default=0)

    def of(self, count: int) -> dict[str, Tensor]:
        """The conditions of so many items, [count, k, H, W]: in turn."""
        return {name: hints[torch.arange(count) % len(hints)] for name, hints in self.hints}


def hints_of(wanted: SamplingOptions, model: Model) -> Hinted:
    """The hints that the options give to a model.

    Raises UsageProblem where it takes none, or not so many, and where --control is given none; DataProblem for those
    that do not fit.
    """
    given = wanted.hint or wanted.hint_from
    if not given:
        if wanted.control:
            raise UsageProblem("--control needs a picture to obey", "add --hint IMAGE, or --hint-from IMAGE")
        return Hinted()
    if wanted.hint and wanted.hint_from:
        raise UsageProblem("--hint and --hint-from exclude each other", "leave one out")
    if not model.controls:
        raise UsageProblem(
            f"{model.name} takes no hints", "add --control RUN, or sample a run of diffcli control train"
        )
    if len(given) not in (1, len(model.controls)):
        raise UsageProblem(
            f"{len(given)} hints are given, and {model.name} takes {len(model.controls)}",
            "one for each, or one for all",
        )
    paths = given if len(given) > 1 else given * len(model.controls)
    read = _found_in if wanted.hint_from else _read
    hints = [
        (control.name, torch.cat([read(path, control, model) for path in files_of(place)]))
        for place, control in zip(paths, model.controls, strict=True)
    ]
    return Hinted(tuple(hints), found=bool(wanted.hint_from))


def files_of(place: Path) -> list[Path]:
    """A file, or those in a folder, by name. Raises DataProblem for a folder without any."""
    if not is_dir(place):
        return [place]
    found = sorted(path for path in place.iterdir() if path.suffix.lower() in PICTURES)
    if not found:
        raise DataProblem(f"{place} holds no hints", f"they are images, or arrays in {ARRAY}")
    return found


def _read(path: Path, control: ControlTaken, model: Model) -> Tensor:
    """A hint in a file, [1, k, H, W]; raises DataProblem for one of another size or of other channels."""
    planes, height, width = control.shape
    if path.suffix.lower() == ARRAY:
        return _array(path, control.shape)
    mode, (wide, high) = header(path)
    if (wide, high) != (width, height):
        raise DataProblem(f"{path} is {wide}x{high}, and hints of {control.place} are {width}x{height}", "resize it")
    if planes not in (1, 3):
        raise DataProblem(f"hints of {control.place} have {planes} planes, which no picture has", f"use {ARRAY}")
    pixels = read_image(path, (3, height, width))
    grey = bool((pixels == pixels[:1]).all())
    if planes == 1 and not grey:
        raise DataProblem(f"{path} has colours, and hints of {control.place} are grey", "convert it")
    if planes == 3 and is_grey(mode):
        raise DataProblem(f"{path} is grey, and hints of {control.place} have 3 channels", "convert it")
    return to_unit(pixels[:planes]).unsqueeze(0)


def _array(path: Path, shape: Sequence[int]) -> Tensor:
    """A hint in an array [k, H, W]: bytes, or numbers in [-1, 1]."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataProblem(f"cannot read {path}: {error}") from None
    if array.shape != tuple(shape):
        sizes = ["x".join(map(str, size)) for size in (array.shape, shape)]
        raise DataProblem(f"{path} is {sizes[0]}, and hints of this model are {sizes[1]}", "planes, height, width")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    found = to_unit(torch.from_numpy(array if array.dtype == np.uint8 else array.astype(np.float32)))
    if not bool((found.abs() <= 1).all()):
        raise DataProblem(f"{path} has numbers outside of [-1, 1]", "or write bytes, 0 to 255")
    return found.unsqueeze(0)


def _found_in(path: Path, control: ControlTaken, model: Model) -> Tensor:
    """The hint of an image [1, k, H, W]."""
    known = CONDITIONS.get(control.condition)
    if known is None or known.extract is None:
        raise UsageProblem(f"{control.condition} cannot be found in an image", "give the picture itself by --hint")
    channels, height, width = model.items.shape
    image = to_unit(read_image(path, (channels, height, width), model.items.spans)).unsqueeze(0)
    found = known.extract(image)
    if tuple(found.shape[1:]) != control.shape:
        raise DataProblem(f"hints of {control.place} are {'x'.join(map(str, control.shape))}, which this is not")
    return found
