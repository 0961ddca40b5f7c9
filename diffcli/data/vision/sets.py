"""Which data sets torchvision has for us, and what each takes: found by looking at its classes, not by a list."""

import difflib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from diffcli.data.vision import import_from_torchvision
from diffcli.errors import DataProblem

OURS = ("root", "transform", "target_transform", "transforms", "download", "loader", "is_valid_file")
"""Parameters that are not the user's to give; `root` is, too, but means a folder to look in."""

SPLITS = ("what", "train", "split", "image_set", "background")
"""Parameters that choose a split; a data set that has several is told by the first."""

URL = re.compile(r"https?://[^\s'\"<>`]+")
ROOT = re.compile(r"^\s*root \([^\n]*?\):(.*?)(?=^\s*\w+ \([^\n]*?\):|\Z)", re.MULTILINE | re.DOTALL)
"""The description of the parameter root in a docstring."""


@dataclass(frozen=True)
class VisionSet:
    """A data set of torchvision.

    make:        its class
    parameters:  of the constructor, those that it hands on to its base classes among them
    """

    name: str
    make: Any
    parameters: Mapping[str, inspect.Parameter]

    @property
    def title(self) -> str:
        """What its documentation begins with."""
        first = re.sub(r"`([^`<]*?)\s*<[^>]*>`_+", r"\1", self._summary).replace("`", "")
        sentence = re.split(r"(?<=\.)\s|\s*::", " ".join(first.split()))[0]
        return re.sub(r"(\s+dataset)*[.:]?$", "", sentence, flags=re.IGNORECASE)

    @property
    def page(self) -> str:
        """The address of the page on it that its documentation begins with, or ""."""
        found = re.search(r"<(https?://[^>\s]+)>", self._summary)
        return found[1] if found else ""

    @property
    def layout(self) -> str:
        """What its documentation says of the folder that its files belong in, or ""."""
        texts = (inspect.cleandoc(kind.__doc__ or "") for kind in self.make.__mro__ if kind.__name__ != "VisionDataset")
        found = next(filter(None, map(ROOT.search, texts)), None)
        text = " ".join(re.split(r"\n\s*\n|\.\. ", found[1])[0].replace("`", "").split()) if found else ""
        sentences = re.split(r"(?<=\.)\s", text)
        kept = " ".join(sentences[: 2 if len(sentences[0]) < 80 else 1])
        return kept.rstrip(".:") if len(kept.split()) > 6 else ""  # "Root directory of the dataset." says nothing

    @property
    def urls(self) -> tuple[str, ...]:
        """Where its files are downloaded from, as far as its class says."""
        by_class = ([url for value in vars(kind).values() for url in _urls(value)] for kind in self.make.__mro__[:-1])
        return tuple(dict.fromkeys(next(filter(None, by_class), ())))

    @property
    def _summary(self) -> str:
        """The first paragraph of its documentation."""
        return re.split(r"\n\s*\n|Args:", inspect.cleandoc(self.make.__doc__ or self.name))[0]

    @property
    def arguments(self) -> dict[str, inspect.Parameter]:
        """The parameters that the user may give, those that choose the split among them."""
        return {name: p for name, p in self.parameters.items() if name not in OURS}

    @property
    def split(self) -> str:
        """The parameter that chooses the split; "" where there is none."""
        return next((name for name in SPLITS if name in self.parameters), "")


def vision_sets() -> dict[str, VisionSet]:
    """All that hold images with a class, by name; raises EnvironmentProblem where torchvision cannot be imported."""
    return {entry.name: entry for entry in _all() if not refusal(entry)}


def vision_set(name: str) -> VisionSet:
    """The data set of this name, in whatever case; raises DataProblem for one that is unknown or of no use here."""
    known = {entry.name.lower(): entry for entry in _all()}
    entry = known.get(name.lower())
    if entry is None:
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
        choice = f"did you mean torchvision:{known[near[0]].name}? " if near else ""
        raise DataProblem(f"torchvision has no data set '{name}'", f"{choice}diffcli data torchvision lists them")
    if reason := refusal(entry):
        raise DataProblem(f"torchvision:{entry.name} has no class for each image: {reason}",
                          "diffcli data torchvision lists those that have")  # fmt: skip
    return entry


def refusal(entry: VisionSet) -> str:
    """Why a data set does not hold images with a class, as far as its class tells; "" if it may."""
    parameters, module = entry.parameters, entry.make.__module__
    if not vars(entry.make).get("__doc__"):
        return "it is a part of another data set"
    if "frames_per_clip" in parameters:
        return "it holds videos"
    if "optical_flow" in module or "stereo" in module:
        return "it holds pairs of images, and maps of flow or distance between them"
    if {"annFile", "ann_file"} & set(parameters):
        return "it holds captions or boxes"
    if "target_transform" not in parameters:
        return "its items are no pairs of an image and a target"
    targets = next((parameters[k].default for k in ("target_type", "target_types") if k in parameters), None)
    if "transforms" in parameters and targets != "category":
        return "its targets are pictures or boxes"  # what changes an image must change them, too
    needed = [name for name, p in parameters.items() if p.default is p.empty and name not in ("root", *SPLITS)]
    if needed:
        return f"it cannot be made without {', '.join(needed)}"
    return _said_of_items(entry.make)


def _said_of_items(make: Any) -> str:
    """The reason to refuse it that the documentation of its items gives, or ""."""
    says = make.__getitem__.__doc__ or ""
    if "image1" in says:
        return "it holds pairs of images"
    if "caption" in says:
        return "its targets are captions"
    return "its targets are annotations" if "dict of" in says else ""


def _all() -> Iterator[VisionSet]:
    """Every data set of torchvision; the classes that others are made from are none."""
    module = import_from_torchvision("datasets")
    for name in module.__all__:
        make = getattr(module, name)
        if isinstance(make, type) and issubclass(make, module.VisionDataset) and make is not module.VisionDataset:
            yield VisionSet(name, make, _parameters(make))


def _parameters(make: type) -> dict[str, inspect.Parameter]:
    """The parameters of a constructor, and of those above it as long as each hands on all that it does not know."""
    found: dict[str, inspect.Parameter] = {}
    for kind in make.__mro__[:-1]:
        if "__init__" not in vars(kind):
            continue
        own = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
        named = {p.name: p for p in own if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"}
        found = found | {name: p for name, p in named.items() if name not in found}
        if not any(p.kind is p.VAR_KEYWORD for p in own):
            break
    return found


def _urls(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from URL.findall(value) if value.startswith("http") else ()
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _urls(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _urls(part)
