"""The runs that were made: what their folders tell without opening a checkpoint. Torch is not needed.

Nothing that lies in checkpoints/ may stop the list: what cannot be understood is a note.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from diffcli.runs.records import evaluation
from diffcli.system.files import is_file
from diffcli.system.shell import command_line

ROOT = Path("checkpoints")
BESIDE = Path(__file__).resolve().parents[2] / "checkpoints"  # of a clone that is used from another folder
SHIPPED = "mnist"  # the file that stands in for a run of one's own
ENDED = ("complete", "interrupted", "failed", "diverged")  # and "running" while it does
UNREADABLE = (OSError, ValueError, RecursionError)


@dataclass(frozen=True)
class Summary:
    """One run.

    family:      of models: diffusion, vae, codec or dae
    state:       how it ended, "running", "stopped" (killed before it could say how it ended), or "damaged"
    dataset:     as the recipe says
    steps:       as far as is known; None before the first row of metrics
    seconds:     of training, all sessions together
    evaluation:  the last one, in numbers: distance, its floor, and the share read as asked; None where there is none
    checkpoint:  the newest file
    modified:    when that was written, or the run begun; seconds since 1970
    note:        what is wrong with the folder
    """

    path: Path
    family: str
    state: str
    dataset: str | None
    steps: int | None
    seconds: float | None
    loss: float | None
    validation_loss: float | None
    linear_denoiser_loss: float | None
    evaluation: dict[str, Any] | None
    checkpoint: Path | None
    modified: float
    note: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """For --json."""
        return {
            "name": self.path.name,
            **{k: v for k, v in vars(self).items() if k not in ("path", "modified", "checkpoint")},
            "checkpoint": str(self.checkpoint) if self.checkpoint else None,
            "run": str(self.path),
        }


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoint files of a run, newest first."""
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def run_of(checkpoint: Path) -> Path | None:
    """The run that a checkpoint file is of; None of a file that stands for itself."""
    folder = checkpoint.parent
    return folder if checkpoint.match("step-*.safetensors") and (folder / "run.json").exists() else None


def files() -> dict[str, Path]:
    """The checkpoint files that have a name: those in checkpoints/ here, then those in a clone's."""
    return {path.stem: path for root in (BESIDE, ROOT) for path in sorted(root.glob("*.safetensors")) if is_file(path)}


def bytes_of(path: Path) -> int:
    """The size of a file; 0 of one that is gone."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def summaries(root: Path = ROOT) -> tuple[list[Summary], list[str]]:
    """Every run below a folder, newest first; and the names of other things that lie there.

    Checkpoint files and what is written about them are neither.
    """
    found, foreign = [], []
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if path.name.startswith(".") or _is_known(path):
            continue
        try:
            if path.is_dir() and ((path / "run.json").exists() or checkpoints(path)):
                found.append(summary(path))
            else:
                foreign.append(path.name)
        except OSError as error:
            foreign.append(f"{path.name} ({error.strerror})")
    return sorted(found, key=lambda run: run.modified, reverse=True), foreign


def _is_known(path: Path) -> bool:
    """Whether a file that lies beside runs may: a checkpoint, what is written about one, or about all of them."""
    about_one = path.suffix in (".md", ".safetensors") and is_file(path.with_suffix(".safetensors"))
    return is_file(path) and (path.name == "README.md" or about_one)


def summary(folder: Path) -> Summary:
    """What a run folder tells of its run."""
    saved = next(iter(checkpoints(folder)), None)
    state, note = _state(folder)
    row = _last_row(folder / "metrics.jsonl", "step")
    look = _last_row(folder / "metrics.jsonl", "validation_loss")
    reached = [_number(row.get("step")), _step(saved)]
    step = max((n for n in reached if n is not None), default=None)
    return Summary(
        folder, family_name(folder), state, _dataset(folder), None if step is None else int(step),
        _number(row.get("seconds")), _number(row.get("loss")), _number(look.get("validation_loss")),
        _number(look.get("linear_denoiser_loss")), _judged(folder), saved,
        _modified(saved or folder / "run.json", folder), note,
    )  # fmt: skip


def _judged(folder: Path) -> dict[str, Any] | None:
    """The last evaluation of a run in numbers."""
    found = evaluation(folder)
    if found is None:
        return None
    distance, protocol = (part if isinstance(part := found.get(name), dict) else {} for name in ("frechet", "protocol"))
    return {
        "frechet": _number(distance.get("value")),
        "floor": _number(distance.get("floor")),
        "class_agreement": _number(found.get("class_agreement")),
        **{name: protocol.get(name) for name in ("features", "generated", "sampler", "steps")},
    }


def family_name(folder: Path) -> str:
    """The family of models that a run is of, as far as run.json tells; runs from before it did are of diffusion."""
    try:
        name = json.loads((folder / "run.json").read_text("utf-8")).get("family")
    except (*UNREADABLE, AttributeError):
        name = None
    return name if isinstance(name, str) else "diffusion"


def ranks_of(run: str) -> int:
    """How many processes trained a run last, as far as run.json tells; it is found as other commands find it."""
    for folder in (Path(run), ROOT / run):
        try:
            count = json.loads((folder / "run.json").read_text("utf-8")).get("ranks")
        except (*UNREADABLE, AttributeError):
            continue
        return count if isinstance(count, int) and count > 0 else 1
    return 1


def facts_of(folder: Path | None) -> dict[str, Any]:
    """What run.json says of a run; nothing where it cannot be read."""
    try:
        found = json.loads((folder / "run.json").read_text("utf-8")) if folder else None
    except UNREADABLE:
        return {}
    return found if isinstance(found, dict) else {}


def made_by(about: Any) -> str | None:
    """The command that made a run and what it ran on, by what run.json says; None where it does not."""
    try:
        versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
        place = f"{about['precision']} on {about['device']}, {about['threads']} threads"
        return f"diffcli {command_line(about['argv'])} ({place}; {versions})"
    except (KeyError, TypeError, AttributeError):
        return None


def _state(folder: Path) -> tuple[str, str]:
    """The state of a run, and what is wrong with its folder."""
    try:
        about = json.loads((folder / "run.json").read_text("utf-8"))
        status = about.get("status") if isinstance(about, dict) else None
    except FileNotFoundError:
        return "damaged", "it has no run.json"
    except UNREADABLE as error:
        return "damaged", f"its run.json cannot be read: {error}"
    if status in ENDED:
        return str(status), ""
    if status != "running":
        return "damaged", "its run.json does not say what became of it"
    return "running" if _held(folder) else "stopped", ""


def _held(folder: Path) -> bool:
    """Whether a process holds the lock of a run. A killed one leaves the file, but does not hold it."""
    lock = filelock.FileLock(folder / ".lock")
    try:
        if Path(lock.lock_file).exists():  # to ask would make it
            lock.acquire(timeout=0)
            lock.release()
    except filelock.Timeout:
        return True
    except OSError:  # a folder that we may not write to: nothing shows that it is held
        return False
    return False


def _dataset(folder: Path) -> str | None:
    try:
        recipe = tomllib.loads((folder / "recipe.toml").read_text("utf-8"))
        name = recipe["data"]["name"] if "data" in recipe else recipe.get("dataset")  # which had no tables once
    except (*UNREADABLE, KeyError, TypeError):
        return None
    return name if isinstance(name, str) else None


def _last_row(path: Path, key: str) -> dict[str, Any]:
    """The last row of the metrics that has this key; empty if there is none. A half-written row is passed over."""
    return next((row for row in _rows_backwards(path) if key in row), {})


def _rows_backwards(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return
    for line in reversed(lines):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row


def _number(value: Any) -> float | None:
    """The value itself, if it is a number that a float can hold."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and abs(value) < 1e300 else None


def _step(checkpoint: Path | None) -> int | None:
    match = re.fullmatch(r"step-(\d+)", checkpoint.stem) if checkpoint else None
    return int(match[1]) if match else None


def _modified(*candidates: Path) -> float:
    """When the first of these that is there was written."""
    for path in candidates:
        try:
            return path.stat().st_mtime
        except OSError:
            continue
    return 0.0
