"""What users write for things with parameters: a name, then parameters after commas, as in linear,steps=250."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from diffcli.core.diffusion.schedules import SCHEDULES, Schedule, ZeroTerminal
from diffcli.errors import UsageProblem, one_of

T = TypeVar("T")

ZERO_SNR = "zero-snr"


def make(registry: Mapping[str, Callable[..., T]], spec: str, what: str) -> T:
    """What the spec describes: the entry of the registry called with the parameters given.

    A parameter has the type of its default. Raises UsageProblem for unknown names and impossible values.
    """
    name, values = _parsed(spec)
    return _call(registry, name, values, what)


def schedule(spec: str) -> Schedule:
    """A schedule, e.g. cosine or linear,steps=250,zero-snr; the last word ends it in pure noise."""
    name, values = _parsed(spec)
    zero = values.pop(ZERO_SNR, None)
    found = _call(SCHEDULES, name, values, "schedule")
    if zero is None:
        return found
    try:
        return ZeroTerminal(found)
    except ValueError as error:
        raise UsageProblem(f"{spec}: {error}", "linear, cosine and vp have it") from None


def _parsed(spec: str) -> tuple[str, dict[str, str]]:
    """Name and parameters; a word without = has the value ''."""
    name, *words = (word.strip() for word in spec.split(","))
    values = {}
    for word in words:
        key, _, value = word.partition("=")
        if key in values:
            raise UsageProblem(f"{spec} gives {key} twice")
        values[key.strip()] = value.strip()
    return name, values


def _call(registry: Mapping[str, Callable[..., T]], name: str, values: dict[str, str], what: str) -> T:
    entry = registry[one_of(name, registry, what)]
    parameters = inspect.signature(entry).parameters
    names = {key.replace("_", "-"): key for key in parameters}
    given: dict[str, Any] = {}
    for key, text in values.items():
        key = names[one_of(key.replace("_", "-"), names, f"parameter of the {what} {name}")]
        kind = type(parameters[key].default)
        try:
            given[key] = kind(text)
        except ValueError:
            expected = {int: "a whole number", float: "a number"}[kind]
            raise UsageProblem(f"{key} of {name} must be {expected}, not '{text}'") from None
    try:
        return entry(**given)
    except ValueError as error:
        raise UsageProblem(f"{name}: {error}", f"parameters: {', '.join(names) or 'none'}") from None
