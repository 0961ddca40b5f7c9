"""What is remembered in a run after its training: the last evaluation and the last comparison. No torch here."""

import json
import time
from pathlib import Path
from typing import Any

from diffcli.system.files import write_atomically
from diffcli.system.text import json_text

EVALUATION = "metrics.json"
COMPARISON = "comparison.json"
UNREADABLE = (OSError, ValueError, RecursionError)


def write_evaluation(run: Path, document: dict[str, Any]) -> None:
    """Keep the last evaluation of a run; raises EnvironmentProblem."""
    _write(run / EVALUATION, document)


def evaluation(run: Path) -> dict[str, Any] | None:
    """The last evaluation of a run; None where there is none, or none that can be read."""
    return _read(run / EVALUATION)


def write_comparison(run: Path, document: dict[str, Any]) -> None:
    """Keep the last comparison of samplers of a run; raises EnvironmentProblem."""
    _write(run / COMPARISON, document)


def comparison(run: Path) -> dict[str, Any] | None:
    """The last comparison of samplers of a run; None where there is none, or none that can be read."""
    return _read(run / COMPARISON)


def not_kept(checkpoint: str) -> str:
    """What to say of a checkpoint file that is no run's: nothing is written beside it."""
    return f"note: {checkpoint} is a file without a run, so this is kept in the folder of the results only"


def _write(path: Path, document: dict[str, Any]) -> None:
    dated = {"written": time.strftime("%Y-%m-%d %H:%M"), **document}
    write_atomically(path, (json_text(dated, indent=2) + "\n").encode())


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text("utf-8"))
    except UNREADABLE:
        return None
    return document if isinstance(document, dict) else None
