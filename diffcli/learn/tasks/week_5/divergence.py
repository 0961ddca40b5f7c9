"""Held to the whole Jacobian between two probes; along the axes as probes it is the trace over D."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import Mlp


def divergence(velocity: nn.Module, x: Tensor, t: float, probes: Tensor) -> Tensor:
    """Hutchinson's estimate of the divergence of a velocity, the mean over the probes e of e·J e, J being ∂v/∂x.

    velocity: (x [B, D], t) -> v [B, D]; the vector at a point depends on that point alone
    x:        [B, D]
    t:        the time, a number in [0, 1]
    probes:   [K, B, D], K probes for each point, to be used as they are, whatever their length

    Returns [B]. One derivative for each probe is enough, whatever D is.
    """
    x = x.detach().requires_grad_(True)
    v = velocity(x, t)
    total = torch.zeros_like(x[:, 0])
    for e in probes:
        pulled = torch.autograd.grad(v, x, e, retain_graph=True)[0]
        total = total + (pulled * e).sum(1)
    return total / len(probes)


def questions(ask: Ask) -> Iterator[Seen]:
    x = torch.tensor([[0.5, -1.0], [2.0, 0.3], [-0.7, 1.2]])
    signs = torch.tensor([[[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]], [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0]]])
    some = torch.tensor([[[0.3, 1.8], [-1.1, 0.4], [2.0, -0.6]]])
    axes = torch.eye(2).unsqueeze(1).expand(2, 3, 2).contiguous()
    for t in (0.2, 0.9):
        yield Seen(f"three points of the plane at t = {t:g}, one normal probe each", ask(steep(2), x, t, some))
        yield Seen(f"the same points at t = {t:g}, two probes of signs", ask(steep(2), x, t, signs))
    yield Seen("the same points at t = 0.5, the two axes as probes: half of the trace", ask(steep(2), x, 0.5, axes))
    deep = torch.tensor([[0.1, 0.9, -0.4], [1.5, -0.2, 0.8]])
    probes = torch.tensor([[[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]]])
    yield Seen("two points in three dimensions at t = 0.5, one probe of signs", ask(steep(3), deep, 0.5, probes))


def steep(dimensions: int) -> nn.Module:
    """A small network whose Jacobian is far from symmetric and from 0."""
    network = Mlp(dimensions, seed=dimensions)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(2.5)
    return network


def truth(velocity: nn.Module, x: Tensor, t: float, probes: Tensor) -> Tensor:
    jacobians = torch.func.vmap(torch.func.jacrev(lambda point: velocity(point.unsqueeze(0), t)[0]))(x)
    return torch.einsum("kbi,bij,kbj->kb", probes, jacobians, probes).mean(0).detach()


WRONG = [
    Swap(
        "sum-over-probes",
        "with the sum over the probes for their mean",
        "the last line: K probes are one estimate",
        "total / len(probes)",
        "total",
    ),
    Swap(
        "probe-once", "with e on one side of J only", "e·J e: e is there twice", "(pulled * e).sum(1)", "pulled.sum(1)"
    ),
    Swap(
        "length-of-the-product", "with |J e|² for e·J e", "what J e is multiplied by", "pulled * e", "pulled * pulled"
    ),
    Swap(
        "sign",
        "with the wrong sign: how much the log density falls, not the divergence",
        "what is asked for: the divergence itself, which is above 0 where the velocity spreads",
        "total + (pulled",
        "total - (pulled",
    ),
    Swap(
        "sum-over-the-batch",
        "if every point gets the sum of all",
        "the dimension that is summed over",
        "(pulled * e).sum(1)",
        "(pulled * e).sum()",
    ),
    Swap(
        "mean-over-dimensions",
        "with a mean over the coordinates for a sum",
        "what e·J e is",
        "(pulled * e).sum(1)",
        "(pulled * e).mean(1)",
    ),
]


@wrong(
    "with the exact trace, whatever the probes are", "the probes that were given: the estimate along them is asked for"
)
def exact(velocity: nn.Module, x: Tensor, t: float, probes: Tensor) -> Tensor:
    jacobians = torch.func.vmap(torch.func.jacrev(lambda point: velocity(point.unsqueeze(0), t)[0]))(x)
    return jacobians.diagonal(dim1=1, dim2=2).sum(1).detach()


@wrong("with probes brought to length 1", "E[e eᵀ] = I, for which |e|² is D and not 1")
def unit_length(velocity: nn.Module, x: Tensor, t: float, probes: Tensor) -> Tensor:
    return divergence(velocity, x, t, probes / probes.norm(dim=2, keepdim=True))


@wrong("with the mean of the probes as the one probe", "the order: e·J e for every probe, and then the mean")
def mean_probe(velocity: nn.Module, x: Tensor, t: float, probes: Tensor) -> Tensor:
    return divergence(velocity, x, t, probes.mean(0, keepdim=True))


@right
def forwards(velocity: nn.Module, x: Tensor, t: float, probes: Tensor) -> Tensor:
    found = [(e * torch.func.jvp(lambda x: velocity(x, t), (x,), (e,))[1]).sum(1) for e in probes]
    return torch.stack(found).mean(0).detach()


@right
def by_a_number(velocity: nn.Module, x: Tensor, t: float, probes: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    estimates = []
    for e in probes:
        (gradient,) = torch.autograd.grad((velocity(x, t) * e).sum(), x)
        estimates.append(torch.einsum("bd,bd->b", gradient, e))
    return sum(estimates, torch.zeros(len(x))) / len(estimates)


@right
def by_small_steps(velocity: nn.Module, x: Tensor, t: float, probes: Tensor) -> Tensor:
    """Central differences along the probes, in double precision."""
    network, step = velocity.double(), 1e-5
    x, probes = x.double(), probes.double()
    ahead = [(network(x + step * e, t) - network(x - step * e, t)) / (2 * step) for e in probes]
    return torch.stack([(e * a).sum(1) for e, a in zip(probes, ahead, strict=True)]).mean(0).detach()
