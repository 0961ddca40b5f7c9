"""Asking a function: one of this process, or a learner's, which runs in a process of its own."""

import contextlib
import io
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any, Protocol

import torch

from diffcli.errors import EnvironmentProblem
from diffcli.learn.answers import Callback, Trouble, answer, plain

START = 60.0  # seconds that a process may take to begin
GRACE = 5.0  # seconds beyond its limit until a process that says nothing more is ended
OWN_WAY = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}  # as tests are repeatable


class Ask(Protocol):
    """`ask(*arguments)` is what the function returns, plain; `want` as of `answers.answer`. Raises Trouble."""

    def __call__(self, *arguments: Any, want: str = "value", **named: Any) -> Any: ...


def local(function: Callable[..., Any], seed: int = 0) -> Ask:
    """Ask a function of this process; the global generator is seeded before each call, and left as it was."""

    def ask(*arguments: Any, want: str = "value", **named: Any) -> Any:
        there = _sent(arguments), _sent(named)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return answer(function, *there, want)

    return ask


def _sent(arguments: Any) -> Any:
    """Copies, as another process would have them; functions stay themselves, behind the same wall."""
    functions: list[Callable[..., Any]] = []
    copied = _copied(_without(arguments, functions))
    return _with(copied, functions)


def _copied(value: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


def _without(arguments: Any, functions: list[Callable[..., Any]]) -> Any:
    """The arguments with functions replaced by their numbers in the list, to which they are added."""

    def kept(value: Any) -> Any:
        if callable(value) and not isinstance(value, torch.nn.Module | type):
            functions.append(value)
            return Callback(len(functions) - 1)
        return value

    if isinstance(arguments, Mapping):
        return {name: kept(value) for name, value in arguments.items()}
    return tuple(kept(value) for value in arguments)


def _with(arguments: Any, functions: list[Callable[..., Any]]) -> Any:
    def put(value: Any) -> Any:
        if not isinstance(value, Callback):
            return value
        function = functions[value.number]
        return lambda *given, **named: plain(function(*plain(given), **plain(named)))

    if isinstance(arguments, Mapping):
        return {name: put(value) for name, value in arguments.items()}
    return tuple(put(value) for value in arguments)


class Learner:
    """The process in which a file of a learner runs; begun before it is needed, ended by `close`.

    printed: what the code printed in the first call that printed anything, until it is emptied
    """

    def __init__(self) -> None:
        key = secrets.token_bytes(32)
        self._listener = Listener(authkey=key)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "diffcli.learn.child", str(self._listener.address)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | OWN_WAY | {"PYTHONPATH": _path()}, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(key.hex().encode() + b"\n")
            self._process.stdin.flush()
        self._connection: Connection | None = None
        self.printed = ""

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def load(self, path: Path, allowed: tuple[str, ...] = (), limit: float = 20.0) -> None:
        """Run the file. Raises Trouble.

        allowed:  modules of the package that it may import
        """
        self._said(("load", str(path.resolve()), allowed, limit), [], limit)

    def ask(self, name: str, *, seed: int = 0, limit: float = 10.0) -> Ask:
        """The function of this name in the file; each call may take `limit` seconds."""

        def ask(*arguments: Any, want: str = "value", **named: Any) -> Any:
            functions: list[Callable[..., Any]] = []
            there = _without(arguments, functions), _without(named, functions)
            return self._said(("call", name, *there, want, seed, limit), functions, limit)

        return ask

    def close(self) -> None:
        """End the process, whatever it does."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        if self._connection is not None:
            self._connection.close()
        self._listener.close()

    def _said(self, message: tuple[Any, ...], functions: list[Callable[..., Any]], limit: float) -> Any:
        connection = self._connected()
        try:
            _send(connection, message)
            while True:
                if not connection.poll(limit + GRACE):
                    self.close()
                    raise Trouble("late", f"has not returned after {limit:g} seconds")
                what, document = torch.load(io.BytesIO(connection.recv_bytes()), weights_only=True)
                if what == "done":
                    return self._done(document, limit)
                _send(connection, _answered(functions, document))
        except (EOFError, OSError):
            self.close()
            raise Trouble("ended", "ends the process in which it runs") from None

    def _done(self, document: dict[str, Any], limit: float) -> Any:
        self.printed = self.printed or document["printed"]
        if "kind" not in document:
            return document["value"]
        kind, message = document["kind"], document["message"]
        if kind == "late":
            self.close()
            message = f"has not returned after {limit:g} seconds"
        raise Trouble(kind, message, document["line"], document["text"])

    def _connected(self) -> Connection:
        """The connection; waits for the process to begin. Raises EnvironmentProblem where it does not."""
        if self._connection is None:
            began = time.monotonic()
            while self._connection is None:
                if not self.alive or time.monotonic() - began > START:
                    self.close()
                    raise EnvironmentProblem("no process for exercises could be started", "try again")
                with contextlib.suppress(TimeoutError):
                    self._connection = _accepted(self._listener)
        return self._connection


def _answered(functions: list[Callable[..., Any]], asked: dict[str, Any]) -> dict[str, Any]:
    """What a function of this side says to the learner's code; a misuse of it is the learner's to hear of."""
    try:
        return {"value": plain(functions[asked["number"]](*asked["arguments"], **asked["named"]))}
    except Exception as error:
        return {"problem": f"a function that you were given does not take what it was called with: {error}"}


def _send(connection: Connection, message: Any) -> None:
    buffer = io.BytesIO()
    torch.save(message, buffer)
    connection.send_bytes(buffer.getvalue())


def _accepted(listener: Listener) -> Connection:
    """The next connection; raises TimeoutError after a second, where there are sockets, so not on Windows."""
    socket = getattr(getattr(listener, "_listener", None), "_socket", None)
    if socket is not None:
        socket.settimeout(1.0)
    return listener.accept()


def _path() -> str:
    """Where the child finds this very package."""
    here = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
