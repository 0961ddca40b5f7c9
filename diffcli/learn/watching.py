"""Waiting for a learner to save a file or to press a key."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

EVERY = 0.1  # seconds between looks at files


def saved(paths: dict[str, Path]) -> dict[str, float]:
    """When each file was last changed; 0 for one that is not there."""
    return {name: _when(path) for name, path in paths.items()}


def _when(path: Path) -> float:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0.0


def events(paths: dict[str, Path]) -> Iterator[tuple[str, str]]:
    """("saved", name of a file) or ("key", a character), as they come, without an end."""
    before = saved(paths)
    while True:
        now = saved(paths)
        changed = [name for name in paths if now[name] != before[name] and now[name]]
        before = now
        yield from (("saved", name) for name in changed)
        if key := _key(EVERY):
            yield "key", key


@contextlib.contextmanager
def keys_at_once() -> Iterator[None]:
    """Inside, a key counts when it is pressed and not after Enter, where there is a terminal that can."""
    try:
        import termios
        import tty

        settings = termios.tcgetattr(sys.stdin)
    except (ImportError, OSError, ValueError, termios.error):
        yield
        return
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)


def _key(seconds: float) -> str:
    """A character that was typed within this time."""
    if os.name == "nt":
        import msvcrt

        time.sleep(seconds)
        return msvcrt.getwch() if msvcrt.kbhit() else ""  # type: ignore[attr-defined]
    import select

    try:
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
    except (ValueError, OSError):
        time.sleep(seconds)
        return ""
    if not ready:
        return ""
    key = os.read(sys.stdin.fileno(), 1).decode("ascii", "replace")
    if not key:  # the end of what somebody has piped in
        time.sleep(seconds)
        return "q"
    return key
