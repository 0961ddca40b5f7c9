"""Ctrl-C, SIGTERM and a terminal that is closed, as a wish that a loop can grant when it is ready."""

import signal
import sys
from types import FrameType, TracebackType

ENDING = [signal.SIGINT, signal.SIGTERM]
if sys.platform != "win32":
    ENDING.append(signal.SIGHUP)


class Interrupts:
    """Inside `with Interrupts() as wish`, the first signal sets `wish.code`, 128 and its number; a second acts at once.

    Not so SIGHUP: whoever closes a terminal sends several. A signal that the process was started to ignore stays so.
    """

    code = 0

    def __enter__(self) -> "Interrupts":
        heeded = [s for s in ENDING if signal.getsignal(s) is not signal.SIG_IGN]
        self._before = {s: signal.signal(s, self._note) for s in heeded}
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.code = 128 + number
        for s, handler in self._before.items():
            signal.signal(s, handler if s in ENDING[:2] else signal.SIG_IGN)
