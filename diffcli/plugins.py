"""Plug-ins: a file that adds schedules, samplers, weightings, networks, guidance or targets to those of the package.

    from diffcli import plugins

    @plugins.schedule("mine")
    class Mine(Schedule): ...

What a decorator names is found by that name everywhere. Instead of decorators a file may hold dicts of the package's
own names, SCHEDULES = {"mine": Mine}. Files are named by --impl or in a recipe, and never found by themselves; packages
that are installed name their module in the entry-point group `diffcli.plugins`.
"""

import hashlib
import importlib.metadata
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from diffcli.core.diffusion.denoiser import TARGETS
from diffcli.core.diffusion.guidance import GUIDANCE
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.schedules import SCHEDULES
from diffcli.core.diffusion.walks import Option, Sampler, walk
from diffcli.core.diffusion.weightings import WEIGHTINGS
from diffcli.core.models import MODELS
from diffcli.errors import CheckpointProblem, Problem, UsageProblem
from diffcli.system.files import expanded
from diffcli.system.shell import argument
from diffcli.training.recipes.keys import Keys, key
from diffcli.training.recipes.networks import NETWORKS

T = TypeVar("T")

GROUP = "diffcli.plugins"
REGISTRIES: dict[str, dict[str, Any]] = {  # by kind, as texts call one
    "schedule": SCHEDULES, "sampler": SAMPLERS, "weighting": WEIGHTINGS, "network": MODELS, "guidance": GUIDANCE,
    "target": TARGETS,
}  # fmt: skip
NAMES = {  # of the dicts that a file may hold
    "SCHEDULES": "schedule", "SAMPLERS": "sampler", "WEIGHTINGS": "weighting", "NETWORKS": "network",
    "GUIDANCE": "guidance", "TARGETS": "target",
}  # fmt: skip
GIVEN = ("channels", "classes", "inputs", "outputs", "bf16")  # arguments of a network that are no keys of a recipe


@dataclass(frozen=True)
class Plugin:
    """A file that was loaded.

    defined:  what it added, kind -> names
    """

    path: Path
    text: str
    digest: str
    module: ModuleType
    defined: dict[str, list[str]]

    @property
    def document(self) -> dict[str, Any]:
        """What a run remembers of it."""
        return {"file": self.path.name, "digest": self.digest, "defined": self.defined, "text": self.text}


_loaded: dict[Path, Plugin] = {}
_added: list[tuple[str, str]] = []  # kinds and names, in the order in which decorators saw them


def schedule(name: str) -> Callable[[T], T]:
    """A class of `Schedule`, or a function that makes one; its parameters have defaults, whose types are theirs."""
    return lambda made: _add("schedule", name, made)


def sampler(
    name: str, *, steps: int = 50, grid: str = "trailing", order: int | None = None, separable: bool = False
) -> Callable[[T], T]:
    """A generator (denoise, x, levels, noise, *, options) of `Step`s; the rest as of `core.diffusion.walks.Sampler`.

    Its options have defaults, whose types are theirs.
    """

    def added(steps_of: T) -> T:
        parameters = inspect.signature(steps_of).parameters.values()  # type: ignore[arg-type]
        options = {p.name: Option() for p in parameters if p.kind is p.KEYWORD_ONLY}
        _add("sampler", name, Sampler(walk(steps_of), steps, grid, order, separable, options))  # type: ignore[arg-type]
        return steps_of

    return added


def weighting(name: str) -> Callable[[T], T]:
    """A function (log-SNR, its rate) -> weight of the squared error of eps; see `core.diffusion.weightings`."""
    return lambda made: _add("weighting", name, made)


def target(name: str) -> Callable[[T], T]:
    """A function (alpha, sigma) -> (a, b): the network outputs a x0 + b eps; see `core.diffusion.denoiser`."""
    return lambda made: _add("target", name, made)


def guidance(name: str) -> Callable[[T], T]:
    """A function (denoise, scale, *, options) -> denoise, made as `core.diffusion.guidance.guided` is."""
    return lambda made: _add("guidance", name, made)


def network(name: str) -> Callable[[T], T]:
    """A class of modules (channels, classes, *, keys, bf16) with `dimensions` and `nulls`; see `core.models`."""
    return lambda made: _add("network", name, made)


def load(paths: Iterable[Path | str]) -> list[Plugin]:
    """Run files and add what they define; a file that is loaded already is not run again.

    Raises UsageProblem for a file that cannot be read or run, and for a name that is taken.
    """
    return [_load(expanded(path).resolve()) for path in paths]


def loaded() -> list[Plugin]:
    """The files that are loaded."""
    return list(_loaded.values())


def forget(plugin: Plugin) -> None:
    """Take away what a file has added."""
    for kind, names in plugin.defined.items():
        for name in names:
            REGISTRIES[kind].pop(name, None)
            if kind == "network":
                NETWORKS.pop(name, None)
    _loaded.pop(plugin.path, None)


def load_installed() -> list[str]:
    """Load the modules of the entry-point group; notes on those that fail, which do not stop the rest."""
    notes = []
    for entry in importlib.metadata.entry_points(group=GROUP):
        try:
            _by_name(entry.load())
        except Exception as error:
            notes.append(f"the plug-in {entry.name} cannot be loaded: {type(error).__name__}: {error}")
    return notes


def check_here(wanted: Iterable[dict[str, Any]], needed_by: Path) -> list[str]:
    """Notes on the files that a run was trained with, as `Plugin.document` has them; they must be loaded.

    Raises CheckpointProblem with the file that is missing.
    """
    notes = []
    for document in wanted:
        here = {plugin.path.name: plugin for plugin in loaded()}.get(document["file"])
        for kind, names in document["defined"].items():
            for name in names:
                if name not in REGISTRIES[kind]:
                    copy = needed_by.parent / "impl" / document["file"]
                    kept = f"; a copy is in {argument(copy)}" if copy.exists() else ""
                    raise CheckpointProblem(
                        f"{needed_by} needs {document['file']}, which defines the {kind} {name}",
                        f"add --impl {argument(document['file'])}{kept}",
                    )
        if here and here.digest != document["digest"]:
            notes.append(f"{document['file']} is not as it was when the run was trained")
    return notes


def _load(path: Path) -> Plugin:
    try:
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        raise UsageProblem(f"cannot read {path}: {error.strerror}", "--impl names a Python file") from None
    except UnicodeDecodeError:
        raise UsageProblem(f"{path} is no text", "--impl names a Python file") from None
    digest = hashlib.sha256(content).hexdigest()
    before = _loaded.get(path)
    if before and before.digest == digest:
        return before
    if before:
        forget(before)
    first = len(_added)
    module = ModuleType(f"diffcli_plugin_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # it may import the files beside it, as a script may
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
        _by_name(module)
    except Problem as problem:
        _drop(first)
        raise UsageProblem(f"{path.name}: {problem.message}", problem.hint) from problem
    except Exception as error:
        _drop(first)
        raise UsageProblem(
            f"{path.name}{_line(path, error)}: {type(error).__name__}: {error}", "mend the file"
        ) from error
    defined: dict[str, list[str]] = {}
    for kind, name in _added[first:]:
        defined.setdefault(kind, []).append(name)
    _loaded[path] = Plugin(path, text, digest, module, defined)
    return _loaded[path]


def _drop(first: int) -> None:
    """Take away what was added from this place in the list on."""
    for kind, name in _added[first:]:
        REGISTRIES[kind].pop(name, None)
        if kind == "network":
            NETWORKS.pop(name, None)
    del _added[first:]


def _line(path: Path, error: Exception) -> str:
    """Where in the file an error arose, as :12."""
    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f":{lines[-1]}" if lines else ""


def _by_name(module: ModuleType) -> None:
    """Add what the dicts of a module hold."""
    for attribute, kind in NAMES.items():
        found = vars(module).get(attribute)
        if isinstance(found, dict) and found is not REGISTRIES[kind]:
            for name, made in found.items():
                if kind == "sampler" and not isinstance(made, Sampler):
                    sampler(name)(made)
                else:
                    _add(kind, name, made)


def _add(kind: str, name: str, made: T) -> T:
    """Add a thing of a kind to its registry; raises UsageProblem if its name is taken or cannot be written."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise UsageProblem(f"'{name}' is no name for a {kind}", "names are of lower-case letters, digits and -")
    if name in REGISTRIES[kind]:
        raise UsageProblem(f"there is a {kind} {name} already", "choose another name")
    if not callable(made):
        raise UsageProblem(f"the {kind} {name} cannot be called", "see diffcli/plugins.py")
    if kind == "network":
        NETWORKS[name] = _keys(name, made)
    REGISTRIES[kind][name] = made
    _added.append((kind, name))
    return made


def _keys(name: str, made: Any) -> type[Keys]:
    """The table of a recipe that a network's arguments are."""
    if getattr(made, "dimensions", None) not in (1, 3):
        raise UsageProblem(f"the network {name} needs `dimensions`", "3 where it takes images, 1 where it takes points")
    found = []
    for parameter in inspect.signature(made).parameters.values():
        if parameter.name in GIVEN:
            continue
        default = parameter.default
        kind = tuple[int, ...] if isinstance(default, tuple) else type(default)
        if kind not in (bool, int, float, str, tuple[int, ...]):
            raise UsageProblem(
                f"{parameter.name} of the network {name} has no default that a recipe can hold",
                "a number, a truth value, a name, or a tuple of whole numbers",
            )
        found.append((parameter.name, kind, key(default, f"of the network {name}")))
    return make_dataclass(f"{name.title()}Keys", found, bases=(Keys,), namespace={"name": name}, frozen=True)
