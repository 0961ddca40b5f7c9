"""Low-rank additions to the weights of a network (Hu et al. 2022)."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from diffcli.core.models.layers import Attention, zeroed
from diffcli.core.models.parts import ADDED

LAYERS = ("attention", "modulation", "convolutions", "ends")
"""Kinds of layers: the matrices of attention, all other matrices, convolutions, and the first and last of these."""

ENDS = ("enter", "leave")


class LowRank(NamedTuple):
    """The addition alpha / rank * B A to a weight.

    a:      [rank, in], or [rank, in, height, width] of a convolution
    b:      [out, rank], or [out, rank, 1, 1]
    alpha:  its size; with `rank` of them it is B A
    """

    a: Tensor
    b: Tensor
    alpha: float

    @property
    def rank(self) -> int:
        return len(self.a)

    @property
    def delta(self) -> Tensor:
        """What is added to the weight, of its shape [out, in, ...] (Hu et al. 2022, section 4.1)."""
        product = self.b.flatten(1) @ self.a.flatten(1)
        return (self.alpha / self.rank * product).unflatten(1, self.a.shape[1:])


class Addition(nn.Module):
    """forward(x) -> alpha / rank * B A x, beside a Linear or a Conv2d; B is 0 at first, so nothing is added."""

    def __init__(self, beside: nn.Linear | nn.Conv2d, rank: int, alpha: float) -> None:
        super().__init__()
        self.alpha, self.rank = alpha, rank
        self.lora_A: nn.Module
        self.lora_B: nn.Module
        if isinstance(beside, nn.Conv2d):
            like: dict[str, Any] = {"stride": beside.stride, "padding": beside.padding}
            self.lora_A = nn.Conv2d(beside.in_channels, rank, beside.kernel_size, bias=False, **like)  # type: ignore[arg-type]
            self.lora_B = zeroed(nn.Conv2d(rank, beside.out_channels, 1, bias=False))
        else:
            self.lora_A = nn.Linear(beside.in_features, rank, bias=False)
            self.lora_B = zeroed(nn.Linear(rank, beside.out_features, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.lora_B(self.lora_A(x))
        return self.alpha / self.rank * added

    @property
    def low_rank(self) -> LowRank:
        """What it adds, as numbers."""
        return LowRank(self.lora_A.get_parameter("weight"), self.lora_B.get_parameter("weight"), self.alpha)


def layers_of(network: nn.Module) -> dict[str, str]:
    """The layers that can have an addition, by name, with the kind of each, one of `LAYERS`."""
    found, parents = {}, dict(network.named_modules())
    for name, module in parents.items():
        first, parent = name.partition(".")[0], parents[name.rpartition(".")[0]]
        if f".{ADDED}." in f".{name}." or not isinstance(module, nn.Linear | nn.Conv2d):
            continue
        if isinstance(module, nn.Linear):
            found[name] = "attention" if isinstance(parent, Attention) else "modulation"
        else:
            found[name] = "ends" if first in ENDS else "convolutions"
    return found


def largest_rank(layer: nn.Module) -> int:
    """Of a weight: the smaller side of its matrix [out, in * height * width]."""
    weight = layer.get_parameter("weight")
    return min(len(weight), weight[0].numel())


def add_low_rank(network: nn.Module, rank: int, alpha: float, layers: Collection[str]) -> None:
    """Give every layer of these kinds an addition that is nothing yet; names of the weights that are there stay.

    Raises ValueError, with the layer, for a rank above that of its weight, and where there is no such layer.
    """
    names = [name for name, kind in layers_of(network).items() if kind in layers]
    if not names:
        raise ValueError(f"the network has no layers of the kind {' or '.join(layers)}")
    for name in names:
        layer = network.get_submodule(name)
        if rank > largest_rank(layer):
            raise ValueError(f"rank {rank} is above that of {name}, whose weights have {largest_rank(layer)}")
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        layer.add_module(ADDED, Addition(layer, rank, alpha))
        layer.register_forward_hook(_with_addition)


def _with_addition(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
    added: Tensor = layer.get_submodule(ADDED)(given[0])
    return output + added


def additions_of(network: nn.Module) -> dict[str, LowRank]:
    """The additions that a network has, by the name of the layer."""
    found = ((name, getattr(module, ADDED, None)) for name, module in network.named_modules())
    return {name: module.low_rank for name, module in found if isinstance(module, Addition)}


@torch.no_grad()
def merged(state: Mapping[str, Tensor], additions: Mapping[str, LowRank], scale: float = 1.0) -> dict[str, Tensor]:
    """The weights of a network by name with additions summed into them, times `scale`, and without these themselves."""
    found = {name: value for name, value in state.items() if f".{ADDED}." not in name}
    for name, addition in additions.items():
        weight = found[f"{name}.weight"]
        found[f"{name}.weight"] = weight + scale * addition.delta.to(weight)
    return found
