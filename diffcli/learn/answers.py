"""What a function of a learner is asked and what it answers, as plain values that can go between processes."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

MOST_ITEMS = 10_000  # of something that yields


class Trouble(Exception):
    """Why there is no answer.

    kind:     blank, missing, syntax, raised, changed, ended, late, memory, forbidden or unusual
    message:  what a learner is told, without the place
    line:     number of the line in the learner's file, 0 where there is none
    text:     that line
    """

    def __init__(self, kind: str, message: str, line: int = 0, text: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.line, self.text = kind, message, line, text


WANTED = ("value", "gradients", "state")  # what may be asked of a call


class Seed(NamedTuple):
    """Stands for a fresh `torch.Generator` of this seed among the arguments."""

    number: int


class Callback(NamedTuple):
    """Stands for a function of the asking side among the arguments."""

    number: int


def plain(value: Any) -> Any:
    """Tensors, numbers, texts, lists and dicts of them; what yields becomes a list. Raises Trouble for all else."""
    if isinstance(value, Tensor):
        return torch.Tensor.detach(value).cpu().clone().as_subclass(Tensor)
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in "biuf":
            raise Trouble("unusual", f"returns an array of {value.dtype}: numbers are wanted")
        return torch.from_numpy(np.array(value))
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, nn.Module):
        return {name: plain(weight) for name, weight in value.state_dict().items()}
    if isinstance(value, list | tuple) or inspect.isgenerator(value) or isinstance(value, range | map | zip):
        items = []
        for item in value:
            items.append(plain(item))
            if len(items) > MOST_ITEMS:
                raise Trouble("unusual", f"yields without an end: {MOST_ITEMS:,} items so far")
        return items
    raise Trouble("unusual", f"returns a {type(value).__name__}: numbers, tensors, or lists of them are wanted")


def answer(
    function: Callable[..., Any], arguments: tuple[Any, ...], named: Mapping[str, Any], want: str = "value"
) -> Any:
    """Call it once, with arguments of its own.

    want:  value, what it returns; gradients, of the sum of that, for each argument that wants one and each weight of
           the modules among them; state, the weights of these modules afterwards

    Raises Trouble where a tensor among the arguments is another one afterwards, and as `plain` does.
    """
    given = [_made(value) for value in arguments]
    kept = {name: _made(value) for name, value in named.items()}
    watched = [*given, *kept.values()]
    before = [value.detach().clone() if isinstance(value, Tensor) else None for value in watched]
    wanted = list(_wanting(watched))  # as asked: a function may well say `x.requires_grad_()` for its own use
    value = function(*given, **kept)
    result = plain(value)
    for place, (now, was) in enumerate(zip(watched, before, strict=True)):
        if was is not None and not _same(now, was):
            raise Trouble(
                "changed", f"changes its argument {_name_of(function, place, len(given), list(kept))} in place"
            )
    if want == "state":
        return [plain(module) for module in watched if isinstance(module, nn.Module)]
    return _gradients(value, wanted) if want == "gradients" else result


def _made(value: Any) -> Any:
    return torch.Generator().manual_seed(value.number) if isinstance(value, Seed) else value


def _same(now: Tensor, was: Tensor) -> bool:
    return (
        now.shape == was.shape and now.dtype == was.dtype and torch.equal(now.detach().nan_to_num(), was.nan_to_num())
    )


def _name_of(function: Callable[..., Any], place: int, positional: int, named: list[str]) -> str:
    if place >= positional:
        return named[place - positional]
    try:
        return list(inspect.signature(function).parameters)[place]
    except (ValueError, TypeError, IndexError):
        return f"number {place + 1}"


def _gradients(value: Any, wanted: list[Tensor]) -> list[Tensor | None]:
    """Of the sum of a value, for what is wanted; None where it does not depend on that."""
    if not isinstance(value, Tensor) or not value.requires_grad:
        raise Trouble(
            "unusual", "returns something that no gradient flows from: a tensor made of the arguments is wanted"
        )
    found = torch.autograd.grad(value.sum(), wanted, allow_unused=True)
    return [None if gradient is None else gradient.detach().clone() for gradient in found]


def _wanting(arguments: list[Any]) -> Iterator[Tensor]:
    for value in arguments:
        if isinstance(value, Tensor) and value.requires_grad:
            yield value
        elif isinstance(value, nn.Module):
            yield from (weight for weight in value.parameters() if weight.requires_grad)
