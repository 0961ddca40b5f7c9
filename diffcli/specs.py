"""What users write for things with parameters: a name, then parameters after commas, as in linear,steps=250."""

import inspect
from collections.abc import Callable, Mapping
from math import isfinite, nan
from typing import Any, TypeVar

import torch

from diffcli.core.diffusion.schedules import SCHEDULES, Schedule, ZeroTerminal
from diffcli.core.diffusion.shifting import Shifted
from diffcli.errors import UsageProblem, one_of

T = TypeVar("T")

ZERO_SNR = "zero-snr"
SHIFT = "shift"
EXTREME = 1e6  # a noise beyond it, or below its inverse, leaves nothing of the data, or of itself, in float32


def make(registry: Mapping[str, Callable[..., T]], spec: str, what: str) -> T:
    """What the spec describes: the entry of the registry called with the parameters given.

    A parameter has the type of its default. Raises UsageProblem for unknown names and impossible values.
    """
    name, values = _parsed(spec)
    return _call(registry, name, values, what)


def schedule(spec: str) -> Schedule:
    """A schedule, e.g. cosine or linear,steps=250,zero-snr; the last word ends it in pure noise.

    Of all that have a fixed length shift=0.5 halves the noise at every time, relative to the signal.
    """
    name, values = _parsed(spec)
    zero, shift = values.pop(ZERO_SNR, None), values.pop(SHIFT, None)
    if zero:
        raise UsageProblem(f"{ZERO_SNR} takes no value", f"as in {name},{ZERO_SNR}")
    found = _call(SCHEDULES, name, values, "schedule")
    if shift is not None:
        try:
            found = Shifted(found, _number(shift))
        except ValueError as error:
            raise UsageProblem(f"{spec}: {error}", f"as in {name},{SHIFT}=0.5") from None
    if zero is not None:
        try:
            found = ZeroTerminal(found)
        except ValueError as error:
            raise UsageProblem(f"{spec}: {error}", "linear, cosine and vp have it") from None
    if not _usable(found):
        raise UsageProblem(f"{spec} does not go from data to noise within reach of float32", "be less extreme")
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return nan


def _usable(schedule: Schedule) -> bool:
    """Whether the noise grows all the way, from some to some."""
    try:
        level = schedule(torch.linspace(0, 1, 51, dtype=torch.float64)[1:])
        least = schedule(torch.tensor(schedule.first, dtype=torch.float64)).sigma
    except OverflowError:
        return False
    return bool((level.log_snr.diff() < 0).all() and least >= 1 / EXTREME and level.sigma[-1] <= EXTREME)


def _parsed(spec: str) -> tuple[str, dict[str, str]]:
    """Name and parameters; a word without = has the value ''."""
    name, *words = (word.strip() for word in spec.split(","))
    values = {}
    for word in words:
        key, _, value = (part.strip() for part in word.partition("="))
        key = key.replace("_", "-")
        if key in values:
            raise UsageProblem(f"{spec} gives {key} twice")
        values[key] = value
    return name, values


def parameters(registry: Mapping[str, Callable[..., Any]], spec: str, what: str) -> tuple[str, dict[str, Any]]:
    """The name in a spec, and its parameters as the types of their defaults; see `make`."""
    name, values = _parsed(spec)
    return name, _typed(registry[one_of(name, registry, what)], name, values, what)


def _call(registry: Mapping[str, Callable[..., T]], name: str, values: dict[str, str], what: str) -> T:
    entry = registry[one_of(name, registry, what)]
    given = _typed(entry, name, values, what)
    try:
        return entry(**given)
    except ValueError as error:
        known = ", ".join(key.replace("_", "-") for key in inspect.signature(entry).parameters)
        raise UsageProblem(f"{name}: {error}", f"parameters: {known or 'none'}") from None


def _typed(entry: Callable[..., Any], name: str, values: dict[str, str], what: str) -> dict[str, Any]:
    """The parameters given, each of the type of its default."""
    parameters = inspect.signature(entry).parameters.items()
    known = {k: p for k, p in parameters if isinstance(p.default, int | float | str)}  # nothing else can be spelled
    names = {key.replace("_", "-"): key for key in known}
    given: dict[str, Any] = {}
    for key, text in values.items():
        key = names[one_of(key, names, f"parameter of the {what} {name}")]
        kind = type(known[key].default)
        try:
            given[key] = kind(text)
            if kind is float and not isfinite(given[key]):
                raise ValueError
        except ValueError:
            expected = {int: "a whole number", float: "a finite number"}[kind]
            raise UsageProblem(f"{key} of {name} must be {expected}, not '{text}'") from None
    return given


def numbers(text: str, option: str, kind: type[int] | type[float], least: float) -> list[Any]:
    """ "5,10,20" -> the numbers; raises UsageProblem."""
    try:
        found = [kind(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(least <= value < float("inf") for value in found):
        what = "whole numbers" if kind is int else "numbers"
        raise UsageProblem(f"{option} takes {what} from {least:g} on, with commas between, not {text}")
    return found
