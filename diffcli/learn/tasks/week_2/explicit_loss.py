"""Held to the package's own, and to the closed form for a linear field in the first question."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from diffcli.core.diffusion import score_matching
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def explicit_loss(field: nn.Module, x: Tensor) -> Tensor:
    """The loss of explicit score matching at each point, tr ∇s(x) + |s(x)|²/2; gradients have to reach the field.

    field: x [B, D] -> s(x) [B, D]; the vector at a point depends on that point alone
    x:     [B, D], points of the data

    Returns [B], a loss for each point, not their mean; ∇s is the D × D matrix of the derivatives of s by x.
    """
    x = x.detach().requires_grad_(True)
    s = field(x)
    total = torch.zeros_like(s[:, 0])
    for i in range(x.shape[1]):
        total = total + torch.autograd.grad(s[:, i].sum(), x, create_graph=True)[0][:, i]
    return total + (s**2).sum(1) / 2


def questions(ask: Ask) -> Iterator[Seen]:
    points = torch.tensor([[0.5, -1.0], [2.0, 0.3], [-0.7, 1.2]])
    yield Seen("a linear field, three points of the plane", ask(linear(), points))
    yield Seen("a curved field, three points of the plane", ask(curved(2), points))
    yield Seen("a curved field in three dimensions", ask(curved(3), torch.tensor([[0.1, 0.9, -0.4], [1.5, -0.2, 0.8]])))
    yield Seen(
        "the gradients of the summed loss by the weights of a curved field", ask(curved(2), points, want="gradients")
    )


def linear() -> nn.Module:
    """s(x) = A x + b."""
    field = nn.Linear(2, 2)
    field.load_state_dict({"weight": torch.tensor([[-1.5, 0.4], [0.8, 0.6]]), "bias": torch.tensor([0.2, -0.3])})
    return field


def curved(dimensions: int) -> nn.Module:
    field = nn.Sequential(nn.Linear(dimensions, 8), nn.Tanh(), nn.Linear(8, dimensions))
    generator = torch.Generator().manual_seed(dimensions)
    with torch.no_grad():
        for weight in field.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return field


def truth(field: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return score_matching.explicit(field, x)


WRONG = [
    Swap("no-half", "without the ½ of the squared length", "the second term", "(s**2).sum(1) / 2", "(s**2).sum(1)"),
    Swap(
        "mean-for-sum",
        "with a mean over the coordinates where there is a sum",
        "what |s|² is",
        "(s**2).sum(1)",
        "(s**2).mean(1)",
    ),
    Swap(
        "sum-of-all-derivatives",
        "with all D² derivatives added, where the trace has D of them",
        "which derivatives are on the diagonal",
        "[0][:, i]",
        "[0].sum(1)",
    ),
    Swap(
        "minus-the-trace",
        "with the wrong sign of the trace",
        "the sign that integration by parts leaves",
        "total = total + torch",
        "total = total - torch",
    ),
    Swap(
        "no-second-derivative",
        "if the trace is a constant for the gradients of the weights",
        "`create_graph`: a derivative that is to be differentiated again",
        "create_graph=True)[0]",
        "retain_graph=True)[0]",
    ),
    Swap(
        "only-the-first-coordinate",
        "with the derivative of one coordinate only",
        "how many terms the trace has",
        "range(x.shape[1])",
        "range(1)",
    ),
]


@wrong("with the mean over the points", "the shape of the result: one loss for each point")
def averaged(field: nn.Module, x: Tensor) -> Tensor:
    return explicit_loss(field, x).mean()


@right
def by_jacrev(field: nn.Module, x: Tensor) -> Tensor:
    jacobians = torch.func.vmap(torch.func.jacrev(field))(x)
    return torch.diagonal(jacobians, dim1=1, dim2=2).sum(1) + field(x).square().sum(1) / 2


@right
def point_by_point(field: nn.Module, x: Tensor) -> Tensor:
    losses = []
    for point in x:
        jacobian = torch.autograd.functional.jacobian(lambda p: field(p.unsqueeze(0))[0], point, create_graph=True)
        s = field(point.unsqueeze(0))[0]
        losses.append(torch.trace(jacobian) + 0.5 * torch.dot(s, s))
    return torch.stack(losses)


@right
def forwards(field: nn.Module, x: Tensor) -> Tensor:
    total = 0.5 * (field(x) ** 2).sum(dim=-1)
    for i in range(x.shape[1]):
        direction = torch.zeros_like(x)
        direction[:, i] = 1
        total = total + torch.func.jvp(field, (x,), (direction,))[1][:, i]
    return total
