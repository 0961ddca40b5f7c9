"""Where the files of a data set of torchvision are, how they get there, and what its exceptions mean."""

import contextlib
import os
import re
from pathlib import Path
from typing import Any

from diffcli.data.vision.download import downloading
from diffcli.data.vision.request import Request
from diffcli.errors import DataProblem, EnvironmentProblem, Problem, UsageProblem
from diffcli.system.cache import cache_folder, cache_folders
from diffcli.system.files import FULL, is_dir

ABSENT = re.compile(r"not found|not present|does not exist|could not be found|couldn't find", re.IGNORECASE)
MISUSED = re.compile(r"argument|valid values|expected type", re.IGNORECASE)
UNKNOWN = re.compile(r"unknown value", re.IGNORECASE)
PACKAGE = re.compile(r"pip install [`'\"]?([\w-]+)")


class _Absent(Exception):
    """The files are not in a folder."""


def cache(request: Request) -> Path:
    """The folder that the files of a data set are downloaded to."""
    return cache_folder() / "torchvision" / request.entry.name


def find(request: Request, split: str, data: Path | None) -> Any:
    """The data set in the first folder that has its files, and else None; opens no network.

    data:  the folder of --data; then come DIFFCLI_DATA and the cache

    Raises UsageProblem for arguments that torchvision refuses, DataProblem for files that are damaged.
    """
    for root in _roots(request, data):
        before = _inside(root)
        try:
            return _made(request, split, root)
        except _Absent:
            for place in _inside(root) - before:  # some constructors make an empty folder
                with contextlib.suppress(OSError):
                    place.rmdir()
    return None


def fetch(request: Request, split: str) -> Any:
    """The data set, downloaded into the cache; raises DataProblem where it cannot be, leaving nothing behind."""
    entry, folder = request.entry, request.root or cache(request)
    where = f"put its files into {folder}, or name their folder by --data or DIFFCLI_DATA"
    if entry.layout:
        where += f" (torchvision says: {entry.layout})"
    if "download" not in entry.parameters:
        raise DataProblem(f"{entry.name} is not here, and torchvision cannot download it{_why(request, split)}", where)
    try:
        with downloading(entry.name, folder) as root:
            return _made(request, split, root, download=True)
    except UsageProblem:
        raise
    except EnvironmentProblem as problem:
        raise EnvironmentProblem(problem.message, f"{problem.hint}, or {where}") from problem
    except (_Absent, Problem) as error:
        raise DataProblem(f"cannot download {entry.name}: {_line(error)}", where) from error
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        if error.errno in FULL or isinstance(error, PermissionError):
            raise EnvironmentProblem(f"cannot write to {folder}: {error.strerror}", "free some space there") from error
        raise DataProblem(f"cannot download {entry.name}: {reason}", where) from error


def _roots(request: Request, data: Path | None) -> list[Path | None]:
    """The folders to look in; [None] of a data set that has no files."""
    if "root" not in request.entry.parameters:
        return [None]
    if request.root:
        return [request.root]
    given = [Path(root) for root in (data, os.environ.get("DIFFCLI_DATA")) if root]
    folders = [folder for root in given for folder in (root, root / request.entry.name)]
    kept = [root / "torchvision" / request.entry.name for root in cache_folders()]
    return [folder for folder in (*folders, *kept) if is_dir(folder)]


def _inside(root: Path | None) -> set[Path]:
    return set(root.iterdir()) if root and is_dir(root) else set()


def _made(request: Request, split: str, root: Path | None, *, download: bool = False) -> Any:
    """The data set, made by its constructor with the first arguments for the split that it takes; raises _Absent."""
    entry, refused = request.entry, ""
    places = {} if root is None else {"root": str(root)}
    quietly = {"download": download} if "download" in entry.parameters else {}
    by_path = {"loader": str} if "loader" in entry.parameters else {}  # files are ours to read
    for arguments in request.arguments(split):
        try:
            return entry.make(**places, **quietly, **by_path, **arguments)
        except Exception as error:  # there is no end to what a data set may raise
            ours = f"'{arguments.get(entry.split)}'" if arguments != request.given else None
            if isinstance(error, ValueError) and UNKNOWN.search(str(error)) and ours and ours in str(error):
                refused = _line(error)
                continue
            raise _problem(request, root, error, downloading=download) from error
    raise UsageProblem(f"{entry.name} has no {split} split: {refused}")


def _problem(request: Request, root: Path | None, error: Exception, *, downloading: bool) -> Exception:
    """What an exception of torchvision means."""
    name, text = request.entry.name, _line(error)
    if isinstance(error, ModuleNotFoundError) or PACKAGE.search(str(error)):
        found = PACKAGE.search(str(error))
        package = found[1] if found else getattr(error, "name", "")
        return EnvironmentProblem(f"{name} needs the package {package}", f"pip install {package}")
    missing = isinstance(error, OSError) and error.filename and not Path(error.filename).exists()
    if missing or isinstance(error, FileNotFoundError | NotADirectoryError):
        return _Absent(text)
    if isinstance(error, ValueError | TypeError) and MISUSED.search(text):
        return UsageProblem(f"{name}: {text}", f"arguments: {', '.join(request.entry.arguments) or 'none'}")
    if isinstance(error, RuntimeError) and ABSENT.search(text):
        return _Absent(text)
    if downloading:
        return error if isinstance(error, OSError) else DataProblem(text)
    return DataProblem(f"{name} in {root} is damaged: {text}", "delete its files there, or fetch them again")


def _why(request: Request, split: str) -> str:
    """What torchvision says of the folder where the files should be, after a colon."""
    try:
        _made(request, split, request.root or cache(request))
    except (_Absent, Problem) as error:
        return "" if "[Errno" in _line(error) else f": {_line(error)}"
    return ""


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3]) if lines else type(error).__name__
