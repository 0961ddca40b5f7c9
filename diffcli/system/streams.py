"""Standard output and error that never end a command: what nobody reads is dropped, what has no code is replaced."""

import errno
import io
import os
import select
import sys
from typing import Any, TextIO

GONE = {
    errno.EPIPE,
    errno.EIO,  # a terminal that was closed
    errno.EBADF,
    errno.ENXIO,
    errno.ECONNRESET,
    errno.ESHUTDOWN,
    errno.EINVAL,  # Windows says so of a pipe that has ended
}


class LastingOutput(io.RawIOBase):
    """Bytes on their way to a stream, for as long as somebody reads there.

    error:  what kept them from a reader who is still there, as a full disk does; None where nothing did
    """

    def __init__(self, raw: Any) -> None:
        self.raw, self.gone = raw, False
        self.error: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all of it, or as much as can be; never raises OSError."""
        left = memoryview(content).cast("B")
        total = len(left)
        try:
            while left and not self.gone:
                done = self.raw.write(left)
                if done is None:  # a pipe that does not wait, as Node.js makes them, is full
                    select.select([], [self.raw], [])
                left = left[done or 0 :]
        except OSError as error:
            self.gone = error.errno in GONE
            self.error = self.error if self.gone else error
        return total

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.raw.fileno()

    def isatty(self) -> bool:
        return self.raw.isatty()

    @property
    def name(self) -> Any:
        """Of the stream: <stdout>, or its number."""
        return self.raw.name


def settle() -> None:
    """Make this process's standard streams such. Before any file is opened, as the numbers 0 to 2 may be free."""
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        _occupy(number, mode)
    streams: Any = sys
    streams.stdout = streams.__stdout__ = lasting(sys.stdout, 1)
    streams.stderr = streams.__stderr__ = lasting(sys.stderr, 2)


def _occupy(number: int, mode: int) -> None:
    """A descriptor that is closed leads to nowhere: else the next file to be opened, a checkpoint, would have it."""
    try:
        os.fstat(number)
    except OSError:
        found = os.open(os.devnull, mode)
        os.dup2(found, number)  # makes it inheritable, too
        if found == number:
            os.set_inheritable(number, True)
        else:
            os.close(found)


def lasting(stream: TextIO | None, number: int) -> TextIO:
    """The same stream without the errors. number: of its descriptor, for one that was closed at the start"""
    if stream is None:
        made: Any = LastingOutput(io.FileIO(number, "w", closefd=False))
        return io.TextIOWrapper(made, "utf-8", "replace", newline="\n")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    encoding, lines, through = stream.encoding, stream.line_buffering, stream.write_through
    stream.flush()
    buffer: Any = stream.detach()
    made = LastingOutput(buffer.detach() if isinstance(buffer, io.BufferedWriter) else buffer)
    return io.TextIOWrapper(made, encoding, "replace", newline="\n", line_buffering=lines, write_through=through)


def failure() -> OSError | None:
    """Flush standard output; what kept a part of it from a reader who is there."""
    if sys.stdout is None:
        return None
    sys.stdout.flush()
    raw = getattr(sys.stdout, "buffer", None)
    return raw.error if isinstance(raw, LastingOutput) else None
