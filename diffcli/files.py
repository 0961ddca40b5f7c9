"""Writing files so that nothing is ever half-written, and finding places that are free."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from diffcli.errors import BusyProblem, EnvironmentProblem

FULL = (errno.ENOSPC, errno.EDQUOT)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by way of a temporary one in its folder, flushed to the disk before it takes the name.

    At every moment `path` is absent, the old file, or the whole new one. Raises EnvironmentProblem.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> EnvironmentProblem:
    """The problem for a failed write."""
    hint = "free some space" if error.errno in FULL else "choose a place you may write to with --out"
    return EnvironmentProblem(f"cannot write {path}: {error.strerror or error}", hint)


def numbered(root: Path, name: str) -> Path:
    """root/<name>-<number>, the number one above those in use."""
    stem = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    pattern = re.compile(re.escape(stem) + r"-(\d+)$")
    taken = [int(match[1]) for p in root.glob("*") if (match := pattern.match(p.name))]
    return root / f"{stem}-{max(taken, default=0) + 1}"


@contextlib.contextmanager
def fresh_folder(folder: Path, hint: str = "choose another --out") -> Iterator[Path]:
    """Make a folder to write results to; if the work inside fails, what was made here is removed again.

    Raises BusyProblem if the folder holds anything already, EnvironmentProblem if it cannot be made.
    """
    check_free(folder, hint)
    existed = folder.exists()
    made = [p for p in folder.parents if not p.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        if existed:
            folder.mkdir(exist_ok=True)
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


class Place(NamedTuple):
    """Where a command puts its pictures; `singles` is a folder."""

    picture: Path
    animation: Path
    singles: Path


@contextlib.contextmanager
def fresh_place(out: Path | None, name: str, picture: str, animation: str = "") -> Iterator[Place]:
    """The place for a command's pictures: `out` as a folder or as the PNG file itself, else outputs/<name>-<number>.

    animation:  name of its GIF, if it writes one

    Raises as `fresh_folder` does.
    """
    if out is None or out.suffix.lower() != ".png":
        with fresh_folder(out or numbered(Path("outputs"), name)) as folder:
            yield Place(folder / picture, folder / animation, folder)
        return
    place = Place(out, out.with_suffix(".gif"), out.with_suffix(""))
    for path in place[: 2 if animation else 1]:
        check_free(path)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    yield place


def check_free(path: Path, hint: str = "choose another --out") -> None:
    """Raise BusyProblem if there is a file or a folder that is not empty."""
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise BusyProblem(f"{path} exists already", hint)
    except OSError as error:
        raise cannot_write(path, error) from error


def is_file(path: Path) -> bool:
    """Path.is_file, and False for what cannot be a path, a name too long for instance."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_dir(path: Path) -> bool:
    """Path.is_dir, and False for what cannot be a path."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; a system that cannot open folders does it by itself."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
