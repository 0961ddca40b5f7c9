"""A recipe: everything that decides what a training run computes. Plain values, typed and checked, in one TOML file.

It is a tree of tables. Some, as [network], are a choice: its `name` decides which keys it has, so a key that would do
nothing does not exist. Here is what the recipes of all families of models share, and how values get into them; each
family has a file of its own beside this one.
"""

import ast
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from diffcli.data.augmentation import AUGMENTATIONS, augmentations
from diffcli.data.reading import FRAMES, Reading
from diffcli.errors import DataProblem, UsageProblem, one_of
from diffcli.training.recipes.keys import Keys, choice, chosen, field_of, key, table
from diffcli.training.recipes.keys import tables as tables
from diffcli.training.recipes.optimizers import OPTIMIZERS, MuonKeys
from diffcli.training.recipes.writing import to_dict as to_dict
from diffcli.training.recipes.writing import to_toml as to_toml

ALIASES = {"dataset": "data.name", "model": "network.name", "label_drop": "objective.drop"}
"""Names of keys that are not found by themselves; they are also those of recipes from before there were tables."""

FLAT = (  # the keys of every recipe from before there were tables, as a run wrote them
    "dataset", "size", "flip", "minutes", "steps", "batch", "optimizer", "lr", "muon_lr", "weight_decay", "warmup",
    "clip", "ema", "precision", "checkpoint_every", "seed",
)  # fmt: skip


@dataclass(frozen=True)
class DataKeys(Keys):
    """What is trained on."""

    name: str = key("mnist", "a name, torchvision:NAME, or a folder of images")  # type: ignore[misc]
    size: int = key(0, "side to crop and resize to, of a folder or torchvision:NAME; 0 leaves", least=0, most=1024)
    range: str = key("", "LOW:HIGH, black and white in files of more than 8 bits; empty finds them")
    frames: str = key("all", f"of a file with several images: {', '.join(FRAMES)}")
    skip_broken: bool = key(False, "leave out files that cannot be read, instead of an error")
    hints: str = key(
        "", "pictures beside the images: a word, mask for NAME.mask.png, or a folder; of canvases: mask, layout"
    )
    augment: str = key("", f"what is done to each image at random, with commas: {', '.join(AUGMENTATIONS)}")

    def __post_init__(self) -> None:
        super().__post_init__()
        augmentations(self.augment)
        self.reading  # noqa: B018  (checks itself)

    @property
    def reading(self) -> Reading:
        """How the files of the data set are read."""
        return Reading(self.size, self.range, self.frames, self.skip_broken, hints=self.hints)


@dataclass(frozen=True)
class Training(Keys):
    """The keys that every recipe has. Raises UsageProblem when a value has the wrong type or lies out of range."""

    family: ClassVar[str]
    command: ClassVar[str]
    """The words before `train`."""
    option: ClassVar[str] = ""
    """What `train` needs to make such a model, if anything."""
    dial: ClassVar[tuple[str, ...]] = ()
    """Keys that are chosen when the training begins, by its time and the speed of the machine."""

    minutes: float = key(5.0, "time budget; used where steps is 0", above=0, most=1e6)
    steps: int = key(0, "optimiser steps; 0 means train for `minutes`", least=0)
    batch: int = key(64, "images or points per step", least=1, most=65536)
    micro_batch: int = key(0, "of them computed at once on a device; 0 is all that fit", least=0, most=65536)
    precision: str = key("auto", "bf16, fp32, or auto: bf16 where the processor has it")
    compile: bool = key(False, "compile the network by torch.compile, for GPUs: minutes on a CPU, which gains nothing")
    shard: bool = key(False, "divide weights, average and moments over the processes: for what one device cannot hold")
    checkpoint_every: int = key(0, "steps between checkpoints; 0 means about 30 seconds", least=0)
    seed: int = key(0, "of all randomness", least=0, most=2**63 - 1)
    impl: tuple[str, ...] = key((), "files of plug-ins, in Python")

    data: DataKeys = table(DataKeys())
    optimizer: Any = choice(OPTIMIZERS, MuonKeys(), "how the weights are moved")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.precision, ("auto", "bf16", "fp32"), "precision")
        if self.shard and self.compile:
            raise UsageProblem("shard and compile do not go together", "leave one of them out")

    def check_core(self) -> None:
        """Check the names that belong to the core, and that the choices go together. May import torch."""

    def settled(self, keys: Collection[str]) -> Self:
        """The recipe whose keys at these addresses, or whose choices, somebody has set: they are no longer open."""
        return self

    @property
    def prefix(self) -> str:
        """Of the names of its runs, before that of the family."""
        return ""

    @property
    def encoded_by(self) -> str:
        """The run whose latents are trained on; "" where it is the data themselves."""
        return ""

    def next_command(self, run: str, *, classes: bool = False) -> str:
        """The next useful command after training. classes: whether the data have any"""
        return f"{self.command} evaluate {run}"


R = TypeVar("R", bound=Training)


def load_recipe(name: str, known: Mapping[str, R]) -> R:
    """A recipe by name, or from a TOML file whose keys replace those of the recipe `default`."""
    if not name.endswith(".toml"):
        return known[one_of(name, known, "recipe (a file must end in .toml)")]
    return from_dict(known["default"], _read(name, f"named recipes: {', '.join(known)}"))


def impl_of(name: str) -> list[Path]:
    """The plug-ins that a recipe in a file names, from its own folder; they must be loaded before the recipe is."""
    found = _read(name, "").get("impl", ()) if name.endswith(".toml") else ()
    return [Path(name).parent / path for path in ([found] if isinstance(found, str) else found)]


def length_of(name: str) -> dict[str, Any]:
    """The steps, or else the minutes, that a recipe in a file gives; its other keys may need plug-ins."""
    found = _read(name, "") if name.endswith(".toml") else {}
    return next(({key: found[key]} for key in ("steps", "minutes") if found.get(key)), {})


def _read(name: str, hint: str) -> dict[str, Any]:
    """The content of a TOML file; raises DataProblem."""
    try:
        return tomllib.loads(Path(name).read_text("utf-8-sig"))
    except OSError as error:
        raise DataProblem(f"cannot read {name}: {error.strerror}", hint) from None
    except (ValueError, RecursionError) as error:  # bad syntax, bytes that are no text, numbers without end
        raise DataProblem(f"{name} is not TOML: {error}", "lines look like: batch = 64") from None


def from_dict(recipe: R, values: Mapping[str, Any]) -> R:
    """The recipe with the values that a file or a checkpoint holds, of today's form or of that without tables.

    Recipes without tables, as runs wrote them, hold the keys of every network and optimiser: those not used are left.
    """
    if not all(name in values for name in FLAT):
        return override(recipe, values)
    recipe = override(recipe, {k: v for k, v in values.items() if _address(recipe, k, strict=False).endswith(".name")})
    return override(recipe, {k: v for k, v in values.items() if k == "flip" or _address(recipe, k, strict=False)})


def override(recipe: R, values: Mapping[str, Any]) -> R:
    """The recipe with some keys replaced; `minutes` alone makes a recipe of steps one by the clock.

    values:  by address, as network.width, or in tables, or by the last part alone where only one table has it;
             a table by itself stands for its choice, so optimizer is optimizer.name

    Raises UsageProblem for a key that does not exist, or not with these choices.
    """
    given: dict[str, Any] = {"steps": 0} if "minutes" in values else {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            one_of(name, tables(recipe), "table of the recipe")
            given |= {f"{name}.{k}": v for k, v in value.items()}
        elif name == "flip":
            given["data.augment"] = "flip" if value is True else "" if value is False else value
        else:
            given[name] = value
    choices = {n: a for n in given if (a := _address(recipe, n, strict=False)).endswith(".name")}
    for name, address in choices.items():
        if len(twice := [other for other in choices if choices[other] == address]) > 1:
            raise UsageProblem(f"{' and '.join(twice)} are one key, given twice", "leave one of them out")
        recipe = _replaced(recipe, address.removesuffix(".name"), {"name": given.pop(name)})
    changes: dict[str, dict[str, Any]] = {}  # table by table, as its keys need to go together only when all are there
    for name, value in given.items():
        address = _address(recipe, name)
        head, leaf = address.split(".", 1) if "." in address else ("", address)
        before = changes.setdefault(head, {}).setdefault(leaf, value)
        if before is not value and before != value:  # nan is no number, and is refused below as itself
            raise UsageProblem(f"{name} is given twice, as {before} and as {value}", "leave one out")
    for head, changed in changes.items():
        recipe = _replaced(recipe, head, changed)
    return recipe.settled({*choices.values(), *(_address(recipe, name) for name in given)})


def value_of(recipe: Training, name: str) -> Any:
    """The value of a key, by address or alias."""
    head, _, leaf = _address(recipe, name).partition(".")
    return getattr(getattr(recipe, head), leaf) if leaf else getattr(recipe, head)


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """["lr=1e-3", "widths=64,128"] -> {"lr": 0.001, "widths": (64, 128)}; what is no literal stays a string."""
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UsageProblem(f"--set {setting} has no value", "write --set key=value")
        if name.strip() in values:
            raise UsageProblem(f"--set {name.strip()} is given twice: one of them would be ignored", "leave one out")
        try:
            values[name.strip()] = ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # all of them from ast
            values[name.strip()] = text
    return values


def _replaced(recipe: R, head: str, values: dict[str, Any]) -> R:
    """The recipe with other values in a table; those that are in none have the table ""."""
    if not head:
        return replace(recipe, **values)
    part: Any
    part, choices = getattr(recipe, head), field_of(recipe, head).metadata["choices"]
    if "name" in values and choices:
        part = chosen(field_of(recipe, head), str(values["name"]), part)
        return replace(recipe, **{head: part})
    for name in values:
        if name not in part.own():
            _refuse(recipe, name, f"key of [{head}]", list(part.own()), {head: part})
    try:
        return replace(recipe, **{head: replace(part, **values)})
    except UsageProblem as problem:  # a table does not know what it is called
        raise UsageProblem(f"{head}.{problem.message}", problem.hint) from None


def _address(recipe: Training, name: str, *, strict: bool = True) -> str:
    """Where a key is, head or head.leaf; "" where it is nowhere, unless strict."""
    name = ALIASES.get(name, name)
    parts = tables(recipe)
    if "." in name:
        one_of(name.partition(".")[0], parts, "table of the recipe")
        return name
    if name in recipe.own():
        return name
    if name in parts:
        if field_of(recipe, name).metadata["choices"]:
            return f"{name}.name"
        raise UsageProblem(f"{name} is a table of the recipe", f"its keys: {', '.join(parts[name].own())}")
    owners = [head for head, part in parts.items() if name in part.own() or (name == "name" and part.name)]
    if len(owners) > 1:
        raise UsageProblem(f"{name} is a key of several tables", f"write {' or '.join(f'{o}.{name}' for o in owners)}")
    if owners:
        return f"{owners[0]}.{name}"
    if strict:
        every = [*recipe.own(), *ALIASES, *parts, *(k for part in parts.values() for k in part.own())]
        _refuse(recipe, name, "key of the recipe", every, parts)
    return ""


def _refuse(recipe: Training, name: str, what: str, known: list[str], parts: Mapping[str, Keys]) -> None:
    """Raise UsageProblem for a key that is not there: that of another choice, or of none."""
    for head, part in parts.items():
        choices = field_of(recipe, head).metadata["choices"]
        owners = [c for c, kind in choices.items() if name in {f.name for f in fields(kind)}]
        if owners:
            raise UsageProblem(
                f"{name} does nothing with the {head} {part.name}: it belongs to {', '.join(owners)}",
                f"leave it out, or add --set {head}={owners[0]}",
            )
    one_of(name, known, what)
