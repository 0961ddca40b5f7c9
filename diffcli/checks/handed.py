"""Checks of what somebody else wrote: functions that stand for the package's own, and things that plug-ins add.

A file may define a function of the same name as one of the core's, `ddim` say. It then stands for that one in every
check that examines it, directly or through a dict such as `SAMPLERS`.
"""

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import CodeType, FunctionType
from typing import Any

from diffcli.checks.check import Check, Report
from diffcli.core.diffusion.walks import Sampler, walk

KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY
CORE = "diffcli.core."
PLURALS = {  # kinds of things, and the parameter of a check that is a dict of them
    "schedule": "schedules", "sampler": "samplers", "weighting": "weightings", "network": "networks",
    "guidance": "guidances", "target": "targets",
}  # fmt: skip


def concerned(checks: Mapping[str, Check], things: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The checks that can be run on things of a plug-in, kind -> name -> thing, by name; with their subjects."""
    found: dict[str, dict[str, Any]] = {}
    for name, check in checks.items():
        subjects = {PLURALS[kind]: dict(some) for kind, some in things.items() if PLURALS[kind] in check.subjects}
        if subjects:
            found[name] = subjects
    return found


def stand_ins(checks: Mapping[str, Check], module: Mapping[str, Any]) -> dict[str, Any]:
    """The functions and classes of a file that have the name of one of the core's which some check examines."""
    own = {name: thing for name, thing in module.items() if inspect.isfunction(thing) or inspect.isclass(thing)}
    own = {name: thing for name, thing in own.items() if not str(thing.__module__).startswith("diffcli.")}
    examined = {name for check in checks.values() for name in _examined(check)}
    return {name: thing for name, thing in own.items() if name in examined}


def examines(check: Check, name: str) -> bool:
    """Whether a check examines the core's function of this name."""
    return name in _examined(check)


def run_with(check: Check, functions: Mapping[str, Any]) -> Report:
    """Run a check with these functions in the place of the core's of the same names."""
    with contextlib.ExitStack() as held:
        for name, function in functions.items():
            if name in _examined(check):
                held.enter_context(_standing_in(check, name, function))
        return check.run()


def _globals_of(check: Check) -> dict[str, Any]:
    """The global names that a check refers to, itself and by the functions of its own module, with their values."""
    function: Any = check.findings
    space, seen, found = function.__globals__, set(), {}
    waiting = [function.__code__]
    while waiting:
        for name in _names(waiting.pop()):
            if name in space and name not in seen:
                seen.add(name)
                found[name] = space[name]
                if isinstance(space[name], FunctionType) and space[name].__globals__ is space:
                    waiting.append(space[name].__code__)
    return found


def _names(code: CodeType) -> set[str]:
    return {*code.co_names, *(name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part))}


def _examined(check: Check) -> set[str]:
    """The names of the core's functions and classes that a check refers to, in dicts too."""
    found = set()
    for value in [*_globals_of(check).values(), *_defaults(check)]:
        for thing in [*value.values()] if isinstance(value, dict) else [value]:
            thing = _function_of(thing)
            if str(getattr(thing, "__module__", "")).startswith(CORE) and hasattr(thing, "__name__"):
                found.add(thing.__name__)
    return found


def _defaults(check: Check) -> list[Any]:
    return [p.default for p in inspect.signature(check.findings).parameters.values()]


def _function_of(thing: Any) -> Any:
    """The function in a sampler's record, or in a partial."""
    thing = thing.walk if isinstance(thing, Sampler) else thing
    return thing.func if isinstance(thing, partial) else thing


@contextlib.contextmanager
def _standing_in(check: Check, name: str, function: Any) -> Iterator[None]:
    """The function in the place of the core's, in the check's module and in the dicts that the check refers to."""
    if _is_walk(check, name) and inspect.signature(function).parameters["noise"].kind is not KEYWORD_ONLY:
        function = walk(function)
    space: Any = check.findings.__globals__
    before, changed = dict(space), []
    try:
        for key, value in before.items():
            if _is_core(value, name):
                space[key] = function
        for registry in [v for v in [*_globals_of(check).values(), *_defaults(check)] if isinstance(v, dict)]:
            for key, value in list(registry.items()):
                if _is_core(_function_of(value), name):
                    changed.append((registry, key, value))
                    registry[key] = _replaced(value, function)
        yield
    finally:
        space.update({key: before[key] for key in before})
        for registry, key, value in changed:
            registry[key] = value


def _is_core(thing: Any, name: str) -> bool:
    return getattr(thing, "__name__", "") == name and str(getattr(thing, "__module__", "")).startswith(CORE)


def _is_walk(check: Check, name: str) -> bool:
    """Whether the core's function of this name is a walk, whose file may leave what walks share to `walk`."""
    values = _globals_of(check).values()
    things = [thing for value in values for thing in (value.values() if isinstance(value, dict) else [value])]
    return any(_is_core(_function_of(t), name) and hasattr(_function_of(t), "__wrapped__") for t in things)


def _replaced(value: Any, function: Any) -> Any:
    """The function with the record or the options that the one before it had."""
    if isinstance(value, Sampler):
        return replace(value, walk=_replaced(value.walk, function))
    return partial(function, *value.args, **value.keywords) if isinstance(value, partial) else function
