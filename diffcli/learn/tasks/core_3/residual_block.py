"""Held to the same block in float64 made of the functions behind the modules, and to the gradients of its weights."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right
from diffcli.learn.props import seeded


def residual_block(x: Tensor, told: Tensor, parts: nn.ModuleDict) -> Tensor:
    """A residual block that is told the time, as in DDPM, made of modules that are given.

    x:      [B, C_in, H, W]
    told:   [B, E], an embedding of each item's time
    parts:  modules by name:
            "norm1"  [B, C_in, H, W] -> the same shape      "conv1"  [B, C_in, H, W] -> [B, C, H, W]
            "norm2"  [B, C, H, W] -> the same shape         "conv2"  [B, C, H, W] -> [B, C, H, W]
            "tell"   [B, E] -> [B, C]                       "skip"   [B, C_in, H, W] -> [B, C, H, W]

    The branch is norm1, SiLU, conv1; then tell(SiLU(told)) is added, the same for all pixels of an item; then norm2,
    SiLU, conv2. What skip makes of x itself is added to the branch, and that is the result, [B, C, H, W].
    """
    branch: Tensor = parts["conv1"](F.silu(parts["norm1"](x)))
    branch = branch + parts["tell"](F.silu(told)).unsqueeze(-1).unsqueeze(-1)
    branch = parts["conv2"](F.silu(parts["norm2"](branch)))
    skip: Tensor = parts["skip"](x)
    return skip + branch


def modules(channels_in: int, channels: int, told: int, seed: int) -> nn.ModuleDict:
    """Parts with weights of a seed; also the norms have some of their own."""
    with seeded(seed):
        parts = nn.ModuleDict({
            "norm1": nn.GroupNorm(1, channels_in), "conv1": nn.Conv2d(channels_in, channels, 3, padding=1),
            "tell": nn.Linear(told, channels),
            "norm2": nn.GroupNorm(1, channels), "conv2": nn.Conv2d(channels, channels, 3, padding=1),
            "skip": nn.Conv2d(channels_in, channels, 1),
        })  # fmt: skip
        for norm in (parts["norm1"], parts["norm2"]):
            for weight in norm.parameters():
                nn.init.uniform_(weight, 0.5, 1.5)
    return parts


def truth(x: Tensor, told: Tensor, parts: nn.ModuleDict) -> Tensor:
    def weights(name: str) -> tuple[Tensor, Tensor]:
        weight, bias = parts[name].weight, parts[name].bias
        assert isinstance(weight, Tensor) and isinstance(bias, Tensor)
        return weight.double(), bias.double()

    def normed(h: Tensor, name: str) -> Tensor:
        flat = h.flatten(1)
        unit = (flat - flat.mean(1, keepdim=True)) / (flat.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
        weight, bias = (part.reshape(-1, 1, 1) for part in weights(name))
        return unit.reshape(h.shape) * weight + bias

    def rectified(h: Tensor) -> Tensor:
        return h / (1 + torch.exp(-h))

    wide = x.double()
    branch = F.conv2d(rectified(normed(wide, "norm1")), *weights("conv1"), padding=1)
    matrix, bias = weights("tell")
    branch = branch + (torch.einsum("be,ce->bc", rectified(told.double()), matrix) + bias)[:, :, None, None]
    branch = F.conv2d(rectified(normed(branch, "norm2")), *weights("conv2"), padding=1)
    return branch + F.conv2d(wide, *weights("skip"))


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    x, told, parts = 2 * drawn(2, 3, 4, 4) + 1, drawn(2, 5), modules(3, 3, 5, 0)
    yield Seen("x [2, 3, 4, 4], three channels in and out, skip a convolution", ask(x, told, parts))
    x, told, parts = drawn(1, 2, 3, 5), drawn(1, 4), modules(2, 4, 4, 1)
    yield Seen("x [1, 2, 3, 5], two channels in, four out", ask(x, told, parts))
    yield Seen("the gradients of all weights there", ask(x, told, parts, want="gradients"))


WRONG = [
    Swap("no-skip", "without the way past the branch", "the last sentence of the docstring",
         "return skip + branch", "return branch"),
    Swap("x-itself", "with x itself past the branch, not skip(x)", "what is added to the branch: skip(x)",
         "return skip + branch", "return x + branch"),
    Swap("skip-of-the-normalised", "when the skip sees x after norm1", "the argument of skip: x itself",
         'parts["skip"](x)', 'parts["skip"](parts["norm1"](x))'),
    Swap("activated-sum", "with a SiLU behind the sum, as in the first residual networks",
         "the sum: nothing comes after it",
         "return skip + branch", "return F.silu(skip + branch)"),
    Swap("untold", "when the block is not told the time", "the second argument",
         'branch + parts["tell"](F.silu(told))', 'branch + 0 * parts["tell"](F.silu(told))'),
    Swap("told-at-the-end", "when the time is added behind conv2",
         "the place where the time enters: between conv1 and norm2",
         'branch = branch + parts["tell"](F.silu(told)).unsqueeze(-1).unsqueeze(-1)\n'
         '    branch = parts["conv2"](F.silu(parts["norm2"](branch)))',
         'branch = parts["conv2"](F.silu(parts["norm2"](branch)))\n'
         '    branch = branch + parts["tell"](F.silu(told)).unsqueeze(-1).unsqueeze(-1)'),
    Swap("told-as-it-is", "without the SiLU on what is told", "the argument of tell", "F.silu(told)", "told"),
    Swap("no-second-silu", "without the SiLU before conv2", "the SiLU between norm2 and conv2",
         'F.silu(parts["norm2"](branch))', 'parts["norm2"](branch)'),
    Swap("activated-before-the-norm", "with SiLU before norm1", "the order: norm1, then SiLU",
         'F.silu(parts["norm1"](x))', 'parts["norm1"](F.silu(x))'),
]  # fmt: skip


@right
def in_sequence(x: Tensor, told: Tensor, parts: nn.ModuleDict) -> Tensor:
    first = nn.Sequential(parts["norm1"], nn.SiLU(), parts["conv1"])(x)
    words = nn.Sequential(nn.SiLU(), parts["tell"])(told)
    second: Tensor = nn.Sequential(parts["norm2"], nn.SiLU(), parts["conv2"])(first + words[:, :, None, None])
    return second + parts["skip"](x)


@right
def by_sigmoid(x: Tensor, told: Tensor, parts: nn.ModuleDict) -> Tensor:
    def swish(h: Tensor) -> Tensor:
        return h * h.sigmoid()

    skip: Tensor = parts["skip"](x)
    h = parts["conv1"](swish(parts["norm1"](x)))
    h = torch.einsum("bchw->hwbc", h) + parts["tell"](swish(told))
    return skip + parts["conv2"](swish(parts["norm2"](h.permute(2, 3, 0, 1))))


@right
def item_by_item(x: Tensor, told: Tensor, parts: nn.ModuleDict) -> Tensor:
    found = []
    for image, words in zip(x.split(1), told, strict=True):
        h = parts["conv1"](F.silu(parts["norm1"](image)))
        h = h + parts["tell"](F.silu(words)).reshape(1, -1, 1, 1)
        found.append(parts["skip"](image) + parts["conv2"](F.silu(parts["norm2"](h))))
    return torch.cat(found)
