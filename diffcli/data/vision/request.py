"""What a user writes for a data set of torchvision, torchvision:NAME,key=value, and what its constructor is given."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffcli.data.vision import PREFIX
from diffcli.data.vision.sets import VisionSet, vision_set
from diffcli.errors import UsageProblem, one_of

VALUES = {  # our splits -> what data sets call them, the usual name first
    "train": ("train", "trainval", "train-standard"),
    "val": ("val", "valid"),
    "test": ("test", "val", "valid"),  # where the test images are not published, as of ImageNet, those of validation
}
COMMAS = re.compile(r",(?![^(\[]*[)\]])")  # those outside brackets
SIZES = re.compile(r"\d+(x\d+)+")


@dataclass(frozen=True)
class Request:
    """A data set of torchvision with the arguments that the user gave.

    root:  a folder to look in and in no other; None where the user gave none
    """

    entry: VisionSet
    given: dict[str, Any]
    root: Path | None = None

    @property
    def spelling(self) -> str:
        """The same as text, as a recipe keeps it: torchvision's own capitals, and the whole path of `root`."""
        given = self.given | ({"root": self.root} if self.root else {})
        return ",".join([PREFIX + self.entry.name, *(f"{name}={_written(value)}" for name, value in given.items())])

    def arguments(self, split: str) -> Iterator[dict[str, Any]]:
        """The arguments to try for a split of ours, "train", "val" or "test", one after the other.

        An argument that the user gave is what is trained on. Raises UsageProblem where there is no such split.
        """
        key = self.entry.split
        if split == "train" and (not key or key in self.given):
            yield self.given
            return
        if not key:
            raise UsageProblem(f"{self.entry.name} has no splits", "part of it is held out, as of a folder of images")
        if isinstance(self.entry.parameters[key].default, bool):
            if split == "val":
                raise UsageProblem(f"{self.entry.name} has no val split", "its splits: train, test")
            values: tuple[Any, ...] = (split == "train",)
        else:
            values = VALUES[one_of(split, VALUES, f"split of {self.entry.name}")]
        if split != "train" and self.given.get(key) in values:
            given = f"{key}={_written(self.given[key])}"
            raise UsageProblem(f"{self.entry.name} with {given} is trained on its {split} images", f"leave {given} out")
        for value in values:
            yield self.given | {key: value}


def parse(text: str) -> Request:
    """What torchvision:NAME,key=value means; raises UsageProblem, DataProblem and EnvironmentProblem."""
    name, *words = COMMAS.split(text.removeprefix(PREFIX))
    entry, given, root = vision_set(name.strip()), {}, None
    known = entry.arguments
    for word in words:
        key, equals, value = (part.strip() for part in word.partition("="))
        key = key.replace("-", "_")
        if not equals or not value:
            raise UsageProblem(f"{word.strip()} of {text} has no value", f"as in {PREFIX}{entry.name},key=value")
        if key in given or (key == "root" and root):
            raise UsageProblem(f"{text} gives {key} twice")
        if key == "root" and "root" in entry.parameters:
            root = Path(value).expanduser().resolve()
        else:
            key = one_of(key, known, f"argument of {entry.name}")
            given[key] = _value(entry.name, known[key], value)
    for name, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and name not in given and name != entry.split:
            values = getattr(entry.make, f"{name}s", ())
            choice = f": one of {', '.join(values)}" if values else ""
            raise UsageProblem(f"{entry.name} needs {name}{choice}", f"as in {PREFIX}{entry.name},{name}=VALUE")
    return Request(entry, given, root)


def _value(owner: str, parameter: inspect.Parameter, text: str) -> Any:
    """The value of an argument, of the type of its default; sizes may be written as 3x32x32."""
    default, name = parameter.default, parameter.name
    if SIZES.fullmatch(text) and not isinstance(default, str):
        return tuple(map(int, text.split("x")))
    try:
        value = ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text.lower(), text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # all of them from ast
        value = text
    if isinstance(default, str) or default is inspect.Parameter.empty:
        return value if isinstance(value, list | tuple) else text
    if default is not None and type(value) is not type(default):
        raise UsageProblem(f"{name} of {owner} must be like {_written(default)}, not '{text}'")
    return value


def _written(value: Any) -> str:
    """A value as it is given on the command line."""
    if isinstance(value, tuple) and all(type(part) is int for part in value) and len(value) > 1:
        return "x".join(map(str, value))
    return str(value).replace(" ", "") if isinstance(value, list | tuple | dict) else str(value)
