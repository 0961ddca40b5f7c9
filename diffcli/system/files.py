"""Writing files so that nothing is ever half-written, and finding places that are free."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from diffcli.errors import BusyProblem, EnvironmentProblem, UsageProblem

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
    with _removed_if_failed(folder):
        _make(folder)
        yield folder


@contextlib.contextmanager
def _removed_if_failed(*places: Path) -> Iterator[None]:
    """If the work inside fails, remove what it wrote to these places, which are free, and the folders made for them."""
    empty = [place for place in places if place.is_dir()]
    above = [folder for place in places for folder in place.parents if not folder.exists()]
    try:
        yield
    except BaseException:
        for place in places:
            shutil.rmtree(place, ignore_errors=True)
            with contextlib.suppress(OSError):
                place.unlink()
        for folder in empty:
            folder.mkdir(exist_ok=True)
        for folder in above:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _make(folder: Path) -> None:
    """Make a folder that can be written to, or find out now that it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise cannot_write(folder, error) from error


class OutputPlace(NamedTuple):
    """Where a command puts its pictures; `singles` is a folder."""

    picture: Path
    animation: Path
    singles: Path


@contextlib.contextmanager
def fresh_place(
    out: Path | None, name: str, picture: str, animation: str = "", suffixes: Collection[str] = (".png",)
) -> Iterator[OutputPlace]:
    """The place for a command's pictures: `out` as a folder or as the file itself, else outputs/<name>-<number>.

    animation:  name of its GIF, if it writes one
    suffixes:   that make `out` the file

    Raises as `fresh_folder` does.
    """
    if out is None or out.suffix.lower() not in suffixes:
        with fresh_folder(out or numbered(Path("outputs"), name)) as folder:
            yield OutputPlace(folder / picture, folder / animation, folder)
        return
    place = OutputPlace(out, out.with_suffix(".gif"), out.with_suffix(""))
    wanted = place[: 2 if animation else 1]
    for path in wanted:
        check_free(path)
    with _removed_if_failed(*wanted, *([place.singles] if is_free(place.singles) else [])):
        _make(out.parent)
        yield place


def check_free(path: Path, hint: str = "choose another --out") -> None:
    """Raise BusyProblem if there is a file or a folder that is not empty."""
    if not is_free(path):
        raise BusyProblem(f"{path} exists already", hint)


def check_new(path: Path, suffix: str, out: Path | None = None, *, option: str = "--array") -> None:
    """Refuse a file that could not be written later: another suffix, there already, no folder, or a locked one.

    out:     a folder that will be made
    option:  that gave the path
    """
    if path.suffix != suffix:
        raise UsageProblem(f"{option} must end in {suffix}, not {path.name}")
    if path.exists():
        raise BusyProblem(f"{path} exists already", f"choose another {option}")
    if not path.parent.is_dir() and path.parent != out:
        raise EnvironmentProblem(f"there is no folder {path.parent}", f"make it, or choose another {option}")
    if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
        raise EnvironmentProblem(f"cannot write {path}: Permission denied", f"choose another {option}")


def is_free(path: Path) -> bool:
    """Whether there is nothing, or an empty folder; raises EnvironmentProblem for what cannot be a path."""
    try:
        return not path.exists() or (path.is_dir() and not any(path.iterdir()))
    except OSError as error:
        raise cannot_write(path, error) from error


def expanded(name: Path | str) -> Path:
    """The path with the home for a leading ~; as it is where nobody knows one."""
    return Path(os.path.expanduser(name))  # noqa: PTH111  (Path's raises)


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
