"""A network told by pictures what to draw: hints beside the noisy input, or in a branch beside frozen weights."""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.core.models.layers import zeroed

if TYPE_CHECKING:
    from diffcli.core.models.unet import UNet

HINT = "hint"  # the condition that the first picture is; others are hint2, hint3, ...
NOT_GIVEN = -2.0
"""What a hint [B, k, H, W] in [-1, 1] is full of where an item has none."""


def shrunk(hint: Tensor, factor: int, height: int, width: int) -> Tensor:
    """A hint [B, k, H, W] as planes of the size of what walks are over, [B, k factor², height, width].

    A square of factor x factor pixels becomes channels; sides that it does not divide are padded with the border's.
    """
    missing = width * factor - hint.shape[-1], height * factor - hint.shape[-2]
    return F.pixel_unshuffle(F.pad(hint, (0, missing[0], 0, missing[1]), mode="replicate"), factor)


def is_given(hint: Tensor) -> Tensor:
    """Whether each item has its hint, [B, 1, 1, 1]: 1.0 or 0.0."""
    return (hint[:, :1, :1, :1] > NOT_GIVEN / 2 - 0.5).to(hint.dtype)


class HintPlanes(nn.Module):
    """What is laid beside the input of a network (as in SR3, Saharia et al. 2021): [B, planes, height, width].

    Those are the hint, 0 where there is none, and one that says whether there is.

    shape:  of a hint, (k, H, W)
    sides:  of what the network sees, (height, width)
    """

    def __init__(self, shape: Sequence[int], sides: Sequence[int]) -> None:
        super().__init__()
        self.shape, self.factor = tuple(shape), factor_of(shape, sides)
        self.planes = shape[0] * self.factor**2 + 1

    def forward(self, x: Tensor, hint: Tensor | None) -> Tensor:
        """Beside x [B, ..., height, width]."""
        height, width = x.shape[-2:]
        if hint is None:
            return x.new_zeros(len(x), self.planes, height, width)
        given = is_given(hint)
        return torch.cat([shrunk(hint * given, self.factor, height, width), given.expand(-1, -1, height, width)], 1)


class ControlBranch(nn.Module):
    """A trainable copy of a U-Net's encoder and middle, that looks at a hint (Zhang et al. 2023, section 3).

    What it finds at each resolution goes through a convolution that begins as zero and is added to the frozen
    network's skips and to its middle; so at the start it changes nothing. The hint comes in after the first
    convolution, through one more that begins as zero.

    network:  whose weights it begins with
    shape:    of a hint, (k, H, W)
    sides:    of what the network sees, (height, width)
    """

    def __init__(self, network: "UNet", shape: Sequence[int], sides: Sequence[int]) -> None:
        super().__init__()
        self.shape, self.factor, self.fold = tuple(shape), factor_of(shape, sides), network.fold
        width = network.skips[0]
        self.look = nn.Sequential(
            nn.Conv2d(shape[0] * (self.factor * self.fold) ** 2, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), zeroed(nn.Conv2d(width, width, 1)),
        )  # fmt: skip
        parts: tuple[nn.Module, nn.ModuleList, nn.ModuleList] = copy.deepcopy(encoder_of(network))
        self.enter, self.down, self.middle = parts
        self.zeros = nn.ModuleList(zeroed(nn.Conv2d(width, width, 1)) for width in network.skips)
        self.end = zeroed(nn.Conv2d(network.skips[-1], network.skips[-1], 1))

    def begin_with(self, network: "UNet") -> None:
        """Take the weights of a network's encoder and middle."""
        for own, other in zip((self.enter, self.down, self.middle), encoder_of(network), strict=True):
            own.load_state_dict(other.state_dict())

    def forward(self, x: Tensor, condition: Tensor, hint: Tensor) -> list[Tensor]:
        """What is added to each skip, and last to the middle.

        x:          as the network sees it, folded: [B, C fold², h, w]
        condition:  of level and class [B, E]
        """
        height, width = (side * self.fold for side in x.shape[-2:])
        seen = F.pixel_unshuffle(shrunk(hint, self.factor, height, width), self.fold)
        h = self.enter(x) + self.look(seen.contiguous(memory_format=torch.channels_last))
        found = [h]
        for layer in self.down:
            h = layer(h) if isinstance(layer, nn.Conv2d) else layer(h, condition)
            found.append(h)
        for layer in self.middle:
            h = layer(h, condition)
        return [*(zero(part) for zero, part in zip(self.zeros, found, strict=True)), self.end(h)]


class Controls(nn.ModuleDict):
    """Branches by the name of the condition that each of them is told.

    strengths:  that what they find is multiplied by; a branch of strength 0, or without its hint, changes nothing
    """

    def __init__(self) -> None:
        super().__init__()
        self.strengths: dict[str, float] = {}

    def add(self, name: str, branch: ControlBranch, strength: float = 1.0) -> None:
        self[name], self.strengths[name] = branch, strength

    def forward(self, x: Tensor, condition: Tensor, hints: Mapping[str, Tensor]) -> list[Tensor]:
        """The sums of what all branches add to each skip, and last to the middle; [] where none has a hint."""
        total: list[Tensor] = []
        for name, branch in self.items():
            hint, strength = hints.get(name), self.strengths[name]
            if hint is not None and strength != 0:
                given = strength * is_given(hint)
                found = [given.to(part.dtype) * part for part in branch(x, condition, hint)]
                total = [a + b for a, b in zip(total, found, strict=True)] if total else found
        return total


def controlled(network: "UNet", branch: ControlBranch, strength: float = 1.0) -> str:
    """Put a branch beside a network; the name of the condition that it is told."""
    if network.control is None:
        network.control = Controls()
    name = HINT if HINT not in network.control else f"{HINT}{len(network.control) + 1}"
    network.control.add(name, branch, strength)
    network.nulls[name] = NOT_GIVEN
    return name


def encoder_of(network: "UNet") -> tuple[nn.Module, nn.ModuleList, nn.ModuleList]:
    """What a branch has a copy of."""
    return network.enter, network.down, network.middle


def factor_of(shape: Sequence[int], sides: Sequence[int]) -> int:
    """How many pixels of a hint lie along one place of what a network sees; 1 unless that is latents."""
    return max(math.ceil(a / b) for a, b in zip(shape[1:], sides, strict=True))
