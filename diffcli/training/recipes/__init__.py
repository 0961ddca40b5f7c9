"""A recipe: everything that decides what a training run computes. Plain values, typed and checked, in one TOML file.

Here is what the recipes of all families of models share; each family has a file of its own beside this one.
"""

import ast
import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_type_hints

from diffcli.errors import DataProblem, UsageProblem, one_of


def key(default: Any, text: str, *, least: float = -math.inf, most: float = math.inf, above: float = -math.inf) -> Any:
    """A field of a recipe with its range: `least` and `most` are allowed, `above` is not."""
    return field(default=default, metadata={"text": text, "least": least, "most": most, "above": above})


@dataclass(frozen=True)
class Training:
    """The keys that every recipe has. Raises UsageProblem when a value has the wrong type or lies out of range."""

    family: ClassVar[str]

    dataset: str = key("mnist", "a name, of images or of points, or a folder of images")
    size: int = key(0, "side to crop and resize a folder's images to; 0 leaves them", least=0, most=1024)
    flip: bool = key(False, "mirror half of the images; not for points")

    minutes: float = key(5.0, "time budget; used where steps is 0", above=0, most=1e6)
    steps: int = key(0, "optimiser steps; 0 means train for `minutes`", least=0)
    batch: int = key(64, "images or points per step", least=1, most=65536)
    optimizer: str = key("muon", "muon (with AdamW for what is no matrix) or adamw")
    lr: float = key(2e-3, "learning rate of AdamW", above=0, most=10)
    muon_lr: float = key(0.02, "learning rate of Muon", above=0, most=10)
    weight_decay: float = key(0.0, "of both optimisers", least=0, most=10)
    warmup: int = key(30, "steps over which the learning rate rises", least=1)
    clip: float = key(1.0, "longest gradient", above=0)
    ema: float = key(0.995, "decay of the averaged weights", least=0, most=0.99999)
    precision: str = key("auto", "bf16, fp32, or auto: bf16 where the processor has it")

    checkpoint_every: int = key(0, "steps between checkpoints; 0 means about 30 seconds", least=0)
    seed: int = key(0, "of all randomness", least=0, most=2**63 - 1)

    def __post_init__(self) -> None:
        types = get_type_hints(type(self))
        for f in fields(self):
            object.__setattr__(self, f.name, _checked(f, types[f.name], getattr(self, f.name)))
        one_of(self.optimizer, ("muon", "adamw"), "optimizer")
        one_of(self.precision, ("auto", "bf16", "fp32"), "precision")

    def check_core(self) -> None:
        """Check the names that belong to the core, and that the choices go together. May import torch."""


R = TypeVar("R", bound=Training)


def load_recipe(name: str, known: Mapping[str, R]) -> R:
    """A recipe by name, or from a TOML file whose keys replace those of the recipe `default`."""
    if not name.endswith(".toml"):
        return known[one_of(name, known, "recipe (a file must end in .toml)")]
    try:
        values = tomllib.loads(Path(name).read_text())
    except OSError as error:
        raise DataProblem(f"cannot read {name}: {error.strerror}", f"named recipes: {', '.join(known)}") from None
    except (ValueError, RecursionError) as error:  # bad syntax, bytes that are no text, numbers without end
        raise DataProblem(f"{name} is not TOML: {error}", "lines look like: batch = 64") from None
    return override(known["default"], values)


def override(recipe: R, values: Mapping[str, Any]) -> R:
    """The recipe with some keys replaced; `minutes` alone makes a recipe of steps one by the clock."""
    for name in values:
        one_of(name, [f.name for f in fields(recipe)], "key of the recipe")
    return replace(recipe, **({"steps": 0} if "minutes" in values else {}) | dict(values))


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """["lr=1e-3", "widths=64,128"] -> {"lr": 0.001, "widths": (64, 128)}; what is no literal stays a string."""
    values = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UsageProblem(f"--set {setting} has no value", "write --set key=value")
        try:
            values[name.strip()] = ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # all of them from ast
            values[name.strip()] = text
    return values


def to_dict(recipe: Training) -> dict[str, Any]:
    """Plain values, for TOML and JSON."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(recipe).items()}


def _checked(f: dataclasses.Field[Any], kind: Any, value: Any) -> Any:
    """The value as `kind`, in the range of the field."""
    if kind == tuple[int, ...]:
        items = value if isinstance(value, tuple | list) else (value,)
        return tuple(_checked(f, int, item) for item in items)
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e300:
        value = float(value)
    if kind is not type(value):
        raise UsageProblem(f"{f.name} must be {_describe(kind)}, not {value!r}", f"{f.name}: {f.metadata['text']}")
    if kind in (int, float):
        least, most, above = (f.metadata[k] for k in ("least", "most", "above"))
        if not (abs(value) < math.inf and least <= value <= most and value > above):
            raise UsageProblem(
                f"{f.name} must be {_range(least, most, above)}, not {value}",
                f"{f.name}: {f.metadata['text']}",
            )
    return value


def _describe(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}[kind]


def _range(least: float, most: float, above: float) -> str:
    parts = [
        f"above {above:g}" if above > -math.inf else "",
        f"at least {least:g}" if least > -math.inf else "",
    ]
    parts.append(f"at most {most:g}" if most < math.inf else "")
    return " and ".join(part for part in parts if part) or "finite"
