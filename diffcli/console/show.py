"""What a command says: the result on stdout, all else on stderr, a bar on a terminal and plain lines without one."""

import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TextIO

from diffcli.system.text import duration, json_text, printable, width

PLAIN_EVERY = 10.0  # seconds between progress lines where there is no terminal; the first comes after half of it
NARROW = 20  # characters that a column of a table is content with if it may wrap


class Show:
    """Speaks for one command. json: the result is one document on stdout; quiet: no notes and no progress."""

    _latest: ClassVar["Show | None"] = None

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json, self.quiet = as_json, quiet
        self._said: set[str] = set()
        Show._latest = self

    @classmethod
    def of_command(cls) -> "Show":
        """That of the command that runs, for what reads data in its middle; a quiet one where none does."""
        return cls._latest or cls(quiet=True)

    def note(self, text: str) -> None:
        """A line for whoever watches."""
        if not self.quiet:
            _print(text, sys.stderr)

    def once(self, text: str) -> None:
        """A line that is said once, however often there is a reason to."""
        if text not in self._said:
            self._said.add(text)
            self.note(text)

    def result(self, document: dict[str, Any], lines: list[str]) -> None:
        """The result: the document with --json, else the lines."""
        if self.as_json:
            print(json_text(document), flush=True)
        else:
            _print("\n".join(lines), sys.stdout)

    @contextmanager
    def progress(self, title: str, total: int, unit: str = "") -> Iterator["Bar"]:
        """A bar over `total` units; `bar.update(done, text)` moves it."""
        if self.quiet:
            yield Bar()
        elif sys.stderr.isatty():
            with _rich_progress() as progress:
                yield _RichBar(progress, title, total)
        else:
            yield _PlainBar(title, total, unit)


class Bar:
    """A bar that shows nothing."""

    def update(self, done: int, text: str = "", total: int | None = None) -> None:
        """`done` of `total` units are done; `text` says more."""

    def note(self, text: str) -> None:
        """A line of its own above the bar."""


class _RichBar(Bar):
    def __init__(self, progress: Any, title: str, total: int) -> None:
        self.progress = progress
        self.task = progress.add_task(title, total=total or None, text="")

    def update(self, done: int, text: str = "", total: int | None = None) -> None:
        self.progress.update(self.task, completed=done, text=text, total=total)

    def note(self, text: str) -> None:
        self.progress.console.print(_shown(text), markup=False, highlight=False)


class _PlainBar(Bar):
    def __init__(self, title: str, total: int, unit: str) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.start = time.monotonic()
        self.last = self.start - PLAIN_EVERY / 2

    def update(self, done: int, text: str = "", total: int | None = None) -> None:
        self.total = total or self.total
        now = time.monotonic()
        if now - self.last >= PLAIN_EVERY:
            self.last = now
            left = (now - self.start) * (self.total - done) / max(done, 1)
            of = f" of {self.total}" if self.total else ""
            self.note(f"{self.title}: {done}{of} {self.unit}  {text}  {duration(left)} left")

    def note(self, text: str) -> None:
        _print(text, sys.stderr)


def _print(text: str, stream: TextIO) -> None:
    print(_shown(text), file=stream, flush=True)


def _shown(text: str) -> str:
    """Lines in which no name moves the cursor."""
    return "\n".join(map(printable, text.split("\n")))


def _rich_progress() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    description, text = (TextColumn("{task." + key + "}", markup=False) for key in ("description", "fields[text]"))
    bar = BarColumn(bar_width=None)
    return Progress(
        description, bar, MofNCompleteColumn(), text, TimeRemainingColumn(compact=True),
        console=Console(stderr=True), expand=True,
    )  # fmt: skip


def table(
    heads: list[str], rows: list[list[str]], *, right: Collection[int] = (), wraps: Collection[int] = ()
) -> list[str]:
    """Lines of an aligned table, no wider than the terminal.

    right:  columns of numbers
    wraps:  columns that take more lines where there is no room; others lose their ends, if they must
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    natural = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    needed = sum(min(n, NARROW) if i in wraps else n for i, n in enumerate(natural)) + 2 * (len(heads) - 1)
    grid = Table(box=None, pad_edge=False, padding=(0, 2 if needed <= width() else 1, 0, 0))
    for i, head in enumerate(heads):
        side, over = "right" if i in right else "left", "fold" if i in wraps else "ellipsis"
        grid.add_column(Text(head), justify=side, overflow=over, no_wrap=i in right)  # type: ignore[arg-type]
    for row in rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(width=width(), color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(grid)
    return [line.rstrip() for line in captured.get().splitlines()]


def wrapped(text: str, indent: int = 0) -> list[str]:
    """Lines no wider than the terminal, each behind so many blanks; a line of the text begins a new one."""
    import textwrap

    room, margin = max(width() - indent, NARROW), " " * indent
    parts = (textwrap.wrap(line, room, break_long_words=False) or [""] for line in text.split("\n"))
    return [f"{margin}{piece}".rstrip() for part in parts for piece in part]


def markdown(text: str) -> list[str]:
    """Markdown as a terminal shows it; as it is where there is none."""
    if not sys.stdout.isatty():
        return text.rstrip().split("\n")
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(width=width(), color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(Markdown(text))
    return [line.rstrip() for line in captured.get().splitlines()]
