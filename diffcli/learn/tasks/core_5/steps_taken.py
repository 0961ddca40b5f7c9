"""Held to gradient descent with momentum written out by hand: losses, and weights after several steps.

Plain gradient descent, because Adam divides by the size of the gradient and so hides a factor that is wrong.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import Mlp
from diffcli.learn.tasks.core_5.simple_loss import simple_loss


def steps_taken(
    network: nn.Module, optimizer: torch.optim.Optimizer, batches: list[tuple[Tensor, ...]], longest: float
) -> list[float]:
    """Training: one step of the optimizer for each batch, in their order. The network is changed in place.

    network:    its weights are those that the optimizer moves
    optimizer:  one of torch.optim, or something with the same zero_grad() and step()
    batches:    of each what `simple_loss` takes after the network: (x0, alpha, sigma, t, eps)
    longest:    the gradients of all weights together, as one long vector, are scaled down to this length before a step
                where they are longer (torch.nn.utils has a function for it); shorter ones are left as they are

    Each step follows the gradient of its own batch alone.

    Returns the loss of each batch as the network was before its step.
    """
    losses = []
    for batch in batches:
        loss = simple_loss(network, *batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), longest)
        optimizer.step()
        losses.append(loss.item())
    return losses


def truth(
    network: nn.Module, optimizer: torch.optim.Optimizer, batches: list[tuple[Tensor, ...]], longest: float
) -> list[float]:
    keys, weights = optimizer.param_groups[0], list(network.parameters())
    moving = [torch.zeros_like(weight) for weight in weights]
    losses = []
    for batch in batches:
        loss = simple_loss(network, *batch)
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, weights)
        length = float(torch.cat([gradient.flatten() for gradient in gradients]).double().norm())
        factor = min(1.0, longest / length)
        moving = [keys["momentum"] * m + factor * g for m, g in zip(moving, gradients, strict=True)]
        with torch.no_grad():
            for weight, step in zip(weights, moving, strict=True):
                weight.sub_(keys["lr"] * step)
    return losses


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)

    def batch(*shape: int) -> tuple[Tensor, ...]:
        x0, eps = torch.randn(2, *shape, generator=generator)
        t = torch.rand(len(x0), generator=generator)
        return 2 * x0, torch.cos(t * torch.pi / 2), torch.sin(t * torch.pi / 2), t, eps

    for shape, rate, momentum, longest in (((3, 2), 0.5, 0.0, 100.0), ((2, 1, 2, 2), 0.3, 0.9, 0.4)):
        network = Mlp(torch.Size(shape[1:]).numel(), width=6, seed=int(longest > 1))
        optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=momentum)
        given = network, optimizer, [batch(*shape) for _ in range(3)], longest
        case = f"3 batches {list(shape)}, gradients up to {longest:g}, SGD with rate {rate:g}, momentum {momentum:g}"
        if longest > 1:
            yield Seen(f"the losses of {case}", ask(*given))
        yield Seen(f"the weights after {case}", ask(*given, want="state"))


WRONG = [
    Swap("gradients-added-up", "when the gradients of all batches so far are added up",
         "`zero_grad`: backward adds to what is there",
         "optimizer.zero_grad()\n", "batch\n"),
    Swap("not-clipped", "when long gradients are used as they are: not clipped, or not between backward and step",
         "the order: backward, clip, step", "nn.utils.clip_grad_norm_(network.parameters(), longest)", "batch"),
    Swap("clipped-by-value", "when every number of a gradient is clipped by itself, which turns it",
         "the function that clips: clip_grad_norm_, not clip_grad_value_", "clip_grad_norm_", "clip_grad_value_"),
    Swap("clipped-one-by-one", "when the gradient of each weight tensor is clipped by itself",
         "the length: one, of all gradients together",
         "nn.utils.clip_grad_norm_(network.parameters(), longest)",
         "[nn.utils.clip_grad_norm_([weight], longest) for weight in network.parameters()]"),
    Swap("losses-afterwards", "with the losses after each step", "the last line of the docstring",
         "loss.item()", "simple_loss(network, *batch).item()"),
    Swap("nothing-moves", "when no weight moves: without a step, or with gradients set to 0 before it",
         "the order: zero_grad, backward, clip, step", "optimizer.step()\n", "batch\n"),
]  # fmt: skip


@wrong("when short gradients are stretched to `longest`", "the condition: only longer ones are scaled")
def always_as_long(
    network: nn.Module, optimizer: torch.optim.Optimizer, batches: list[tuple[Tensor, ...]], longest: float
) -> list[float]:
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        loss = simple_loss(network, *batch)
        loss.backward()
        length = nn.utils.get_total_norm([w.grad for w in network.parameters() if w.grad is not None])
        for weight in network.parameters():
            if weight.grad is not None:
                weight.grad *= longest / length
        optimizer.step()
        losses.append(loss.item())
    return losses


@right
def cleared_afterwards(
    network: nn.Module, optimizer: torch.optim.Optimizer, batches: list[tuple[Tensor, ...]], longest: float
) -> Tensor:
    losses = torch.zeros(len(batches))
    optimizer.zero_grad(set_to_none=True)
    for i, batch in enumerate(batches):
        loss = simple_loss(network, *batch)
        loss.backward()
        losses[i] = loss.detach()
        nn.utils.clip_grad_norm_(network.parameters(), longest)
        optimizer.step()
        network.zero_grad()
    return losses


@right
def clipped_by_hand(
    network: nn.Module, optimizer: torch.optim.Optimizer, batches: list[tuple[Tensor, ...]], longest: float
) -> list[float]:
    losses = []
    for batch in batches:
        weights = list(network.parameters())
        loss = simple_loss(network, *batch)
        gradients = torch.autograd.grad(loss, weights)
        length = sum(float(g.square().sum()) for g in gradients) ** 0.5
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient * (longest / length) if length > longest else gradient
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@right
def as_a_generator(
    network: nn.Module, optimizer: torch.optim.Optimizer, batches: list[tuple[Tensor, ...]], longest: float
) -> Iterator[Tensor]:
    for x0, alpha, sigma, t, eps in batches:
        optimizer.zero_grad()
        shape = (len(x0), *[1] * (x0.dim() - 1))
        loss = nn.functional.mse_loss(network(alpha.view(shape) * x0 + sigma.view(shape) * eps, t), eps)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), max_norm=longest)
        optimizer.step()
        yield loss.detach()
