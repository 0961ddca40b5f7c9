"""Files with images: on the disk, or in an archive, which is read in place."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tempfile
import threading
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from diffcli.errors import DataProblem
from diffcli.system.text import legible

ZIPS, TARS = (".zip",), (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
LARGEST_MEMBER = 1 << 30  # bytes that a member may unpack to
LARGEST_ARCHIVE = 1 << 36  # bytes that a compressed tar may unpack to
UTF8 = 0x800  # the flag of a name in a zip
PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ": lzma}  # by how a file begins
LOCK = threading.Lock()  # an archive has one place to read at
BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError,
    KeyError,
)  # fmt: skip


@dataclass(frozen=True)
class ImageSource:
    """A file with images.

    path:    of the file, or of the archive that it is in
    name:    below the data set, its parts with / between them, as people write it
    member:  its name in the archive; "" of a file of its own
    """

    path: Path
    name: str
    member: str = ""

    def __str__(self) -> str:
        return legible(f"{self.path}/{self.member}" if self.member else str(self.path))

    @property
    def parts(self) -> tuple[str, ...]:
        """Of its name: folders, then the file."""
        return PurePosixPath(self.name).parts

    @property
    def suffix(self) -> str:
        """Of its name, in small letters."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def length(self) -> int:
        """Bytes of its content; of a member of an archive those of the whole archive."""
        return self.path.stat().st_size

    @contextmanager
    def stream(self) -> Iterator[IO[bytes]]:
        """Its content, to be read from any place; raises OSError, and ValueError for what an archive does not give."""
        if not self.member:
            with self.path.open("rb") as file:
                yield file
            return
        yield io.BytesIO(self.content())

    def content(self) -> bytes:
        """All of it; raises OSError, and ValueError for what an archive does not give."""
        if not self.member:
            return self.path.read_bytes()
        try:
            with LOCK, _archive(str(self.path), os.getpid()).member(self.member) as file:
                found: bytes = file.read(LARGEST_MEMBER + 1)
        except BROKEN as error:
            raise ValueError(f"the archive does not give it: {error}") from None
        if len(found) > LARGEST_MEMBER:
            raise ValueError(f"it unpacks to more than {LARGEST_MEMBER >> 30} GiB")
        return found


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive."""
    return path.name.lower().endswith((*ZIPS, *TARS))


def members(path: Path) -> tuple[list[ImageSource], list[tuple[str, str]]]:
    """The files in an archive in the order of their names, and what is left out: name and reason.

    Raises DataProblem for an archive that cannot be read.
    """
    found, left = [], []
    try:
        for name, meant, plain, size in _archive(str(path), os.getpid()).members():
            shown_name = meant.replace("\\", "/").removeprefix("./")
            if ".." in PurePosixPath(shown_name).parts or shown_name.startswith("/"):
                left.append((legible(name), "names that lead out of the archive"))
            elif not plain:
                left.append((legible(name), "links in archives"))
            elif size > LARGEST_MEMBER:
                left.append((legible(name), f"files of more than {LARGEST_MEMBER >> 30} GiB in archives"))
            else:
                found.append(ImageSource(path, normal(shown_name), name))
    except (OSError, ValueError, *BROKEN) as error:
        raise DataProblem(f"{path} is no readable archive: {error}", "repair it, or unpack it") from None
    return found, left


class Member(NamedTuple):
    """A file in an archive: its name there, that name as it was meant, whether it is a plain file, unpacked bytes."""

    name: str
    meant: str
    plain: bool
    size: int


def _as_meant(info: zipfile.ZipInfo) -> str:
    """Its name; macOS writes UTF-8 without saying so, which zipfile takes for the letters of DOS."""
    if info.flag_bits & UTF8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except ValueError:
        return info.filename


class _Zip:
    """A zip file; each of its members can be read by itself."""

    def __init__(self, path: str) -> None:
        self.archive = zipfile.ZipFile(path)

    def members(self) -> Iterator[Member]:
        """What is in it but for folders; of one name the last, as it replaces those before."""
        for info in {info.filename: info for info in self.archive.infolist()}.values():
            if not info.is_dir():
                link = (info.external_attr >> 16) & 0o170000 == 0o120000
                yield Member(info.filename, _as_meant(info), not link, info.file_size)

    def member(self, name: str) -> IO[bytes]:
        return self.archive.open(name)


class _Tar:
    """A tar file; a compressed one is unpacked into a file without a name, as it cannot be entered in its middle."""

    def __init__(self, path: str) -> None:
        self.archive = tarfile.open(fileobj=_unpacked(path), mode="r:")  # noqa: SIM115
        self.by_name = {info.name: info for info in self.archive.getmembers()}

    def members(self) -> Iterator[Member]:
        """What is in it but for folders; of one name the last, as it replaces those before."""
        for info in self.by_name.values():
            if not info.isdir():
                yield Member(info.name, info.name, info.isreg(), info.size)

    def member(self, name: str) -> IO[bytes]:
        found = self.archive.extractfile(self.by_name[name])
        if found is None:
            raise KeyError(name)
        return found


def _unpacked(path: str) -> IO[bytes]:
    """A tar file without its compression; raises ValueError for one that has no end."""
    start = _start(path)
    unpack = next((found for mark, found in PACKED.items() if start.startswith(mark)), None)
    if unpack is None:
        return Path(path).open("rb")  # noqa: SIM115
    whole = tempfile.TemporaryFile()  # noqa: SIM115
    with unpack.open(path, "rb") as packed:
        while part := packed.read(1 << 22):
            whole.write(part)
            if whole.tell() > LARGEST_ARCHIVE:
                raise ValueError(f"it unpacks to more than {LARGEST_ARCHIVE >> 30} GiB")
    whole.seek(0)
    return whole


def _start(path: str) -> bytes:
    """How a file begins, which tells its kind better than a name that a browser or a person has changed."""
    with Path(path).open("rb") as file:
        return file.read(8)


@lru_cache(maxsize=4)
def _archive(path: str, process: int) -> Any:
    """An archive, opened once in each process: a file that is shared with a child has one place to read at."""
    by_name = path.lower().endswith(TARS) and not zipfile.is_zipfile(path)
    return _Tar(path) if tarfile.is_tarfile(path) or by_name else _Zip(path)


def normal(name: str) -> str:
    """A name as it is compared and told: in Unicode's normal form C; bytes that are no UTF-8 stay apart."""
    return unicodedata.normalize("NFC", name)
