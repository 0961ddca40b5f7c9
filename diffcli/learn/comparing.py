"""How two answers differ, as a person would say it."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcli.learn.exercise import CLOSE, EXACT, Seen

FACTORS = {-1.0: "the negative of", 2.0: "twice", 0.5: "half", 4.0: "four times", 0.25: "a quarter of"}
LONG = re.compile(r"\d+\.\d{7,}(e[-+]?\d+)?")  # 0.1 in float32, say


class Piece(NamedTuple):
    """A number, a tensor or a text inside an answer; `place` says where, and is empty for the whole."""

    place: str
    value: Any


def told(case: str) -> str:
    """What was asked, with its numbers as one would say them."""
    return LONG.sub(lambda found: f"{float(found[0]):.6g}", case)


def agree(found: Seen, wanted: Seen) -> bool:
    """Whether two answers to a question are the same, but for rounding or what chance may do."""
    return difference(found, wanted) is None


def difference(found: Seen, wanted: Seen) -> str | None:
    """What is wrong with the first piece that is off; None where nothing is."""
    if found.value is None and wanted.value is not None:
        missing = "a `return` is missing, or a gradient does not flow there"
        return f"gives nothing, {_kind(wanted.value)} is wanted: {missing}"
    answer = _like(found.value, wanted.value)
    if said := _structure(answer, wanted.value):
        return said
    pairs, within = list(_pairs(answer, wanted.value)), wanted.within
    scale = max((_largest(want.value) for _, want in pairs), default=0.0)
    for got, want in pairs:
        allowed = CLOSE * scale + EXACT if within is None else within
        if said := _off(got.value, want.value, allowed, want.place, stated=within is not None):
            return said
    return None


def pattern(found: Sequence[Seen], wanted: Sequence[Seen]) -> str:
    """What all numbers have in common where they are off in the same way: a factor or a constant; else nothing."""
    got, want = (_numbers(some) for some in (found, wanted))
    if got.shape != want.shape or len(want) < 3 or not bool(got.isfinite().all() and want.isfinite().all()):
        return ""
    beside = want.abs() > CLOSE * want.abs().max() + EXACT
    ratios = (got / want)[beside]
    if int(beside.sum()) >= 3 and _constant(ratios) and bool((got[~beside].abs() < 10 * EXACT).all()):
        factor = float(ratios.mean())
        if abs(factor) < EXACT:
            return "all are 0"
        name = next((name for value, name in FACTORS.items() if math.isclose(factor, value, rel_tol=1e-3)), "")
        return f"all are {name or f'{factor:.4g} times'} what they should be" if abs(factor - 1) > 1e-3 else ""
    if _constant(got - want):
        shift = float((got - want).mean())
        return f"all are too {'large' if shift > 0 else 'small'} by {abs(shift):.4g}"
    return ""


def _like(found: Any, wanted: Any) -> Any:
    """The answer with lists of numbers and tensors put together, or taken apart, where that is what is wanted."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return {key: _like(value, wanted.get(key)) for key, value in found.items()}
    if isinstance(wanted, list | tuple) and not _is_flat(wanted):
        items = list(found) if isinstance(found, Tensor) and found.ndim else found
        if isinstance(items, list | tuple) and len(items) == len(wanted):
            return [_like(item, want) for item, want in zip(items, wanted, strict=True)]
        return items
    if isinstance(found, list | tuple) and found and isinstance(wanted, Tensor):
        parts = [_like(item, wanted[0]) if wanted.ndim > 1 else item for item in found]
        if all(isinstance(part, Tensor | int | float) for part in parts):
            tensors = [torch.as_tensor(part) for part in parts]
            return torch.stack(tensors) if len({tensor.shape for tensor in tensors}) == 1 else found
    return found


def _constant(values: Tensor) -> bool:
    return bool((values - values.mean()).abs().max() <= 1e-3 * values.abs().max())


def _numbers(some: Sequence[Seen]) -> Tensor:
    found = [piece.value for seen in some for piece in _pieces(seen.value) if not isinstance(piece.value, str | None)]
    parts = [torch.view_as_real(v) if _is_complex(v) and isinstance(v, Tensor) else v for v in found]
    parts = [[v.real, v.imag] if isinstance(v, complex) else v for v in parts]
    return torch.cat([torch.as_tensor(value, dtype=torch.float64).flatten() for value in parts] or [torch.empty(0)])


def _pieces(value: Any, place: str = "") -> Iterator[Piece]:
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _pieces(value[key], f"{place}[{key!r}]")
    elif isinstance(value, list | tuple) and not _is_flat(value):
        for i, item in enumerate(value):
            yield from _pieces(item, f"{place}[{i}]")
    else:
        yield Piece(place, torch.tensor(value) if isinstance(value, list | tuple) else value)


def _pairs(found: Any, wanted: Any, place: str = "") -> Iterator[tuple[Piece, Piece]]:
    """The pieces of two answers of the same structure, that of the wanted one."""
    if isinstance(wanted, dict):
        for key in sorted(wanted):
            yield from _pairs(found[key], wanted[key], f"{place}[{key!r}]")
    elif isinstance(wanted, list | tuple) and not _is_flat(wanted):
        for i, (got, want) in enumerate(zip(found, wanted, strict=True)):
            yield from _pairs(got, want, f"{place}[{i}]")
    else:
        got, want = (torch.tensor(value) if isinstance(value, list | tuple) else value for value in (found, wanted))
        yield Piece(place, got), Piece(place, want)


def _is_flat(value: Any) -> bool:
    """Whether a list is one of numbers, or of tensors that are one each, which is as good as a tensor."""
    return bool(value) and all(_is_number(item) for item in value)


def _is_number(value: Any) -> bool:
    return (
        value.ndim == 0 if isinstance(value, Tensor) else isinstance(value, int | float) and not isinstance(value, bool)
    )


def _structure(found: Any, wanted: Any, place: str = "") -> str | None:
    """What differs but the numbers: how many things, their names, their kinds."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return f"{_the(place)} is {_kind(found)}, a dict with {', '.join(wanted)} is wanted"
        missing = [key for key in wanted if key not in found] or [key for key in found if key not in wanted]
        if missing:
            return f"{_the(place)} has the keys {', '.join(found)}, wanted are {', '.join(wanted)}"
        return next(filter(None, (_structure(found[k], wanted[k], f"{place}[{k!r}]") for k in wanted)), None)
    if isinstance(wanted, list | tuple) and not _is_flat(wanted):
        if not isinstance(found, list | tuple):
            return f"{_the(place)} is {_kind(found)}, {len(wanted)} things are wanted"
        if len(found) != len(wanted):
            return f"{_the(place)} has {len(found)} things, {len(wanted)} are wanted"
        pairs = enumerate(zip(found, wanted, strict=True))
        return next(filter(None, (_structure(got, want, f"{place}[{i}]") for i, (got, want) in pairs)), None)
    if isinstance(found, dict) or (isinstance(found, list | tuple) and not _is_flat(found)):
        return f"{_the(place)} is {_kind(found)}, {_kind(wanted)} is wanted"
    if (found is None) != (wanted is None) or isinstance(found, str) != isinstance(wanted, str):
        return f"{_the(place)} is {_kind(found)}, {_kind(wanted)} is wanted"
    if _is_complex(found) and not _is_complex(wanted):
        return f"{_the(place)} is complex, real numbers are wanted: `.real` takes that part if the rest is rounding"
    return None


def _is_complex(value: Any) -> bool:
    return value.is_complex() if isinstance(value, Tensor) else isinstance(value, complex)


def _off(found: Any, wanted: Any, allowed: float, place: str, *, stated: bool) -> str | None:
    if isinstance(wanted, str) or wanted is None:
        return None if found == wanted else f"{_the(place)} is {found!r}, right is {wanted!r}"
    got, want = (torch.as_tensor(value).to(torch.float64) for value in (found, wanted))
    if got.shape != want.shape and not (got.numel() == want.numel() == 1):
        return f"{_the(place)} has the shape {list(got.shape)}, {list(want.shape)} is wanted"
    got = got.reshape(want.shape)
    bad = ~(((got - want).abs() <= allowed) | (got == want) | (got.isnan() & want.isnan()))
    if not bool(bad.any()):
        return None
    first = [int(i) for i in bad.nonzero()[0]] if want.ndim else []
    index = f"at [{', '.join(map(str, first))}] " if first else ""
    a, b = (float(value[tuple(first)]) for value in (got, want))
    others = int(bad.sum()) - 1
    count = f", and {others} more of {bad.numel()} {'is' if others == 1 else 'are'} off" if others else ""
    room = f" (may be off by {allowed:.2g})" if stated else ""
    if not place and not index:
        return f"gives {a:.6g}, right is {b:.6g}{room}"
    where = f"{_the(place)} " if place else ""
    return f"{where}{index}is {a:.6g}, right is {b:.6g}{room}{count}"


def _the(place: str) -> str:
    return f"result{place}" if place else "the result"


def _largest(value: Any) -> float:
    if isinstance(value, str) or value is None:
        return 0.0
    numbers = torch.as_tensor(value).to(torch.float64).abs()
    return float(numbers[numbers.isfinite()].max()) if bool(numbers.isfinite().any()) else 0.0


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}" if value.ndim else "a number"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    names = {
        type(None): "None",
        dict: "a dict",
        str: "a text",
        bool: "True or False",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), f"a {type(value).__name__}")
