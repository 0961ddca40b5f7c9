"""Where downloads are kept, and what can be made again: the user's cache, or a temporary folder where that cannot be.

The temporary one is private, and the user's next command finds it again. Imports nothing heavy.
"""

import contextlib
import functools
import os
import shutil
import stat
import tempfile
from pathlib import Path

import platformdirs

LEAST = 32 << 20  # bytes; a disk with less is full
NAME = "diffcli"


def cache_folder() -> Path:
    """The folder to write to."""
    usual = _usual()
    return _temporary() if usual is None or _trouble(usual) else usual


def cache_folders() -> list[Path]:
    """The folders in which something may have been kept: one that cannot be written to may still be read."""
    usual = _usual()
    return list(dict.fromkeys([*([usual] if usual else []), cache_folder()]))


def settle() -> str:
    """Let other libraries find places for what they keep, too; what is to be said of ours, "" if nothing.

    Without a home these would fail, or write to a folder called ~; matplotlib warns of one that it cannot write to.
    """
    if not os.path.isabs(os.environ.get("HOME", "/")):  # noqa: PTH117
        del os.environ["HOME"]
    usual = _usual()
    trouble = _trouble(usual) if usual else "there is no home folder"
    if _home() is None:
        os.environ["HOME"] = str(_temporary())
    if not _has_name():
        os.environ["LOGNAME"] = f"user{os.getuid()}"
    if any(map(_trouble, _of_matplotlib())):
        os.environ["MPLCONFIGDIR"] = str(_temporary() / "matplotlib")
    if (home := _home()) and _trouble(home):
        os.environ.setdefault("TRITON_HOME", str(_temporary()))  # of kernels that torch compiles for a GPU
    return f"{trouble}; what is kept for the next time goes to {cache_folder()}" if trouble else ""


def _usual() -> Path | None:
    """The user's cache; None where nobody knows a home."""
    try:
        found = platformdirs.user_cache_path(NAME)
    except RuntimeError:
        return None
    return found if found.is_absolute() else None  # ~/.cache, as older versions of platformdirs have it


def _home() -> Path | None:
    """The user's home, if there is one."""
    found = os.path.expanduser("~")  # noqa: PTH111  (Path's raises where nobody knows one)
    return Path(found) if os.path.isabs(found) and os.path.isdir(found) else None  # noqa: PTH112, PTH117


def _trouble(folder: Path) -> str:
    """Why nothing can be written to a folder, or to the one that it would be made in; "" if it can."""
    supposed = Path(os.path.expanduser("~"))  # noqa: PTH111
    if folder.is_relative_to(supposed) and _home() is None:
        return f"there is no folder {supposed}"
    above = next(place for place in (folder, *folder.parents) if os.path.exists(place))  # noqa: PTH110  (never raises)
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        return f"{folder} cannot be written to"
    return f"the disk of {folder} is full" if _free(above) < LEAST else ""


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:  # nothing tells
        return LEAST


def _has_name() -> bool:
    """Whether the system knows who this is: a container's user may be a number alone."""
    if not hasattr(os, "getuid") or any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
        return True
    import pwd

    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return True


def _of_matplotlib() -> list[Path]:
    """The folders that matplotlib writes to, by what it reads to find them."""
    if own := os.environ.get("MPLCONFIGDIR"):
        return [Path(own).absolute()]
    home = Path(os.path.expanduser("~")).absolute()  # noqa: PTH111
    given = (os.environ.get("XDG_CONFIG_HOME"), os.environ.get("XDG_CACHE_HOME"))
    return [
        Path(found).absolute() if found else home / usual
        for found, usual in zip(given, (".config", ".cache"), strict=True)
    ]


def _temporary() -> Path:
    """A folder of this user alone, in the system's for temporary files."""
    owner = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"{NAME}-{owner}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    return folder if _is_private(folder, owner) else _fresh()


def _is_private(folder: Path, owner: int) -> bool:
    """Whether what has a name that anybody can guess is a folder that nobody else can write to."""
    try:
        about = folder.lstat()
    except OSError:
        return False
    private = not hasattr(os, "getuid") or (about.st_uid == owner and not about.st_mode & 0o022)
    return stat.S_ISDIR(about.st_mode) and private


@functools.cache
def _fresh() -> Path:
    """One for this process alone."""
    return Path(tempfile.mkdtemp(prefix=f"{NAME}-"))
