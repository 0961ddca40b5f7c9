"""The file formats of published data sets: from the bytes of files to images and labels. No pickle is ever read."""

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


class Format(Protocol):
    """How the files of a data set hold its splits."""

    def names(self, split: str) -> tuple[str, ...]:
        """The files that a split is in."""
        ...

    def read(self, contents: Mapping[str, bytes], split: str) -> tuple[Bytes, Bytes]:
        """Images [N, C, H, W] and labels [N] from the content of these files; raises ValueError if it is damaged."""
        ...


@dataclass(frozen=True)
class Idx:
    """The four gzipped files of MNIST."""

    def names(self, split: str) -> tuple[str, ...]:
        prefix = {"train": "train", "test": "t10k"}[split]
        return f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"

    def read(self, contents: Mapping[str, bytes], split: str) -> tuple[Bytes, Bytes]:
        images, labels = self.names(split)
        return read_idx(contents[images], dimensions=3)[:, None], read_idx(contents[labels], dimensions=1)


@dataclass(frozen=True)
class Npz:
    """One numpy archive with the arrays <split>_images [N, H, W] and <split>_labels [N, 1], as MedMNIST has it."""

    name: str

    def names(self, split: str) -> tuple[str, ...]:
        return (self.name,)

    def read(self, contents: Mapping[str, bytes], split: str) -> tuple[Bytes, Bytes]:
        if not zipfile.is_zipfile(io.BytesIO(contents[self.name])):
            raise ValueError(f"{self.name} is not a numpy archive")
        try:
            with np.load(io.BytesIO(contents[self.name]), allow_pickle=False) as arrays:
                images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        except (zipfile.BadZipFile, zlib.error, KeyError, OSError, EOFError, NotImplementedError, TypeError) as error:
            raise ValueError(f"{self.name} has no readable {split} images and labels ({error})") from error
        for array, dimensions in ((images, 3), (labels, 2)):
            if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != dimensions:
                raise ValueError(f"{self.name} has {split} images or labels of another type or shape")
        return images[:, None], labels[:, 0]


@dataclass(frozen=True)
class CifarBinary:
    """The binary version of CIFAR-10: records of one byte of label and 3 x 32 x 32 bytes of pixels."""

    shape: tuple[int, int, int] = (3, 32, 32)

    def names(self, split: str) -> tuple[str, ...]:
        return {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}[split]

    def read(self, contents: Mapping[str, bytes], split: str) -> tuple[Bytes, Bytes]:
        length = 1 + int(np.prod(self.shape))
        for name in self.names(split):
            if len(contents[name]) % length:
                raise ValueError(f"{name} ends within a record of {length} bytes")
        joined = b"".join(contents[name] for name in self.names(split))
        records = np.frombuffer(joined, np.uint8).reshape(-1, length)
        return records[:, 1:].reshape(-1, *self.shape), records[:, 0]


def read_idx(content: bytes, dimensions: int) -> Bytes:
    """The array in a gzipped idx file: two zero bytes, type 8 (uint8), the number of dimensions, their sizes."""
    try:
        raw = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"not a gzip file: {error}") from error
    start = 4 * (1 + dimensions)
    if len(raw) < start or int.from_bytes(raw[:4], "big") != 2048 + dimensions:
        raise ValueError(f"not an idx file of {dimensions} dimensions (it begins with {raw[:4].hex()})")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(np.frombuffer(raw, ">i4", dimensions, offset=4))


def unpacked(content: bytes, names: Collection[str]) -> dict[str, bytes]:
    """The members of a .tar.gz that have these names, in whatever folder of it; raises ValueError if one is missing."""
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                name, file = member.name.rpartition("/")[2], archive.extractfile(member)
                if name in names and file:
                    found[name] = file.read()
    except (tarfile.TarError, OSError, EOFError, KeyError, zlib.error) as error:
        raise ValueError(f"not a .tar.gz file: {error}") from error
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"the archive has no {', '.join(missing)}")
    return found
