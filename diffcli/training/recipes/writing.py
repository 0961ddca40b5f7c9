"""A recipe as plain values and as TOML."""

from collections.abc import Iterator
from typing import Any

from diffcli.training.recipes.keys import Keys, field_of, tables

NONE = "none"  # the choice of what a recipe does not have


def to_dict(recipe: Keys) -> dict[str, Any]:
    """Plain values in tables, for TOML and JSON."""
    found: dict[str, Any] = {k: _plain(v) for k, v in recipe.own().items()}
    for name, part in _written(recipe).items():
        of_choice = {"name": part.name} if field_of(recipe, name).metadata["choices"] else {}
        found[name] = of_choice | {k: _plain(v) for k, v in part.own().items()}
    return found


def to_toml(recipe: Keys) -> str:
    """The same as TOML, with what each key is beside it."""
    import tomlkit

    document = tomlkit.document()
    for name, item in _items(recipe):
        document.add(name, item)
    for name, part in _written(recipe).items():
        section = tomlkit.table()
        metadata = field_of(recipe, name).metadata
        if metadata["choices"]:
            text = f"{metadata['text']}: {', '.join(metadata['choices'])}"
            section.add("name", tomlkit.item(part.name).comment(text))
        for leaf, item in _items(part):
            section.add(leaf, item)
        document.add(name, section)
    return tomlkit.dumps(document)


def _written(recipe: Keys) -> dict[str, Keys]:
    """The tables that are written down: a choice of nothing is not, as a plain run has no use for it."""
    return {name: part for name, part in tables(recipe).items() if part.name != NONE}


def _items(keys: Keys) -> Iterator[tuple[str, Any]]:
    """Names and TOML values of a table, each with its comment."""
    import tomlkit

    for name, value in keys.own().items():
        yield name, tomlkit.item(_plain(value)).comment(field_of(keys, name).metadata["text"])


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
