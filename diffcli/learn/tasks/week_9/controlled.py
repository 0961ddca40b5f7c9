"""Held to the same sum with its parts in sequence; the gradients say what learns in the first step."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.tasks.week_4.modulated_block import seeded


def controlled(x: Tensor, hint: Tensor, parts: nn.ModuleDict) -> Tensor:
    """A block of a trained network under ControlNet: block(x) + leave(copy(x + enter(hint))).

    x:     [B, C, H, W], what the block is given
    hint:  [B, C, H, W], what has been made of the condition, edges for example
    parts: by name: block, whose weights are frozen; copy, its trained copy; enter and leave, two convolutions of
           1 × 1 that are 0 when training begins

    Gradients have to reach copy, enter, leave and, by both ways, x: in a network x depends on the copies before.

    Returns [B, C, H, W].
    """
    return parts["block"](x) + parts["leave"](parts["copy"](x + parts["enter"](hint)))


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)
    x, hint = (torch.randn(2, 3, 4, 4, generator=generator) for _ in range(2))
    yield Seen("enter and leave are 0, as training begins: what the block alone gives", ask(x, hint, made(begun=True)))
    yield Seen("every part with weights", ask(x, hint, made(begun=False)))
    yield Seen("the hint all 0", ask(x, 0 * hint, made(begun=False)))
    asked = "the gradients of the summed result by all weights that are trained"
    yield Seen(f"{asked}, as training begins", ask(x, hint, made(begun=True), want="gradients"))
    yield Seen(f"{asked}, later", ask(x, hint, made(begun=False), want="gradients"))
    given = x.clone().requires_grad_(), hint, made(begun=False)
    yield Seen(
        "the gradients of the summed result for x and all weights that are trained", ask(*given, want="gradients")
    )


def made(*, begun: bool) -> nn.ModuleDict:
    """The parts, with weights of a seed; enter and leave as training begins, or later."""
    parts = nn.ModuleDict({
        "block": nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.SiLU()),
        "copy": nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.SiLU()),
        "enter": nn.Conv2d(3, 3, 1), "leave": nn.Conv2d(3, 3, 1),
    })  # fmt: skip
    seeded(parts, 2)
    parts["block"].requires_grad_(False)
    if begun:
        with torch.no_grad():
            for weight in (*parts["enter"].parameters(), *parts["leave"].parameters()):
                weight.zero_()
    return parts


def truth(x: Tensor, hint: Tensor, parts: nn.ModuleDict) -> Tensor:
    told = torch.add(parts["enter"](hint), x)
    return torch.stack([nn.Sequential(parts["copy"], parts["leave"])(told), parts["block"](x)]).sum(0)


WRONG = [
    Swap(
        "block-told-too",
        "when the frozen block is given the hint as well",
        "what the frozen block sees: x alone",
        'parts["block"](x)',
        'parts["block"](x + parts["enter"](hint))',
    ),
    Swap(
        "copy-sees-the-hint-only",
        "when the copy is not given x",
        "what the copy sees: x and the hint",
        "x + parts",
        "parts",
    ),
    Swap(
        "x-through-enter",
        "when x goes through `enter` together with the hint",
        "what `enter` is given: the hint alone; x is added behind it",
        'x + parts["enter"](hint)',
        'parts["enter"](x + hint)',
    ),
    Swap(
        "no-enter", "without the first convolution", "how the hint comes in: by `enter`", 'parts["enter"](hint)', "hint"
    ),
    Swap(
        "no-leave",
        "without the last convolution: the output is another from the first step",
        "what makes the start harmless: `leave` is 0",
        'parts["leave"](parts["copy"](x + parts["enter"](hint)))',
        'parts["copy"](x + parts["enter"](hint))',
    ),
    Swap(
        "block-for-its-copy",
        "with the frozen block where its copy belongs, so that the copy never learns",
        "which of the two is trained",
        'parts["copy"](x',
        'parts["block"](x',
    ),
    Swap(
        "copy-for-the-block",
        "with the copy in both places, so that what was trained before is lost",
        "which of the two is frozen",
        'parts["block"](x)',
        'parts["copy"](x)',
    ),
    Swap(
        "multiplied",
        "when the two are multiplied",
        "the sum: 0 has to change nothing",
        'parts["block"](x) + parts',
        'parts["block"](x) * parts',
    ),
]


@wrong(
    "when no gradient passes through the frozen block",
    "the block: its weights are frozen, the way through it to x is not",
)
def nothing_through_the_block(x: Tensor, hint: Tensor, parts: nn.ModuleDict) -> Tensor:
    with torch.no_grad():
        before: Tensor = parts["block"](x)
    added: Tensor = parts["leave"](parts["copy"](x + parts["enter"](hint)))
    return before + added


@right
def in_steps(x: Tensor, hint: Tensor, parts: nn.ModuleDict) -> Tensor:
    before = parts["block"](x)
    control = parts["enter"](hint)
    control = parts["copy"](control + x)
    return parts["leave"](control) + before


@right
def by_weights(x: Tensor, hint: Tensor, parts: nn.ModuleDict) -> Tensor:
    from torch.nn import functional as F

    (kernel, shift), (last, bias) = parts["enter"].parameters(), parts["leave"].parameters()
    told = x + torch.einsum("oi,bihw->bohw", kernel[:, :, 0, 0], hint) + shift[None, :, None, None]
    return parts["block"](x) + F.conv2d(parts["copy"](told), last, bias)


@right
def image_by_image(x: Tensor, hint: Tensor, parts: nn.ModuleDict) -> Tensor:
    found = []
    for image, told in zip(x.split(1), hint.split(1), strict=True):
        found.append(parts["leave"](parts["copy"](image + parts["enter"](told))) + parts["block"](image))
    return torch.cat(found)
