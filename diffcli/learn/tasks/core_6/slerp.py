"""Held to the package's, item by item; lengths and angles by themselves."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion.editing import slerp as one_item
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    """From each item of start to that of end along a great circle (Song et al. 2021, eq. 67).

    With θ the angle between the two items, as vectors of all their numbers,
        sin((1 − share) θ)/sin θ · start + sin(share θ)/sin θ · end

    start, end: [B, ...], latents; no two are parallel
    share:      from 0, start, to 1, end

    Returns [B, ...]; each item has an angle of its own.
    """
    a, b = start.flatten(1), end.flatten(1)
    cosine = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    angle = torch.acos(cosine).unsqueeze(1)
    found = (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)
    return found.reshape(start.shape)


def truth(start: Tensor, end: Tensor, share: float) -> Tensor:
    return torch.stack([one_item(a, b, share) for a, b in zip(start, end, strict=True)])


def questions(ask: Ask) -> Iterator[Seen]:
    start, end = torch.randn(2, 3, 1, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for share in (0.0, 0.3, 0.5, 1.0):
        yield Seen(f"three latents of 1 x 4 x 5, share {share:g}", ask(start, end, share))
    corner = torch.tensor([[3.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    other = torch.tensor([[0.0, 3.0], [1.0, 1.0]], dtype=torch.float64)
    yield Seen("a quarter of the way from (3, 0) to (0, 3), and from (0, 1) to (1, 1)", ask(corner, other, 0.25))
    between = ask(start[:, 0], start[:, 0].flip(2), 0.4)
    lengths = torch.stack([torch.as_tensor(item).norm() for item in between])
    yield Seen("the lengths on the way from latents to their mirror images, which are as long", lengths)


WRONG = [
    Swap("exchanged", "with start and end exchanged", "the docstring: share 0 is start",
         "(torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b)",
         "(torch.sin(share * angle) * a + torch.sin((1 - share) * angle) * b)"),
    Swap("not-divided", "without the division by sin θ", "the value for share 0, which has to be start",
         " / torch.sin(angle)", ""),
    Swap("cosine-unscaled", "with the product of the two in the place of its ratio to their lengths",
         "the cosine of an angle, which is at most 1", " / (a.norm(dim=1) * b.norm(dim=1))", ""),
    Swap("cosine-by-numbers", "with a·b/D for the cosine, as if both lengths were √D",
         "the cosine of an angle: a·b over both lengths", " / (a.norm(dim=1) * b.norm(dim=1))", " / a.shape[1]"),
    Swap("unit-length", "with both items brought to the length 1, which noise has not",
         "the value for share 0, which has to be start",
         "* a + torch.sin(share * angle) * b)",
         "* a / a.norm(dim=1, keepdim=True) + torch.sin(share * angle) * b / b.norm(dim=1, keepdim=True))"),
    Swap("on-a-line", "with the straight line from one to the other, whose middle is too short to be noise",
         "the factors, which are sines of a share of θ",
         "torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b",
         "(1 - share) * torch.sin(angle) * a + share * torch.sin(angle) * b"),
    Swap("by-cosines", "with cosines for sines", "eq. 67",
         "torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b",
         "torch.cos((1 - share) * angle) * a + torch.cos(share * angle) * b"),
]  # fmt: skip


@wrong("with one angle for the whole batch", "the docstring: each item has an angle of its own")
def one_angle(start: Tensor, end: Tensor, share: float) -> Tensor:
    return one_item(start, end, share)


@wrong("with the angle along the last dimension alone", "what a vector is here: all numbers of an item")
def by_rows(start: Tensor, end: Tensor, share: float) -> Tensor:
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=-1).clamp(-1 + 1e-9, 1 - 1e-9)
    angle = torch.acos(cosine).unsqueeze(-1)
    return (torch.sin((1 - share) * angle) * start + torch.sin(share * angle) * end) / torch.sin(angle)


@wrong(
    "with weights whose squares add up to 1, which is right for a right angle only", "θ, which is in all three sines"
)
def right_angle(start: Tensor, end: Tensor, share: float) -> Tensor:
    return (1 - share**2) ** 0.5 * start + share * end


@right
def by_a_loop(start: Tensor, end: Tensor, share: float) -> list[Tensor]:
    found = []
    for a, b in zip(start, end, strict=True):
        theta = torch.acos(torch.dot(a.flatten(), b.flatten()) / a.norm() / b.norm())
        found.append(
            a * torch.sin(theta - share * theta) / torch.sin(theta) + b * torch.sin(share * theta) / torch.sin(theta)
        )
    return found


@right
def by_turning(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Turn the unit vector of start towards end, lengths apart."""
    a, b = start.flatten(1), end.flatten(1)
    long_a, long_b = (v.norm(dim=1, keepdim=True) for v in (a, b))
    u, v = a / long_a, b / long_b
    angle = 2 * torch.atan2((u - v).norm(dim=1, keepdim=True), (u + v).norm(dim=1, keepdim=True))
    first, second = torch.sin((1 - share) * angle) * long_a * u, torch.sin(share * angle) * long_b * v
    return ((first + second) / torch.sin(angle)).view(start.shape)


@right
def by_einsum(start: Tensor, end: Tensor, share: float) -> Tensor:
    count = len(start)
    a, b = start.reshape(count, -1), end.reshape(count, -1)
    angle = torch.nn.functional.cosine_similarity(a, b, dim=1).acos()
    weights = torch.stack([torch.sin((1 - share) * angle), torch.sin(share * angle)]) / torch.sin(angle)
    return torch.einsum("kb,kbd->bd", weights, torch.stack([a, b])).reshape(start.shape)
