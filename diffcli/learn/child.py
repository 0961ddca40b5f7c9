"""The process in which a learner's code runs: `python -m diffcli.learn.child ADDRESS`. It knows no truth.

It is told a file and the name of a function, and then what to call that with; what comes back is plain. Arguments that
are functions stay with whoever asks, and are asked for from here.
"""

import contextlib
import io
import linecache
import os
import random
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Client, Connection
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from diffcli.learn import props  # noqa: F401 (arguments may be made of it, and imports are about to end)
from diffcli.learn.answers import Callback, Trouble, answer, plain

PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep
MOST_MEMORY = 4 << 30  # bytes beyond what torch has taken
MOST_PRINTED = 2_000  # characters that are kept


def main(address: str) -> None:
    connection = Client(address, authkey=bytes.fromhex(sys.stdin.readline().strip()))
    _limit_memory()
    allowed: set[str] = set()
    _forbid(allowed)
    learner: ModuleType | None = None
    while True:
        try:
            what, *rest = _received(connection)
        except EOFError:
            return
        with _heard() as printed:
            try:
                if what == "load":
                    path, more, limit = rest
                    allowed |= set(more)
                    with _watched(connection, path, limit):
                        learner = _loaded(Path(path))
                    found: Any = None
                else:
                    found = _called(connection, learner, *rest)
                reply: dict[str, Any] = {"value": found}
            except Trouble as trouble:
                reply = _told(trouble)
            except BaseException as error:  # whatever a learner raises, an exit too
                reply = _told(_trouble(error, learner))
        _send(connection, "done", reply | {"printed": printed.getvalue()[-MOST_PRINTED:]})


def _called(
    connection: Connection, learner: ModuleType | None, name: str, arguments: list[Any], named: dict[str, Any],
    want: str, seed: int, limit: float,
) -> Any:  # fmt: skip
    function = getattr(learner, name, None)
    if function is None:
        raise Trouble("missing", f"has no function {name}")
    if not callable(function):
        raise Trouble("missing", f"{name} is no function but a {type(function).__name__}")
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    there = tuple(_there(connection, value) for value in arguments)
    with _watched(connection, str(getattr(learner, "__file__", "")), limit):
        return answer(function, there, {key: _there(connection, value) for key, value in named.items()}, want)


def _there(connection: Connection, value: Any) -> Any:
    """An argument; for a function of the asking side one that asks there."""
    if not isinstance(value, Callback):
        return value

    def asked(*arguments: Any, **named: Any) -> Any:
        _send(connection, "ask", {"number": value.number, "arguments": plain(arguments), "named": plain(named)})
        reply = _received(connection)
        if "problem" in reply:
            raise TypeError(reply["problem"])
        return reply["value"]

    return asked


def _loaded(path: Path) -> ModuleType:
    """The module of a file. Raises Trouble for one that is no Python; other errors are its own."""
    try:
        text = path.read_text("utf-8-sig")
        code = compile(text, str(path), "exec")
    except SyntaxError as error:
        raise Trouble("syntax", f"is no Python: {error.msg}", error.lineno or 0, (error.text or "").strip()) from None
    except (UnicodeDecodeError, ValueError) as error:
        raise Trouble("syntax", f"is no Python: {error}") from None
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent))
    sys.argv = [str(path)]
    linecache.clearcache()
    try:
        exec(code, vars(module))
    except BaseException as error:
        raise _trouble(error, module) from None
    return module


def _trouble(error: BaseException, learner: ModuleType | None) -> Trouble:
    """What went wrong, with the last line of the learner's file that took part."""
    line, text = _line(traceback.extract_tb(error.__traceback__), str(getattr(learner, "__file__", "")))
    if isinstance(error, NotImplementedError) and text.startswith("raise NotImplementedError"):
        return Trouble("blank", "not begun", line, text)
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return Trouble("ended", "ends the program instead of returning", line, text)
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return Trouble("memory", f"wants more than {MOST_MEMORY >> 30} GiB of memory", line, text)
    if isinstance(error, Forbidden):
        return Trouble("forbidden", str(error), line, text)
    if isinstance(error, RecursionError):
        return Trouble("raised", "calls itself without an end", line, text)
    first = str(error).strip().split("\n")[0]
    return Trouble("raised", f"{type(error).__name__}: {first}" if first else type(error).__name__, line, text)


def _line(frames: "traceback.StackSummary", file: str) -> tuple[int, str]:
    own = [frame for frame in frames if frame.filename == file]
    return (own[-1].lineno or 0, (own[-1].line or "").strip()) if own else (0, "")


@contextlib.contextmanager
def _watched(connection: Connection, file: str, limit: float) -> Iterator[None]:
    """What takes longer than this many seconds in here is told, and ends the process."""
    watch = threading.Timer(limit, _late, (connection, file))
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def _late(connection: Connection, file: str) -> None:
    """Tell where the learner's code is; then end, as whoever asked may be gone."""
    frames = sys._current_frames().get(threading.main_thread().ident or 0)
    line, text = _line(traceback.extract_stack(frames), file) if frames else (0, "")
    with contextlib.suppress(OSError):
        _send(connection, "done", _told(Trouble("late", "has not returned", line, text)) | {"printed": ""})
    os._exit(1)


def _told(trouble: Trouble) -> dict[str, Any]:
    return {"kind": trouble.kind, "message": trouble.message, "line": trouble.line, "text": trouble.text}


class Forbidden(PermissionError):
    """What is not for a learner's code to do while it is looked at."""


def _forbid(allowed: set[str]) -> None:
    """From here on: no file of the package is opened, none of its modules imported, no other process begun."""

    def hook(event: str, details: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(details[0], str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(details[0]))
            if path.startswith(PACKAGE) and not any(path.startswith(PACKAGE + place) for place in places()):
                raise Forbidden("opens a file of diffcli: write it yourself")
        elif event == "import" and details[0].split(".")[0] == "diffcli" and not _is_allowed(details[0], allowed):
            raise Forbidden("imports from diffcli: write it yourself")
        elif event in ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.startfile"):
            raise Forbidden("starts another program")

    def places() -> Iterator[str]:
        return (name.removeprefix("diffcli.").replace(".", os.sep) for name in allowed)

    sys.addaudithook(hook)


def _is_allowed(name: str, allowed: set[str]) -> bool:
    return name == "diffcli" or any(
        name == one or name.startswith(f"{one}.") or one.startswith(f"{name}.") for one in allowed
    )


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        most = pages * resource.getpagesize() + MOST_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


@contextlib.contextmanager
def _heard() -> Iterator[io.StringIO]:
    """What is printed in here, and warnings."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text), warnings.catch_warnings():
        warnings.simplefilter("default")
        yield text


_sending = threading.Lock()


def _send(connection: Connection, what: str, document: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save((what, document), buffer)
    with _sending:
        connection.send_bytes(buffer.getvalue())


def _received(connection: Connection) -> Any:
    return torch.load(io.BytesIO(connection.recv_bytes()), weights_only=False)


if __name__ == "__main__":
    main(sys.argv[1])
