"""Ctrl-C and SIGTERM as a wish that a loop can grant when it is ready."""

import signal
from types import FrameType, TracebackType


class Interrupts:
    """Inside `with Interrupts() as wish`, the first signal sets `wish.code` (130 or 143), a second one acts at once."""

    code = 0

    def __enter__(self) -> "Interrupts":
        self._before = {s: signal.signal(s, self._note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.code = 128 + number
        for s, handler in self._before.items():
            signal.signal(s, handler)
