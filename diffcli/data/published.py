"""The named data sets: what they are, where their files are looked for, and where they come from. Torch is not needed.

Files are looked for beside the program, in --data, in DIFFCLI_DATA and in the cache; what is nowhere is downloaded.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from diffcli.console.show import Show
from diffcli.data.formats import Bytes, CifarBinary, Format, Idx, Npz, unpacked
from diffcli.errors import DataProblem
from diffcli.system.cache import cache_folder, cache_folders
from diffcli.system.download import fetch, has_checksum
from diffcli.system.files import is_file

if TYPE_CHECKING:
    from diffcli.data.kinds import Items


class File(NamedTuple):
    """A published file: its checksum, as "sha256:..." or what else its publisher gives, and its size."""

    checksum: str
    bytes: int


@dataclass(frozen=True)
class Source:
    """A data set in published files.

    folder:   of the files, below a data folder
    images:   how many there are, per split
    url:      of the place that has the files; "" where they cannot be downloaded
    archive:  name of the .tar.gz that the files of `format` are published in; they are found unpacked, too
    files:    what is published; a file that is found but not listed here is read without a checksum
    """

    title: str
    folder: str
    shape: tuple[int, int, int]
    images: Mapping[str, int]
    classes: tuple[str, ...]
    licence: str
    format: Format
    files: Mapping[str, File] = field(repr=False)
    url: str = ""
    archive: str = ""

    def read(self, split: str, extra: Path | None) -> tuple[Bytes, Bytes]:
        """Images [N, C, H, W] and labels [N] of a split; raises DataProblem where a file is missing or damaged."""
        names = self.format.names(split)
        paths = [self.find(name, extra) or self._download(name) for name in names]
        try:
            images, labels = self.format.read(self._contents(names, paths), split)
            if len(images) == 0 or len(images) != len(labels):
                raise ValueError(f"{len(images)} images and {len(labels)} labels")
            if labels.max() >= len(self.classes):
                raise ValueError(f"label {labels.max()}, where the highest is {len(self.classes) - 1}")
        except ValueError as error:
            raise DataProblem(
                f"{self.title} in {paths[0].parent} is damaged: {error}", "delete its files there, or fetch them again"
            ) from error
        return np.array(images, order="C"), np.array(labels)  # writable, unlike the buffers they were read from

    def find(self, name: str, extra: Path | None) -> Path | None:
        """The file, or the archive that it is in, from the first place that has either."""
        candidates = (folder / n for folder in self._places(extra) for n in (name, self.archive) if n)
        return next(filter(is_file, candidates), None)

    def missing(self, extra: Path | None, *splits: str) -> dict[str, File]:
        """What would have to be downloaded to have these splits, or all; nothing is opened to find out."""
        names = [name for split in splits or self.images for name in self.format.names(split)]
        absent = [self.archive or name for name in names if not self.find(name, extra)]
        return {name: self.files[name] for name in absent}

    @property
    def bundled(self) -> Path:
        """The folder of its files that come with the program, if they do."""
        return Path(str(resources("diffcli.data") / "bundled" / self.folder))

    @property
    def cache(self) -> Path:
        """The folder that its files are downloaded to."""
        return cache_folder() / self.folder

    def _places(self, extra: Path | None) -> list[Path]:
        places = [self.bundled]
        for root in (extra, os.environ.get("DIFFCLI_DATA")):
            if root:
                places += [Path(root) / self.folder / "raw", Path(root) / self.folder, Path(root)]  # as torchvision
        return [*places, *(root / self.folder for root in cache_folders())]

    def _contents(self, names: tuple[str, ...], paths: list[Path]) -> dict[str, bytes]:
        """The content of the files that lie at these paths, or in the archive there, each path read once."""
        contents: dict[str, bytes] = {}
        for path in dict.fromkeys(paths):
            content, published = path.read_bytes(), self.files.get(path.name)
            if published and not has_checksum(content, published.checksum):
                raise DataProblem(f"{path} is not the {self.title} file it should be", "delete it, or fetch it again")
            contents |= unpacked(content, names) if path.name == self.archive else {path.name: content}
        return contents

    def _download(self, name: str) -> Path:
        name = self.archive or name
        where = f"put {name} into {self.cache}, or name its folder by --data or DIFFCLI_DATA"
        if not self.url:
            raise DataProblem(f"{self.title} is incomplete: {name} is missing", where)
        path, published = self.cache / name, self.files[name]
        with Show.of_command().progress(f"downloading {name}", published.bytes, unit="B") as bar:
            for done, total in fetch(f"{self.url}/{name}", path, published.checksum, hint=where):
                bar.update(done, total=total or published.bytes)
        return path


def _medmnist(title: str, name: str, images: tuple[int, int, int], classes: tuple[str, ...], file: File) -> Source:
    """A set of MedMNIST v2 (Yang et al. 2023) in its size of 28x28; `images` in train, val and test."""
    return Source(
        title=title,
        folder="MedMNIST",
        shape=(1, 28, 28),
        images=dict(zip(("train", "val", "test"), images, strict=True)),
        classes=classes,
        licence="CC BY 4.0, MedMNIST v2 (Yang et al. 2023); not intended for clinical use",
        format=Npz(name),
        files={name: file},
        url="https://zenodo.org/records/10519652/files",
    )


DATASETS: dict[str, Source] = {
    "mnist": Source(
        title="MNIST",
        folder="MNIST",
        shape=(1, 28, 28),
        images={"train": 60_000, "test": 10_000},
        classes=tuple("0123456789"),
        licence="CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        format=Idx(),
        files={
            "train-images-idx3-ubyte.gz": File(
                "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9_912_422
            ),
            "train-labels-idx1-ubyte.gz": File(
                "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28_881
            ),
            "t10k-images-idx3-ubyte.gz": File(
                "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1_648_877
            ),
            "t10k-labels-idx1-ubyte.gz": File(
                "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542
            ),
        },
    ),
    "fashion-mnist": Source(
        title="Fashion-MNIST",
        folder="FashionMNIST",
        shape=(1, 28, 28),
        images={"train": 60_000, "test": 10_000},
        classes=(
            "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
        ),
        licence="MIT, Zalando SE",
        format=Idx(),
        files={
            "train-images-idx3-ubyte.gz": File(
                "sha256:3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880
            ),
            "train-labels-idx1-ubyte.gz": File(
                "sha256:a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515
            ),
            "t10k-images-idx3-ubyte.gz": File(
                "sha256:346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102
            ),
            "t10k-labels-idx1-ubyte.gz": File(
                "sha256:67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148
            ),
        },
        url="https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
    ),
    "cifar10": Source(
        title="CIFAR-10",
        folder="cifar-10-batches-bin",
        shape=(3, 32, 32),
        images={"train": 50_000, "test": 10_000},
        classes=(
            "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
        ),
        licence="none stated; cite Krizhevsky 2009",
        format=CifarBinary(),
        # md5 is all that its page gives, and that for the archive only
        files={"cifar-10-binary.tar.gz": File("md5:c32a1d4ab5d03f1284b67883e8d87530", 170_052_171)},
        url="https://www.cs.toronto.edu/~kriz",
        archive="cifar-10-binary.tar.gz",
    ),
    "pneumoniamnist": _medmnist(
        "PneumoniaMNIST", "pneumoniamnist.npz", (4_708, 524, 624), ("normal", "pneumonia"),
        File("sha256:e1792d3f03751cb101e99f19a63b3c1941436c988665f47853417b05be250cd8", 4_170_669),
    ),
    "breastmnist": _medmnist(
        "BreastMNIST", "breastmnist.npz", (546, 78, 156), ("malignant", "normal or benign"),
        File("sha256:3a22d2a4625e7dd8903f0f59030e81a3d0c222bece2e5e10927456cb50efdec1", 559_580),
    ),
}  # fmt: skip


def is_medical(name: str) -> bool:
    """Whether a published set shows patients; False for every other name."""
    return name in DATASETS and "clinical" in DATASETS[name].licence


def clinical(name: str, items: "Items") -> str:
    """What must be said wherever images of patients are shown, for a data set or a run of it; "" for all others."""
    medical = items.patients or is_medical(name)
    return f"{name} holds images of patients, for research: not for clinical use" if medical else ""
