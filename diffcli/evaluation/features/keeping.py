"""Files in the user's cache that can be made again: whatever is wrong with one, there is none."""

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from diffcli.console.show import Show
from diffcli.errors import CheckpointProblem, EnvironmentProblem
from diffcli.runs.checkpoint import read_checkpoint, write_checkpoint
from diffcli.system.cache import cache_folder, cache_folders
from diffcli.system.files import is_file

LONGEST = 200  # bytes of a name; file systems take 255


def cache_file(folder: str, *parts: str) -> Path:
    """The file of this name in a folder of the cache."""
    name = "-".join(re.sub(r"[^\w.]+", "-", part).strip("-.") for part in parts)
    while len(name.encode()) > LONGEST:
        name = name[:-1]
    below = Path(folder) / f"{name}.safetensors"
    kept = (root / below for root in cache_folders())
    return next((path for path in kept if is_file(path)), cache_folder() / below)


def recalled(path: Path, show: Show) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What was kept there; None where there is nothing, or with a note where it is damaged."""
    if not path.exists():
        return None
    try:
        return read_checkpoint(path)
    except CheckpointProblem as problem:
        show.note(f"note: {problem.message}; it is made again")
        return None


def keep(path: Path, tensors: dict[str, Tensor], about: dict[str, Any], show: Show) -> None:
    """Write it there for the next time; a note where that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(path, tensors, about)
    except (EnvironmentProblem, OSError) as error:
        show.note(f"note: it cannot be kept for the next time: {error}")
