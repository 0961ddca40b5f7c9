"""What a teaching command leaves behind: a folder of figures and numbers, what was seen, and where it leads."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffcli.console.show import Show
from diffcli.system.files import fresh_folder, numbered, write_atomically
from diffcli.system.text import json_text

ROOT = Path("outputs")


@dataclass
class Lesson:
    """Filled in by a command while it works.

    document:  the numbers, for metrics.json and --json
    lines:     what a reader is shown of them
    seen:      one sentence on what was seen
    leads:     one sentence on how it leads to diffusion
    next:      the next useful command
    """

    folder: Path
    document: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    seen: str = ""
    leads: str = ""
    next: str = ""
    figures: list[Path] = field(default_factory=list)

    def figure(self, name: str) -> Path:
        """Where to write a picture of this name; it will be listed."""
        self.figures.append(self.folder / name)
        return self.figures[-1]


@contextlib.contextmanager
def lesson(name: str, out: Path | None, show: Show) -> Iterator[Lesson]:
    """A fresh folder for a command, `out` or outputs/<name>-<number>; at the end metrics.json, and the result is said.

    If the work inside fails, the folder is removed again. Raises as `fresh_folder` does.
    """
    with fresh_folder(out or numbered(ROOT, name)) as folder:
        made = Lesson(folder)
        yield made
        metrics = folder / "metrics.json"
        write_atomically(metrics, (json_text(made.document, indent=2) + "\n").encode())
    document = made.document | {"folder": str(folder), "figures": list(map(str, made.figures)), "metrics": str(metrics)}
    paths = [str(path) for path in (*made.figures, metrics)]
    show.result(document, [*made.lines, "", made.seen, made.leads, *paths, f"next: {made.next}"])
