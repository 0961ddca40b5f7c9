"""Held to the package's own block with these parts in it; in the first question it has to be the identity."""

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.core.models.layers import ResBlock
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong

Module = TypeVar("Module", bound=nn.Module)


def modulated_block(x: Tensor, condition: Tensor, parts: nn.ModuleDict) -> Tensor:
    """Two convolutions around a skip; between them the condition scales and shifts the channels.

    The branch is norm1, SiLU, conv1, norm2; then channel c is multiplied by 1 + scale[c], and shift[c] is added; then
    SiLU, conv2. The result is the branch plus skip(x).

    x:         [B, C_in, H, W]
    condition: [B, E], which has been through SiLU already; modulate(condition) is [B, 2 C]: the first C numbers are
               the scales, the last C the shifts
    parts:     by name: norm1, conv1, modulate, norm2, conv2, skip, all of them modules

    Returns [B, C, H, W].
    """
    h = parts["conv1"](F.silu(parts["norm1"](x)))
    scale, shift = parts["modulate"](condition)[:, :, None, None].chunk(2, dim=1)
    h = parts["norm2"](h) * (1 + scale) + shift
    return parts["skip"](x) + parts["conv2"](F.silu(h))


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(3)
    x, condition = torch.randn(2, 3, 4, 4, generator=generator), torch.randn(2, 5, generator=generator)
    begun = made(3, 3)
    with torch.no_grad():
        for weight in begun["conv2"].parameters():
            weight.zero_()
    yield Seen("conv2 is all 0, skip does nothing: the block should be the identity", ask(x, condition, begun))
    yield Seen("3 channels to 3, every part with weights", ask(x, condition, made(3, 3)))
    yield Seen("3 channels to 4, so that skip is a convolution", ask(x, condition, made(3, 4)))
    yield Seen("3 channels to 4, condition 0", ask(x, 0 * condition, made(3, 4)))
    asked = "the gradients of the summed result by all weights, 3 channels to 4"
    yield Seen(asked, ask(x, condition, made(3, 4), want="gradients"))


def made(channels_in: int, channels: int) -> nn.ModuleDict:
    """All the parts, with weights of a seed."""
    return seeded(nn.ModuleDict({
        "norm1": nn.GroupNorm(1, channels_in), "conv1": nn.Conv2d(channels_in, channels, 3, padding=1),
        "modulate": nn.Linear(5, 2 * channels), "norm2": nn.GroupNorm(1, channels),
        "conv2": nn.Conv2d(channels, channels, 3, padding=1),
        "skip": nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity(),
    }), 1)  # fmt: skip


def seeded(module: Module, seed: int) -> Module:
    """With normal weights of deviation ½ that depend on the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) / 2)
    return module


def truth(x: Tensor, condition: Tensor, parts: nn.ModuleDict) -> Tensor:
    block = ResBlock(x.shape[1], x.shape[1], condition.shape[1], 0.0)
    for name, part in parts.items():
        setattr(block, name, part)
    return block(x, condition)


WRONG = [
    Swap(
        "scale-without-one",
        "with scale for 1 + scale: a modulation of 0 then silences the branch",
        "a scale of 0, which should change nothing",
        "(1 + scale)",
        "scale",
    ),
    Swap(
        "halves-exchanged",
        "with the halves of the modulation exchanged",
        "the order in modulate(condition): scales first",
        "scale, shift =",
        "shift, scale =",
    ),
    Swap(
        "no-skip", "without the skip", "the last line: the branch is added to what came in", 'parts["skip"](x) + ', ""
    ),
    Swap(
        "skip-behind-the-norm",
        "if the skip begins behind the norm, so that the block cannot be the identity",
        "what the skip takes: x as it came",
        'parts["skip"](x)',
        'parts["skip"](parts["norm1"](x))',
    ),
    Swap(
        "activated-sum",
        "with the activation behind the sum, as in the first ResNets: the block cannot be the identity",
        "the order in the branch: norm, activation, convolution",
        'return parts["skip"](x) + parts["conv2"](F.silu(h))',
        'return F.silu(parts["skip"](x) + parts["conv2"](h))',
    ),
    Swap(
        "no-second-activation",
        "without the activation between the modulation and conv2",
        "the order in the branch",
        "(F.silu(h))",
        "(h)",
    ),
    Swap(
        "first-activation-late",
        "with the first activation behind conv1",
        "the order in the branch: norm, activation, convolution",
        'parts["conv1"](F.silu(parts["norm1"](x)))',
        'F.silu(parts["conv1"](parts["norm1"](x)))',
    ),
    Swap(
        "activated-condition",
        "with SiLU of the condition, which has been through it already",
        "what modulate takes: the condition as it is",
        'parts["modulate"](condition)',
        'parts["modulate"](F.silu(condition))',
    ),
    Swap(
        "modulated-before-the-norm",
        "if the condition comes before norm2, which takes most of it away again",
        "what is scaled and shifted: the result of norm2",
        'parts["norm2"](h) * (1 + scale) + shift',
        'parts["norm2"](h * (1 + scale) + shift)',
    ),
]


@wrong("with ReLU for SiLU", "SiLU, x sigmoid(x)")
def with_relu(x: Tensor, condition: Tensor, parts: nn.ModuleDict) -> Tensor:
    h = parts["conv1"](F.relu(parts["norm1"](x)))
    scale, shift = parts["modulate"](condition)[:, :, None, None].chunk(2, dim=1)
    return parts["skip"](x) + parts["conv2"](F.relu(parts["norm2"](h) * (1 + scale) + shift))


@right
def as_a_module_would(x: Tensor, condition: Tensor, parts: nn.ModuleDict) -> Tensor:
    act = nn.SiLU()
    first = nn.Sequential(parts["norm1"], act, parts["conv1"], parts["norm2"])(x)
    told = parts["modulate"](condition)
    channels = first.shape[1]
    scale, shift = told[:, :channels].reshape(-1, channels, 1, 1), told[:, channels:].reshape(-1, channels, 1, 1)
    return parts["conv2"](act(torch.addcmul(shift, first, 1 + scale))) + parts["skip"](x)


@right
def swish_by_hand(x: Tensor, condition: Tensor, parts: nn.ModuleDict) -> Tensor:
    h = parts["norm1"](x)
    h = parts["norm2"](parts["conv1"](h * torch.sigmoid(h)))
    scale, shift = torch.tensor_split(parts["modulate"](condition), 2, dim=1)
    h = h + h * scale[..., None, None] + shift[..., None, None]
    return parts["skip"](x).add(parts["conv2"](h * h.sigmoid()))


@right
def image_by_image(x: Tensor, condition: Tensor, parts: nn.ModuleDict) -> Tensor:
    found = []
    for image, told in zip(x, condition, strict=True):
        alone = image.unsqueeze(0)
        modulation = parts["modulate"](told)
        half = len(modulation) // 2
        h = parts["norm2"](parts["conv1"](F.silu(parts["norm1"](alone))))[0]
        h = torch.stack([(1 + modulation[c]) * h[c] + modulation[half + c] for c in range(half)])
        found.append(parts["conv2"](F.silu(h).unsqueeze(0)) + parts["skip"](alone))
    return torch.cat(found)
