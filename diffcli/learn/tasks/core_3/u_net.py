"""Held to a walk that keeps each map under its resolution and its number."""

from collections.abc import Iterator
from itertools import zip_longest

import torch
from torch import Tensor, nn

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right
from diffcli.learn.props import ToldBlock, seeded


def u_net(
    x: Tensor, told: Tensor, enter: nn.Module, down: list[list[nn.Module]], halve: list[nn.Module], middle: nn.Module,
    up: list[list[nn.Module]], double: list[nn.Module], leave: nn.Module,
) -> Tensor:  # fmt: skip
    """The way down and up again through a U-Net whose layers are given.

    x:             [B, C, H, W]
    told:          [B, E], an embedding of the time
    down, up:      a list of blocks for each of L resolutions, in the order of use: down from the finest to the
                   coarsest, up from the coarsest to the finest. A block is called as block(h, told), and so is `middle`
    halve, double: L − 1 layers each, in the order of use. They are called as layer(h), and so are `enter` and `leave`

    Down: enter; its result is kept. At each resolution h goes through the blocks one after the other, and what comes
    out of each is kept. From one resolution to the next h goes through a halve, and its result is kept, too.
    Then middle, whose result is not kept.
    Up: at each resolution h goes through the blocks one after the other. Each sees h and, behind it along the channels,
    what was kept last and has not been used yet. From one resolution to the next h goes through a double. When the
    blocks have been used up, nothing is kept any more. Then leave.

    Returns what `leave` makes of h.
    """
    h: Tensor = enter(x)
    kept = [h]
    for place, blocks in enumerate(down):
        if place > 0:
            h = halve[place - 1](h)
            kept.append(h)
        for block in blocks:
            h = block(h, told)
            kept.append(h)
    h = middle(h, told)
    for place, blocks in enumerate(up):
        if place > 0:
            h = double[place - 1](h)
        for block in blocks:
            h = block(torch.cat([h, kept.pop()], dim=1), told)
    found: Tensor = leave(h)
    return found


def layers(resolutions: int, blocks: int, width: int, seed: int) -> tuple[object, ...]:
    """Arguments of `u_net` from `enter` on. All maps have one size, so a wrong order is no error of shape."""
    numbers = iter(range(100 * seed, 100 * seed + 100))

    def made(channels_in: int) -> nn.Module:
        return ToldBlock(channels_in, width, 3, next(numbers))

    with seeded(seed):
        enter, leave = nn.Conv2d(2, width, 1), nn.Conv2d(width, 2, 1)
        halve, double = ([nn.Conv2d(width, width, 1) for _ in range(resolutions - 1)] for _ in range(2))
    down = [[made(width) for _ in range(blocks)] for _ in range(resolutions)]
    up = [[made(2 * width) for _ in range(blocks + 1)] for _ in range(resolutions)]
    return enter, down, halve, made(width), up, double, leave


def truth(
    x: Tensor, told: Tensor, enter: nn.Module, down: list[list[nn.Module]], halve: list[nn.Module], middle: nn.Module,
    up: list[list[nn.Module]], double: list[nn.Module], leave: nn.Module,
) -> Tensor:  # fmt: skip
    """The maps of resolution i have numbers: 0 is what it began with, n what its block n left, counted from 1."""
    maps: dict[tuple[int, int], Tensor] = {}
    for i, blocks in enumerate(down):
        maps[i, 0] = enter(x) if i == 0 else halve[i - 1](maps[i - 1, len(down[i - 1])])
        for n, block in enumerate(blocks, 1):
            maps[i, n] = block(maps[i, n - 1], told)
    h = middle(maps[len(down) - 1, len(down[-1])], told)
    for i in reversed(range(len(down))):
        level = len(down) - 1 - i
        for n, block in enumerate(up[level]):
            h = block(torch.cat([h, maps[i, len(down[i]) - n]], dim=1), told)
        h = double[level](h) if i > 0 else leave(h)
    return h


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    net = layers(1, 2, 2, 1)
    yield Seen("one resolution, two blocks down, three up", ask(drawn(1, 2, 2, 2), drawn(1, 3), *net))
    net = layers(3, 1, 3, 2)
    yield Seen("three resolutions, a block down and two up at each", ask(drawn(2, 2, 2, 3), drawn(2, 3), *net))
    given = drawn(2, 2, 2, 3).requires_grad_(), drawn(2, 3).requires_grad_(), *net
    yield Seen("the gradients there, for x, told, enter, middle and leave", ask(*given, want="gradients"))


WRONG = [
    Swap("skip-before-h", "when what was kept stands before h", "the order along the channels: h, then what was kept",
         "[h, kept.pop()]", "[kept.pop(), h]"),
    Swap("queue", "when what was kept first is used first",
         "the end of the list from which maps are taken: a stack, not a queue",
         "kept.pop()", "kept.pop(0)"),
    Swap("same-order-up", "when the maps of a resolution are used in the order in which they were kept",
         "the map that was kept last: it is used first",
         "for block in blocks:\n            h = block(torch.cat([h, kept.pop()]",
         "for left in range(len(blocks), 0, -1):\n"
         "            block = blocks[len(blocks) - left]\n"
         "            h = block(torch.cat([h, kept.pop(-left)]"),
    Swap("no-skips", "when a block on the way up sees h twice, and nothing that was kept", "the channels behind h",
         "[h, kept.pop()]", "[h, h]"),
    Swap("no-middle", "without `middle`", "the place between down and up", 
         "h = middle(h, told)", "h = h + 0 * middle(h, told)"),
    Swap("untold-up", "when the way up is not told the time", "the second argument of the blocks of up",
         "kept.pop()], dim=1), told)", "kept.pop()], dim=1), 0 * told)"),
    Swap("only-the-last-kept", "when every block of a resolution sees the same map, the last of it",
         "the maps that are kept: each is used once",
         "for block in blocks:\n            h = block(torch.cat([h, kept.pop()]",
         "last = kept[-1]\n"
         "        for block in blocks:\n            kept.pop()\n            h = block(torch.cat([h, last]"),
    Swap("reset", "when a block on the way down sees what came before its resolution, not what the last block left",
         "the input of the second block", "h = block(h, told)\n            kept.append(h)",
         "kept.append(block(kept[-1 - blocks.index(block)], told))\n            h = kept[-1]"),
]  # fmt: skip


@right
def by_recursion(
    x: Tensor, told: Tensor, enter: nn.Module, down: list[list[nn.Module]], halve: list[nn.Module], middle: nn.Module,
    up: list[list[nn.Module]], double: list[nn.Module], leave: nn.Module,
) -> Tensor:  # fmt: skip
    def at(level: int, h: Tensor) -> Tensor:
        maps = [h]
        for block in down[level]:
            maps.append(block(maps[-1], told))
        deepest = level == len(down) - 1
        h = middle(maps[-1], told) if deepest else double[-1 - level](at(level + 1, halve[level](maps[-1])))
        for block, skip in zip(up[-1 - level], reversed(maps), strict=True):
            h = block(torch.cat((h, skip), 1), told)
        return h

    found: Tensor = leave(at(0, enter(x)))
    return found


@right
def one_list(
    x: Tensor, told: Tensor, enter: nn.Module, down: list[list[nn.Module]], halve: list[nn.Module], middle: nn.Module,
    up: list[list[nn.Module]], double: list[nn.Module], leave: nn.Module,
) -> Tensor:  # fmt: skip
    maps: list[Tensor] = [enter(x)]
    for blocks, after in zip_longest(down, halve):
        for block in blocks:
            maps.append(block(maps[-1], told))
        if after is not None:
            maps.append(after(maps[-1]))
    h: Tensor = middle(maps[-1], told)
    for level, blocks in enumerate(up):
        for block in blocks:
            h = block(torch.cat([h, maps[-1]], dim=1), told)
            del maps[-1]
        if level < len(double):
            h = double[level](h)
    found: Tensor = leave(h)
    return found


@right
def from_the_front(
    x: Tensor, told: Tensor, enter: nn.Module, down: list[list[nn.Module]], halve: list[nn.Module], middle: nn.Module,
    up: list[list[nn.Module]], double: list[nn.Module], leave: nn.Module,
) -> Tensor:  # fmt: skip
    h: Tensor = enter(x)
    kept: list[Tensor] = [h]
    rest = list(halve)
    for blocks in down:
        for block in blocks:
            h = block(h, told)
            kept.insert(0, h)
        if rest:
            h = rest.pop(0)(h)
            kept.insert(0, h)
    h = middle(h, told)
    steps = iter(kept)
    for blocks, after in zip(up, [*double, leave], strict=True):
        for block in blocks:
            skip = next(steps)
            h = block(torch.hstack([h, skip]), told)
        h = after(h)
    return h
