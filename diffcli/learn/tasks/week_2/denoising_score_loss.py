"""Held to the package's own; the gradients are those of the weights."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from diffcli.core.diffusion import score_matching
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.tasks.week_2.explicit_loss import curved, linear


def denoising_score_loss(field: nn.Module, x0: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """The loss of denoising score matching, |s(x) − ∇ log q(x | x0)|²/2 at x = x0 + σ ε, q(x | x0) = N(x0, σ²).

    field: x [B, D] -> s(x) [B, D]
    x0:    [B, D], points of the data
    noise: [B, D], the ε above, standard normal
    sigma: σ, the standard deviation of the noise, above 0

    Returns [B], a loss for each point, not their mean. Gradients have to reach the field.
    """
    return (field(x0 + sigma * noise) + noise / sigma).square().sum(1) / 2


def questions(ask: Ask) -> Iterator[Seen]:
    x0 = torch.tensor([[0.5, -1.0], [2.0, 0.3], [-0.7, 1.2]])
    noise = torch.tensor([[1.1, 0.4], [-0.6, -1.7], [0.2, 0.9]])
    for sigma in (0.3, 2.0):
        yield Seen(f"a linear field, sigma {sigma:g}", ask(linear(), x0, noise, sigma))
        yield Seen(f"a curved field, sigma {sigma:g}", ask(curved(2), x0, noise, sigma))
    yield Seen("a curved field in three dimensions, sigma 0.5", ask(curved(3), *torch.tensor(
        [[[0.1, 0.9, -0.4], [1.5, -0.2, 0.8]], [[-1.2, 0.3, 0.5], [0.7, 0.1, -0.8]]]), 0.5))  # fmt: skip
    asked = "the gradients of the summed loss by the weights of a curved field, sigma 0.5"
    yield Seen(asked, ask(curved(2), x0, noise, 0.5, want="gradients"))


def truth(field: Callable[[Tensor], Tensor], x0: Tensor, noise: Tensor, sigma: float) -> Tensor:
    return score_matching.denoising(field, x0 + sigma * noise, noise, sigma)


WRONG = [
    Swap(
        "sign-of-the-score",
        "with the wrong sign of the target",
        "which way the score of q(x | x0) points: back to x0",
        "+ noise / sigma",
        "- noise / sigma",
    ),
    Swap(
        "noise-as-target",
        "with ε as the target, without its unit",
        "the derivative of −|x − x0|²/(2σ²), and what x − x0 is",
        "noise / sigma)",
        "noise)",
    ),
    Swap(
        "times-sigma",
        "with σ ε, the noise that was added, where ε/σ belongs",
        "the division by σ² in the score of q(x | x0)",
        "noise / sigma)",
        "noise * sigma)",
    ),
    Swap(
        "variance-for-std",
        "with ε/σ² where ε/σ belongs",
        "what x − x0 is before it is divided by σ²",
        "noise / sigma)",
        "noise / sigma**2)",
    ),
    Swap("no-half", "without the ½", "the factor of the loss", ".sum(1) / 2", ".sum(1)"),
    Swap(
        "mean-for-sum", "with a mean over the coordinates where there is a sum", "what |·|² is", ".sum(1)", ".mean(1)"
    ),
    Swap(
        "clean-point",
        "with the field at x0, where there is no noise",
        "the point at which the field is asked",
        "field(x0 + sigma * noise)",
        "field(x0)",
    ),
    Swap(
        "weighted",
        "with the weight σ², which belongs to the loss of all levels together",
        "the loss of one level: no weight is asked for here",
        ".sum(1) / 2",
        ".sum(1) / 2 * sigma**2",
    ),
]


@wrong("if gradients do not reach the field", "`detach`, `no_grad` and `item`, all of which cut the graph")
def detached(field: nn.Module, x0: Tensor, noise: Tensor, sigma: float) -> Tensor:
    return denoising_score_loss(field, x0, noise, sigma).detach() + 0 * field(x0).sum(1)


@right
def by_autograd(field: nn.Module, x0: Tensor, noise: Tensor, sigma: float) -> Tensor:
    x = (x0 + sigma * noise).detach().requires_grad_(True)
    log_density = torch.distributions.Normal(x0, sigma).log_prob(x).sum()
    (target,) = torch.autograd.grad(log_density, x)
    return 0.5 * ((field(x.detach()) - target) ** 2).sum(-1)


@right
def by_a_loop(field: nn.Module, x0: Tensor, noise: Tensor, sigma: float) -> Tensor:
    losses = []
    for clean, eps in zip(x0, noise, strict=True):
        noisy = clean + sigma * eps
        gap = field(noisy.unsqueeze(0)).squeeze(0) - (clean - noisy) / sigma**2
        losses.append(gap.dot(gap) / 2)
    return torch.stack(losses)


@right
def multiplied_out(field: nn.Module, x0: Tensor, noise: Tensor, sigma: float) -> Tensor:
    s = field(torch.add(x0, noise, alpha=sigma))
    target = -noise / sigma
    return (s * s).sum(1) / 2 - (s * target).sum(1) + (target * target).sum(1) / 2
