"""What a command came to: all that an option could have changed of it, and nothing that only repeats the option.

A result is looked at as numbers, pixels and arrays, never as bytes that hold their own history: the names of options
are left out of documents, since "seed": 1 proves nothing, and so are times. What an option changes that no result may
show, the processor or the size of a batch, is seen where it is used.
"""

import contextlib
import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import Cli, Result
from matplotlib.figure import Figure
from PIL import Image, ImageSequence
from safetensors.numpy import load_file

from diffcli import plugins
from diffcli.commands import training, training_report
from diffcli.console.show import Show
from diffcli.core.diffusion.job import Job
from diffcli.data import loading
from diffcli.evaluation.bound.task import Task
from diffcli.evaluation.likelihood_study import LikelihoodStudy
from diffcli.lessons.diffusion import forward
from diffcli.lessons.gaussians.noising import setting
from diffcli.ranks import sharing
from diffcli.runs.session import Session
from diffcli.system import device

TIMES = {"seconds", "images_per_second", "training_seconds", "memory_bytes", "disk_bytes", "bytes", "written"}


class Outcome(NamedTuple):
    """Of a command that ended well.

    form:   whether the result was JSON
    means:  what it was done by: devices, processes, batches, plug-ins, folders of data, silence
    files:  what was written, by name: pixels, arrays, numbers
    drawn:  the data in figures
    told:   the document, without what only repeats the options
    """

    form: bool
    means: frozenset[tuple[str, str]]
    files: dict[str, Any]
    drawn: tuple[str, ...]
    told: Any


class Bench:
    """Runs one command again and again in a folder, which is as it was after each."""

    def __init__(self, cli: Cli, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.cli, self.folder = cli, folder
        self.means: set[tuple[str, str]] = set()
        self.drawn: list[str] = []
        self.document: Any = None
        self.kept: dict[Path, tuple[Any, bytes]] = {}
        self._listen(patch)

    def keep(self) -> None:
        """What is in the folder now is there before every run."""
        self.kept = {path: (_stamp(path), path.read_bytes()) for path in self.folder.rglob("*") if path.is_file()}
        self.folders = {path for path in self.folder.rglob("*") if path.is_dir()}

    def __call__(self, arguments: list[str], echoes: set[str]) -> tuple[Result, Outcome | None]:
        """How a command ends, and what it came to where it ends well. echoes: keys of documents that repeat options"""
        self.means.clear()
        self.drawn.clear()
        self.document = None
        result = self.cli(*arguments)
        outcome = None
        if result.code == 0:
            files = {str(path.relative_to(self.folder)): _content(path, echoes) for path in sorted(self._changed())}
            told = _without(self.document, echoes | TIMES)
            outcome = Outcome(_is_json(result.out), frozenset(self.means), files, tuple(self.drawn), told)
        self._restore()
        return result, outcome

    def _changed(self) -> Iterator[Path]:
        for path in self.folder.rglob("*"):
            if (
                path.is_file()
                and path.name != ".lock"
                and (path not in self.kept or self.kept[path][0] != _stamp(path))
            ):
                yield path

    def _restore(self) -> None:
        for path in [*self.folder.rglob("*")]:
            if path.is_dir() and path not in self.folders:
                shutil.rmtree(path, ignore_errors=True)
            elif path.is_file() and path not in self.kept:
                path.unlink()
        for path, (stamp, content) in self.kept.items():
            if not path.exists() or _stamp(path) != stamp:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                self.kept[path] = (_stamp(path), content)

    def _listen(self, patch: pytest.MonkeyPatch) -> None:
        """Hear what no result shows, and train nothing: a recipe says all that a training computes."""

        def hear(what: str, *values: Any) -> None:
            self.means |= {(what, str(value)) for value in values}

        def before(owner: Any, name: str, heard: Callable[..., Any]) -> None:
            original = getattr(owner, name)

            def listening(*arguments: Any, **named: Any) -> Any:
                heard(*arguments, **named)
                return original(*arguments, **named)

            patch.setattr(owner, name, listening)

        @contextlib.contextmanager
        def crew(devices: str, device: str, *_: Any) -> Iterator[sharing.Crew]:
            sharing.processes(devices, device, worth=False)
            hear("devices", devices)
            yield sharing.Crew()

        def processes(devices: str, *_: Any, **__: Any) -> tuple[int, bool]:
            hear("devices", devices)
            return 1, False

        def loop(session: Session, _: Callable[[], bool], show: Show) -> Path:
            show.result({"run": str(session.folder)}, [str(session.folder)])
            return Path()

        def told(_: Show, document: Any, *__: Any) -> None:
            self.document = document

        for module in (loading, forward, setting):
            before(module, "load_dataset", lambda *_, data=None, reading="", **__: hear("data", data, reading))
        before(device, "pick", lambda name: hear("device", name))
        before(plugins, "load", lambda paths: hear("impl", *paths))
        before(Show, "__init__", lambda _, *, as_json=False, quiet=False: hear("quiet", quiet))
        before(Show, "result", told)
        before(Job, "batches", lambda _, count, batch=0: hear("batch", batch))
        before(Task, "rows", lambda task, *_: hear("batch", task.batch))
        before(LikelihoodStudy, "follow", lambda study, *_: hear("batch", study.batch))
        patch.setattr(sharing, "crew", crew)
        patch.setattr(training, "processes", processes)
        patch.setattr(training_report, "shown", loop)
        patch.setattr(Session, "prepare", lambda *_: None)
        patch.setattr(Figure, "draw", lambda figure, _: self.drawn.append(_data_of(figure)))


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _without(document: Any, names: set[str]) -> Any:
    """A document without the numbers and words that stand under these names in it or in its protocol; and no times."""
    if not isinstance(document, dict):
        return document
    found = {key: part for key, part in document.items() if key not in names or isinstance(part, dict | list)}
    return {key: _without(part, names) if key == "protocol" else _timeless(part) for key, part in found.items()}


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(part) for key, part in value.items() if key not in TIMES}
    return [_timeless(part) for part in value] if isinstance(value, list | tuple) else value


def _content(path: Path, echoes: set[str]) -> Any:
    """What a file holds that a result is made of; "" where that is nothing but history."""
    if path.suffix in (".png", ".gif", ".tif"):
        with Image.open(path) as image:
            return [_digest(frame.tobytes()) for frame in ImageSequence.Iterator(image)]
    if path.suffix == ".npy":
        return _digest(path.read_bytes())
    if path.suffix == ".safetensors":
        return {name: _digest(tensor.tobytes()) for name, tensor in load_file(path).items()}
    if path.suffix == ".toml":
        return tomllib.loads(path.read_text())
    if path.suffix == ".json" and path.name != "run.json":
        return _without(json.loads(path.read_text()), echoes | TIMES)
    return ""


def _digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def _data_of(figure: Figure) -> str:
    """What is drawn in a figure, but for its words."""
    found = hashlib.sha1()
    for axes in figure.axes:
        found.update(b"axes")
        for line in axes.lines:
            found.update(line.get_xydata().tobytes())
        for image in axes.images:
            found.update(image.get_array().tobytes())
        for patch in axes.patches:
            found.update(str(patch.get_path().vertices.tolist()).encode() + str(patch.get_transform()).encode())
        for collection in axes.collections:
            found.update(collection.get_offsets().data.tobytes())
            found.update(str([path.vertices.tolist() for path in collection.get_paths()]).encode())
    return found.hexdigest()
