"""Waiting for a learner to save a file or to press a key."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

EVERY = 0.1  # seconds between looks at files
ABSENT = (0, 0)


def events(paths: Sequence[Path]) -> Iterator[tuple[str, Path | str]]:
    """("saved", a file) or ("key", a character), as they come, without an end.

    What is saved after this call is seen, however late the first event is asked for.
    """
    return _events(paths, [_state(path) for path in paths])


def _events(paths: Sequence[Path], before: Sequence[tuple[int, int]]) -> Iterator[tuple[str, Path | str]]:
    while True:
        now = [_state(path) for path in paths]
        changed = [path for path, old, new in zip(paths, before, now, strict=True) if new not in (old, ABSENT)]
        before = now
        yield from (("saved", path) for path in changed)
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


def _state(path: Path) -> tuple[int, int]:
    """When a file was last changed, and its bytes: two saves within a tick of the clock differ in size at least."""
    try:
        found = path.stat()
    except OSError:
        return ABSENT
    return found.st_mtime_ns, found.st_size


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
