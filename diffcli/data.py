"""Data sets: MNIST (bundled), Fashion-MNIST, points in the plane, and any folder of images."""

import gzip
import hashlib
import math
import os
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np
import platformdirs
import torch

from diffcli import points
from diffcli.core.processes.toys import TOYS
from diffcli.dataset import Dataset
from diffcli.errors import DataProblem, UsageProblem, one_of
from diffcli.files import is_dir, is_file
from diffcli.images import GREY, SUFFIXES, Files, header

MEMORY_LIMIT = 1 << 30  # bytes of uint8 pixels; a larger set stays on disk and is read by workers
LARGEST_DEFAULT_SIDE = 64


@dataclass(frozen=True)
class Source:
    """A data set in the idx format of MNIST: where its files lie and what they must contain."""

    title: str
    folder: str  # below a data folder, as torchvision has it
    classes: tuple[str, ...]
    licence: str
    url: str = ""
    sha256: dict[str, str] = field(default_factory=dict)

    def load(self, split: str, extra: Path | None) -> Dataset:
        prefix = {"train": "train", "test": "t10k"}[split]
        images = _read_idx(self._find(f"{prefix}-images-idx3-ubyte.gz", extra), dimensions=3)
        labels = _read_idx(self._find(f"{prefix}-labels-idx1-ubyte.gz", extra), dimensions=1)
        pixels = torch.from_numpy(images).unsqueeze(1)
        return Dataset(
            self.title, pixels, torch.from_numpy(labels).long(), (1, *images.shape[1:]), self.classes,
            _digest(images.tobytes(), labels.tobytes()),
        )  # fmt: skip

    def _find(self, name: str, extra: Path | None) -> bytes:
        """The content of a file, from the first place that has it; raises DataProblem if none has or it is damaged."""
        cache = platformdirs.user_cache_path("diffcli") / self.folder
        folders = [Path(str(files("diffcli") / "bundled" / self.folder))]
        for root in (extra, os.environ.get("DIFFCLI_DATA")):
            if root:
                folders += [Path(root) / self.folder / "raw", Path(root) / self.folder, Path(root)]
        for folder in [*folders, cache]:
            path = folder / name
            if path.is_file():
                content = path.read_bytes()
                if hashlib.sha256(content).hexdigest() != self.sha256[name]:
                    raise DataProblem(
                        f"{path} is not the {self.title} file it should be", "delete it, or fetch it again"
                    )
                return content
        return self._download(name, cache)

    def _download(self, name: str, cache: Path) -> bytes:
        from diffcli.download import fetch

        where = f"put {name} into {cache}, or name its folder by --data or DIFFCLI_DATA"
        if not self.url:
            raise DataProblem(f"{self.title} is incomplete: {name} is missing", where)
        return fetch(f"{self.url}/{name}", cache / name, self.sha256[name], hint=where)


DATASETS: dict[str, Source] = {
    "mnist": Source(
        title="mnist",
        folder="MNIST",
        classes=tuple("0123456789"),
        licence="CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        sha256={
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "fashion-mnist": Source(
        title="fashion-mnist",
        folder="FashionMNIST",
        classes=(
            "t-shirt",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "boot",
        ),
        licence="MIT, Zalando SE",
        url="https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
        sha256={
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
}


def names() -> list[str]:
    """Of all data sets that are no folder."""
    return [*DATASETS, *TOYS]


def load(name: str, split: str = "train", *, data: Path | None = None, size: int = 0) -> Dataset:
    """A data set by name, of images or of points, or the images of a folder.

    data:  a folder to look in first for the files of a named set
    size:  side of the square that a folder's images are cropped to; 0 keeps images of one size as they are

    Raises UsageProblem for an unknown name, DataProblem where files are missing or broken.
    """
    if name in DATASETS:
        if size:
            raise UsageProblem(f"size belongs to folders of images; {name} has its own", "leave size at 0")
        return DATASETS[name].load(split, data)
    if name in TOYS:
        if size:
            raise UsageProblem(f"size belongs to folders of images; {name} holds points", "leave size at 0")
        return points.load(name, split)
    folder = Path(os.path.expanduser(name))  # noqa: PTH111  (Path's raises for an unknown user)
    if name and is_dir(folder):
        return load_folder(folder, size)
    if is_file(folder):
        raise DataProblem(f"{name} is a file, not a folder of images", "name the folder that holds the images")
    if len(folder.parts) > 1 or name.startswith("."):
        raise DataProblem(f"no such folder: {name}", f"a data set is a folder of images or one of {', '.join(names())}")
    one_of(name, names(), "data set (and no such folder)", DataProblem)
    raise AssertionError


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
    reader = Files(tuple(paths), shape)
    if len(paths) * math.prod(shape) <= MEMORY_LIMIT:
        pixels = torch.stack([reader[i] for i in range(len(paths))])
        names = "\n".join((*classes, *tops)).encode()
        return Dataset(
            folder.name, pixels, labels, shape, classes, _digest(names, pixels.numpy().tobytes()), tuple(notes)
        )
    stamps = "\n".join(f"{p.relative_to(folder)} {p.stat().st_size}" for p in paths)
    return Dataset(folder.name, reader, labels, shape, classes, _digest(stamps.encode()), tuple(notes))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read_idx(content: bytes, dimensions: int) -> np.ndarray:
    """The array in a gzipped idx file: two zero bytes, type 8 (uint8), the number of dimensions, their sizes."""
    raw = gzip.decompress(content)
    header = np.frombuffer(raw, ">i4", 1 + dimensions)
    if header[0] != 2048 + dimensions:
        raise DataProblem(f"not an idx file of {dimensions} dimensions (magic number {header[0]})")
    return np.frombuffer(raw, np.uint8, offset=4 * (1 + dimensions)).reshape(header[1:]).copy()


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]
