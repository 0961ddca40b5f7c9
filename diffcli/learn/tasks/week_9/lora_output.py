"""Held to the layer with the weights put together; at the start it is the layer itself."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def lora_output(x: Tensor, weight: Tensor, down: Tensor, up: Tensor, strength: float) -> Tensor:
    """A linear layer with a low-rank addition: W x + (strength/r) U D x, for each row of x.

    x:        [B, I]
    weight:   [O, I], W, which is never trained here
    down:     [r, I], D, from the input to r numbers
    up:       [O, r], U, from these to the output
    strength: the α of the paper

    Returns [B, O]. Gradients have to reach down and up.
    """
    return x @ weight.T + strength / len(down) * (x @ down.T @ up.T)


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(4, 3, generator=generator), torch.randn(3, 3, generator=generator)
    down, up = torch.randn(2, 3, generator=generator), torch.randn(3, 2, generator=generator)
    yield Seen("rank 2, up all 0, as training begins: the layer itself", ask(x, weight, down, torch.zeros(3, 2), 4.0))
    for strength in (4.0, 0.5):
        yield Seen(f"rank 2, strength {strength:g}", ask(x, weight, down, up, strength))
    square = torch.randn(3, 3, generator=generator), torch.randn(3, 3, generator=generator)
    yield Seen("rank 3, strength 1", ask(x, weight, *square, 1.0))
    asked = "the gradients of the summed result by down and up, as training begins (up all 0)"
    begun = down.clone().requires_grad_(True), torch.zeros(3, 2, requires_grad=True)
    yield Seen(asked, ask(x, weight, *begun, 4.0, want="gradients"))


def truth(x: Tensor, weight: Tensor, down: Tensor, up: Tensor, strength: float) -> Tensor:
    whole = torch.addmm(weight, up, down, alpha=strength / down.shape[0])
    return torch.nn.functional.linear(x, whole)


WRONG = [
    Swap(
        "not-divided-by-the-rank",
        "with strength for strength/r",
        "the factor, strength/r: dividing by r is what lets another rank keep the learning rate",
        "strength / len(down)",
        "strength",
    ),
    Swap(
        "divided-by-the-root",
        "with strength/√r",
        "the factor, strength/r; its root is another paper's",
        "strength / len(down)",
        "strength / len(down) ** 0.5",
    ),
    Swap("no-base", "without the layer that is adapted", "the first term", "x @ weight.T + ", ""),
    Swap(
        "whole-scaled",
        "when the strength multiplies the whole layer",
        "the brackets: only the addition is scaled",
        "x @ weight.T + strength / len(down) * (x @ down.T @ up.T)",
        "strength / len(down) * (x @ weight.T + x @ down.T @ up.T)",
    ),
    Swap(
        "divided-by-the-input",
        "with strength over the number of inputs",
        "r: the rows of `down`, not its columns",
        "len(down)",
        "down.shape[1]",
    ),
]


@wrong(
    "when no gradient reaches `up`, which is 0 now and then stays so",
    "`detach`, `no_grad` and `item`, all of which cut the graph",
)
def up_detached(x: Tensor, weight: Tensor, down: Tensor, up: Tensor, strength: float) -> Tensor:
    return lora_output(x, weight, down, up.detach(), strength) + 0 * up.sum()


@wrong(
    "with W transposed, which fits because it is square here",
    "which side of x the weight is on: PyTorch has [outputs, inputs]",
)
def transposed(x: Tensor, weight: Tensor, down: Tensor, up: Tensor, strength: float) -> Tensor:
    return lora_output(x, weight.T, down, up, strength)


@right
def by_layers(x: Tensor, weight: Tensor, down: Tensor, up: Tensor, strength: float) -> Tensor:
    from torch.nn import functional as F

    return F.linear(x, weight) + F.linear(F.linear(x, down), up) * (strength / down.shape[0])


@right
def merged_first(x: Tensor, weight: Tensor, down: Tensor, up: Tensor, strength: float) -> Tensor:
    rank = up.shape[1]
    return torch.einsum("bi,oi->bo", x, weight + torch.einsum("or,ri->oi", up, down) * strength / rank)


@right
def row_by_row(x: Tensor, weight: Tensor, down: Tensor, up: Tensor, strength: float) -> Tensor:
    scale = strength / up.size(1)
    return torch.stack([weight.mv(row) + scale * up.mv(down.mv(row)) for row in x])
