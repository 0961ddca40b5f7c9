"""What the file of an exercise is made of: a solution, questions, wrong answers with what to say of them, right ones.

    def double(x: Tensor) -> Tensor:            the solution; its head and docstring are what a learner begins with
        ...

    def questions(ask: Ask) -> Iterator[Seen]:  what is asked, and what is looked at of the answers
        yield Seen("x = 3", ask(torch.tensor(3.0)))

    WRONG = [Swap("square", "with x² for 2x", "the docstring", "2 * x", "x * x")]

    @wrong("with x + x + x", "how often x is added")
    def thrice(x): ...

    @right
    def by_addition(x): ...

An exercise that looks at what runs have left behind is another matter: see `experiments.py`.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from diffcli.learn.asking import Ask
from diffcli.learn.catalogue import BUILT_IN

F = TypeVar("F", bound=Callable[..., Any])

CLOSE, EXACT = 1e-4, 1e-6  # of the largest value, and beside zero: what float32 and another order of terms may do


class Seen(NamedTuple):
    """An answer: what was asked, as a learner would say it; plain values; how far each number may be off.

    within:  None for what rounding may do; for statistics several of their standard errors
    """

    case: str
    value: Any
    within: float | None = None


class Swap(NamedTuple):
    """A wrong answer that is the solution with one piece of its text replaced.

    name:  of the mistake
    text:  completes "this is what one gets ..."
    look:  completes "look at ..."
    """

    name: str
    text: str
    look: str
    old: str
    new: str


class Wrong(NamedTuple):
    """A wrong answer that is recognised."""

    name: str
    text: str
    look: str
    function: Callable[..., Any]


def wrong(text: str, look: str) -> Callable[[F], F]:
    """A wrong answer; the name of the mistake is the function's, `text` and `look` as of a `Swap`."""

    def marked(function: F) -> F:
        function.mistake = (text, look)  # type: ignore[attr-defined]
        return function

    return marked


def right(function: F) -> F:
    """Another way to write the solution, which has to pass."""
    function.is_right = True  # type: ignore[attr-defined]
    return function


@dataclass(frozen=True)
class Material:
    """What the file of an exercise holds.

    truth:    what answers are compared with; the solution, where nothing else is given
    seconds:  that each call may take
    allowed:  modules of the package that an answer may import
    repeats:  whether everything is asked twice, to see that answers do not change
    """

    solution: Callable[..., Any]
    questions: Callable[[Ask], Iterator[Seen]]
    wrongs: tuple[Wrong, ...]
    rights: tuple[Callable[..., Any], ...]
    truth: Callable[..., Any]
    seconds: float = 10.0
    allowed: tuple[str, ...] = ()
    repeats: bool = True


@cache
def material(file: Path, function: str) -> Material:
    """What the file of an exercise on this function holds. Raises what running it raises, and ValueError for a gap."""
    module = module_of(file)
    own = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
    missing = [name for name in (function, "questions") if not callable(getattr(module, name, None))]
    if missing:
        raise ValueError(f"{file} has no {' and no '.join(missing)}")
    solution = getattr(module, function)
    wrongs = [Wrong(f.__name__.replace("_", "-"), f.mistake[0], f.mistake[1], f) for f in own if hasattr(f, "mistake")]
    wrongs += [Wrong(s.name, s.text, s.look, _swapped(module, solution, s)) for s in getattr(module, "WRONG", ())]
    return Material(
        solution, module.questions, tuple(wrongs), tuple(f for f in own if hasattr(f, "is_right")),
        getattr(module, "truth", solution), getattr(module, "SECONDS", 10.0), tuple(getattr(module, "ALLOWED", ())),
        getattr(module, "REPEATS", True),
    )  # fmt: skip


def module_of(file: Path) -> ModuleType:
    """The file as a module: by its own name in the package, under one made of its place elsewhere."""
    inside = file.is_relative_to(BUILT_IN)
    name = ".".join(["diffcli.learn.tasks", *file.relative_to(BUILT_IN).with_suffix("").parts]) if inside else str(file)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _swapped(module: ModuleType, solution: Callable[..., Any], swap: Swap) -> Callable[..., Any]:
    """The solution with a piece replaced, in the module's own names. Raises ValueError where it is not there once."""
    text = inspect.getsource(solution)
    if text.count(swap.old) != 1:
        raise ValueError(
            f"{module.__name__}: {swap.old!r} stands {text.count(swap.old)} times in the solution, not once"
        )
    space = dict(vars(module))
    exec(compile(text.replace(swap.old, swap.new), f"<{swap.name}>", "exec"), space)
    return space[solution.__name__]
