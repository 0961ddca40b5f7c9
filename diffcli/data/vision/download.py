"""torchvision's own downloads: behind our bar, without a word of its own, and leaving nothing half-done."""

import contextlib
import http.client
import importlib.util
import io
import shutil
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffcli.console.show import Bar, Show
from diffcli.data.vision import import_from_torchvision
from diffcli.errors import DataProblem

TIMEOUT = 20.0  # seconds without an answer


@contextlib.contextmanager
def downloading(name: str, folder: Path) -> Iterator[Path]:
    """The folder to download into: one beside `folder` that becomes it at the end; `folder` where there is one.

    If the work inside fails, a new folder is removed again. Network errors are raised as they come, but for those
    that are no OSError, which become DataProblem.
    """
    root = folder if folder.is_dir() else folder.with_name(f".{folder.name}.part")
    shutil.rmtree(folder.with_name(f".{folder.name}.part"), ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    try:
        with _quietly(name):
            yield root
        if root != folder:
            root.rename(folder)
    except BaseException as error:
        if root != folder:
            shutil.rmtree(root, ignore_errors=True)
            with contextlib.suppress(OSError):
                root.parent.rmdir()
        if isinstance(error, http.client.HTTPException):
            raise DataProblem(str(error) or type(error).__name__) from error
        raise


@contextlib.contextmanager
def _quietly(name: str) -> Iterator[None]:
    """torchvision and gdown print nothing inside, and the bytes that come move a bar of ours."""
    utils: Any = import_from_torchvision("datasets.utils")
    with contextlib.ExitStack() as undone, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        undone.callback(socket.setdefaulttimeout, socket.getdefaulttimeout())
        socket.setdefaulttimeout(TIMEOUT)
        undone.callback(setattr, utils, "tqdm", utils.tqdm)
        utils.tqdm = lambda **options: _Bytes(f"downloading {name}", options.get("total") or 0)
        if importlib.util.find_spec("gdown"):  # for CelebA
            gdown: Any = importlib.import_module("gdown")
            real = gdown.download
            undone.callback(setattr, gdown, "download", real)
            gdown.download = lambda *args, **options: real(*args, **options | {"quiet": True})
        yield


class _Bytes:
    """Our bar with the methods of tqdm that torchvision calls."""

    def __init__(self, title: str, total: int) -> None:
        self._progress = Show().progress(title, total, unit="B")
        self._bar, self._done = Bar(), 0

    def __enter__(self) -> "_Bytes":
        self._bar = self._progress.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._progress.__exit__(*error)

    def update(self, count: int) -> None:
        """So many bytes more."""
        self._done += count
        self._bar.update(self._done)
