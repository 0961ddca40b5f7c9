"""Held to the package's own; the first directions are the axes: half of the trace."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from diffcli.core.diffusion import score_matching
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.tasks.week_2.explicit_loss import curved, linear


def sliced_loss(field: nn.Module, x: Tensor, directions: Tensor) -> Tensor:
    """The loss of sliced score matching, v·∇s(x) v + (v·s(x))²/2, the mean over the directions v.

    field:      x [B, D] -> s(x) [B, D]; the vector at a point depends on that point alone
    x:          [B, D], points of the data
    directions: [P, B, D], P directions for each point, as they are: of any length

    Returns [B], a loss for each point, not their mean. Gradients have to reach the field. Each direction may cost one
    derivative backwards, whatever D is.
    """
    x = x.detach().requires_grad_(True)
    s = field(x)
    total = torch.zeros_like(s[:, 0])
    for v in directions:
        along = (v * s).sum(1)
        slope = torch.autograd.grad(along.sum(), x, create_graph=True)[0]
        total = total + (slope * v).sum(1) + along**2 / 2
    return total / len(directions)


def questions(ask: Ask) -> Iterator[Seen]:
    points = torch.tensor([[0.5, -1.0], [2.0, 0.3], [-0.7, 1.2]])
    axes = torch.eye(2).unsqueeze(1).expand(2, 3, 2).contiguous()
    some = torch.tensor([[[1.0, -1.0], [0.4, 1.9], [-1.0, -1.0]], [[0.3, 0.8], [-1.2, 0.5], [2.0, 0.1]]])
    yield Seen("a linear field, the two axes as directions", ask(linear(), points, axes))
    yield Seen("a linear field, one direction for each point", ask(linear(), points, some[:1]))
    yield Seen("a curved field, two directions for each point", ask(curved(2), points, some))
    asked = "the gradients of the summed loss by the weights of a curved field, two directions"
    yield Seen(asked, ask(curved(2), points, some, want="gradients"))


def truth(field: Callable[[Tensor], Tensor], x: Tensor, directions: Tensor) -> Tensor:
    return score_matching.sliced(field, x, directions)


WRONG = [
    Swap(
        "sum-over-directions",
        "with the sum over the directions for their mean",
        "the last line: P directions are one estimate",
        "total / len(directions)",
        "total",
    ),
    Swap("no-half", "without the ½ of the square", "the second term", "along**2 / 2", "along**2"),
    Swap(
        "not-squared",
        "with v·s where its square belongs",
        "the second term: it has to be even in v",
        "along**2 / 2",
        "along / 2",
    ),
    Swap(
        "whole-length",
        "with |s|² for (v·s)²: the form with less variance, which is another loss",
        "the second term: only what lies along v counts",
        "along**2 / 2",
        "(s**2).sum(1) / 2",
    ),
    Swap(
        "slope-not-along",
        "with the sum of the derivatives where their part along v belongs",
        "v on both sides of ∇s",
        "(slope * v).sum(1)",
        "slope.sum(1)",
    ),
    Swap(
        "minus-the-slope",
        "with the wrong sign of the first term",
        "the sign that integration by parts leaves",
        "total + (slope",
        "total - (slope",
    ),
    Swap(
        "no-second-derivative",
        "if the first term is a constant for the gradients of the weights",
        "`create_graph`: a derivative that is to be differentiated again",
        "create_graph=True)[0]",
        "retain_graph=True)[0]",
    ),
]


@wrong("with directions brought to length 1", "what the docstring says of their length: E[v vᵀ] = 1 needs |v|² = D")
def unit_length(field: nn.Module, x: Tensor, directions: Tensor) -> Tensor:
    return sliced_loss(field, x, directions / directions.norm(dim=2, keepdim=True))


@right
def forwards(field: nn.Module, x: Tensor, directions: Tensor) -> Tensor:
    losses = []
    for v in directions:
        s, change = torch.func.jvp(field, (x,), (v,))[:2]
        losses.append((v * change).sum(1) + (v * s).sum(1).square() / 2)
    return torch.stack(losses).mean(0)


@right
def by_whole_jacobians(field: nn.Module, x: Tensor, directions: Tensor) -> Tensor:
    jacobians = torch.func.vmap(torch.func.jacrev(field))(x)
    s = field(x)
    bent = torch.einsum("pbi,bij,pbj->pb", directions, jacobians, directions)
    return (bent + torch.einsum("pbi,bi->pb", directions, s) ** 2 / 2).mean(dim=0)


@right
def all_at_once(field: nn.Module, x: Tensor, directions: Tensor) -> Tensor:
    count = directions.shape[0]
    many = x.detach().repeat(count, 1).requires_grad_()
    v = directions.reshape(-1, x.shape[1])
    along = (field(many) * v).sum(1)
    slope = torch.autograd.grad(along, many, torch.ones_like(along), create_graph=True)[0]
    return ((slope * v).sum(1) + 0.5 * along * along).reshape(count, -1).mean(0)
