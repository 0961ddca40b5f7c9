"""Keys of recipes: plain values with a type, a range and a line that says what they are; and tables of them."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, get_type_hints

from diffcli.errors import UsageProblem, one_of


def key(default: Any, text: str, *, least: float = -math.inf, most: float = math.inf, above: float = -math.inf) -> Any:
    """A key with its range: `least` and `most` are allowed, `above` is not."""
    return field(default=default, metadata={"text": text, "least": least, "most": most, "above": above})


@dataclass(frozen=True)
class Keys:
    """A table of a recipe. Raises UsageProblem when a value has the wrong type or lies out of range.

    name:  of the choice that these keys belong to, where the table is one of several: a network, an optimiser
    """

    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        types = get_type_hints(type(self))
        for f in fields(self):
            if not isinstance(getattr(self, f.name), Keys):
                object.__setattr__(self, f.name, _checked(f, types[f.name], getattr(self, f.name)))

    def own(self) -> dict[str, Any]:
        """The keys of this table that are values, by name."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if not isinstance(value, Keys)}


def table(default: Keys) -> Any:
    """A table with fixed keys, as a field of a recipe."""
    return field(default=default, metadata={"choices": {}})


def choice(choices: Mapping[str, type[Keys]], default: Keys, text: str) -> Any:
    """A table whose `name` decides which keys it has. The choices may grow: a plug-in adds to them."""
    return field(default=default, metadata={"choices": choices, "text": text})


def chosen(f: dataclasses.Field[Any], name: str, before: Keys) -> Keys:
    """The keys of another choice: values that both have are kept, the rest are its own defaults."""
    kind = f.metadata["choices"][one_of(name, f.metadata["choices"], f.name)]
    if isinstance(before, kind) and before.name == name:
        return before
    shared = {g.name for g in fields(kind)} & {g.name for g in fields(before)}
    return kind(**{k: v for k, v in before.own().items() if k in shared and v != _default(before, k)})


def tables(keys: Keys) -> dict[str, Keys]:
    """The tables of a recipe, by name."""
    return {f.name: getattr(keys, f.name) for f in fields(keys) if isinstance(getattr(keys, f.name), Keys)}


def field_of(keys: Keys, name: str) -> dataclasses.Field[Any]:
    """What is known of a key or of a table."""
    return next(f for f in fields(keys) if f.name == name)


def _default(keys: Keys, name: str) -> Any:
    return next(f.default for f in fields(keys) if f.name == name)


def _checked(f: dataclasses.Field[Any], kind: Any, value: Any) -> Any:
    """The value as `kind`, in the range of the field."""
    if kind == tuple[int, ...]:
        items = value if isinstance(value, tuple | list) else (value,)
        return tuple(_checked(f, int, item) for item in items)
    if kind == tuple[str, ...]:
        items = value if isinstance(value, tuple | list) else (value,) if value else ()
        return tuple(_checked(f, str, item) for item in items)
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
