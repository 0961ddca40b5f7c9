"""The parts of a network, by the names of its weights."""

from collections.abc import Iterable
from typing import NamedTuple

from torch import nn

PARTS: dict[str, tuple[str, ...]] = {
    "embeddings": ("embed_level", "embed_label", "condition"),
    "encoder": ("enter", "down"),
    "middle": ("middle",),
    "decoder": ("up",),
    "head": ("leave",),
}
ADDED = "lora"  # the name of a module that is an addition to the one that it is in


class PartWeights(NamedTuple):
    """How many weights a part has, and how many of them are trained."""

    part: str
    weights: int
    trained: int


def part_of(name: str) -> str:
    """The part that a weight belongs to; what none of them has is a part by its own first name."""
    first, *_ = parts = name.split(".")
    if ADDED in parts:
        return ADDED
    return next((part for part, names in PARTS.items() if first in names), first)


def counted(network: nn.Module) -> list[PartWeights]:
    """The parts of a network that have weights, in its own order."""
    found: dict[str, list[nn.Parameter]] = {}
    for name, weight in network.named_parameters():
        found.setdefault(part_of(name), []).append(weight)
    order = [*PARTS, *found]
    return [
        PartWeights(part, _numbers(found[part]), _numbers(w for w in found[part] if w.requires_grad))
        for part in sorted(found, key=order.index)
    ]


def _numbers(weights: Iterable[nn.Parameter]) -> int:
    return sum(weight.numel() for weight in weights)
