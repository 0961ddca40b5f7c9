"""Held to the package's objective, on batches in which some units are free and some are not."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.processes.variational import Terms, objective
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def free_bits_loss(reconstruction: Tensor, kl: Tensor, beta: float, free_bits: float) -> Tensor:
    """What is minimised, for each item: −log p(x | z) + β · (what its units cost).

    reconstruction: [B], log p(x | z) of each item
    kl:             [B, L], the KL of each unit of each item, in nats
    beta:           β, a number above 0; 1 is the bound with its sign turned
    free_bits:      λ, nats that each unit may use for nothing (nats, for all the name says)

    A unit is free where its KL, averaged over the batch, is at most λ. A free unit costs λ in every item, any other
    unit costs each item that item's own KL. Then β multiplies all of it.

    Returns [B]. Gradients reach reconstruction, and kl of those units that are not free.
    """
    free = kl.mean(0) <= free_bits
    return beta * torch.where(free, free_bits, kl).sum(1) - reconstruction


def truth(reconstruction: Tensor, kl: Tensor, beta: float, free_bits: float) -> Tensor:
    return objective(Terms(reconstruction, kl), beta, free_bits)


def questions(ask: Ask) -> Iterator[Seen]:
    reconstruction = torch.tensor([-3.0, -5.0, -2.0])
    kl = torch.tensor([[0.1, 2.0, 0.7, 0.0], [0.3, 0.1, 0.0, 1.1], [0.05, 1.5, 0.0, 0.2]])
    for beta, free_bits in ((1.0, 0.0), (1.0, 0.4), (4.0, 0.2), (0.5, 0.25)):
        yield Seen(f"kl {kl.tolist()}, β {beta:g}, λ {free_bits:g}", ask(reconstruction, kl, beta, free_bits))
    reconstruction, kl = reconstruction[:2].requires_grad_(True), kl[:2].requires_grad_(True)
    yield Seen("the gradients of the sum of the results, by reconstruction and kl (two items, β 2, λ 0.4)", ask(
        reconstruction, kl, 2.0, 0.4, want="gradients"
    ))  # fmt: skip


WRONG = [
    Swap("item-by-item", "when each item decides for itself whether a unit is free",
         "what the KL of a unit is averaged over: the batch", "kl.mean(0) <=", "kl <="),
    Swap("nothing", "when a free unit costs nothing, so that it pays to be just below λ", "what a free unit costs: λ",
         "free, free_bits, kl", "free, 0.0, kl"),
    Swap("mean-over-units", "with the mean over the units for the sum", "what independent units cost together",
         ".sum(1)", ".mean(1)"),
    Swap("no-beta", "without β", "the third argument", "beta * ", ""),
    Swap("beta-on-the-first-term", "with β on the reconstruction", "which of the two terms β multiplies",
         "beta * torch.where(free, free_bits, kl).sum(1) - reconstruction",
         "torch.where(free, free_bits, kl).sum(1) - beta * reconstruction"),
    Swap("bound", "with the sign of the bound", "the first line of the docstring: the result is minimised",
         "return beta * torch.where(free, free_bits, kl).sum(1) - reconstruction",
         "return reconstruction - beta * torch.where(free, free_bits, kl).sum(1)"),
    Swap("free-without-beta", "when β multiplies the KLs, but not the λ of free units",
         "the order: first what all units cost, then β times all of it",
         "beta * torch.where(free, free_bits, kl)", "torch.where(free, free_bits, beta * kl)"),
    Swap("excess-by-item", "when each item pays what its KL has beyond λ",
         "what is held against λ, the mean over the batch, and what a unit costs that is not free: its whole KL",
         "torch.where(free, free_bits, kl)", "(kl - free_bits).clamp(min=0)"),
    Swap("excess", "when only what goes beyond λ is paid", "what a unit costs that is not free: its whole KL",
         "torch.where(free, free_bits, kl)", "torch.where(free, 0.0, kl - free_bits)"),
]  # fmt: skip


@wrong("when the KLs of all units are averaged together", "what λ is for: each unit on its own")
def all_units_together(reconstruction: Tensor, kl: Tensor, beta: float, free_bits: float) -> Tensor:
    free = kl.sum(1).mean() <= free_bits
    return beta * torch.where(free, free_bits, kl.sum(1)) - reconstruction


@wrong("with the batch's mean KL in every item", "what a unit that is not free costs an item: its own KL")
def batch_for_item(reconstruction: Tensor, kl: Tensor, beta: float, free_bits: float) -> Tensor:
    return beta * kl.mean(0).clamp(min=free_bits).sum() - reconstruction


@wrong("when a free unit keeps its gradient", "`detach` and additions of constants: a constant has no gradient")
def gradient_left(reconstruction: Tensor, kl: Tensor, beta: float, free_bits: float) -> Tensor:
    cost = torch.where(kl.mean(0) <= free_bits, kl + (free_bits - kl).detach(), kl)
    return beta * cost.sum(1) - reconstruction


@right
def unit_by_unit(reconstruction: Tensor, kl: Tensor, beta: float, free_bits: float) -> Tensor:
    loss = -reconstruction
    for unit in range(kl.shape[1]):
        column = kl[:, unit]
        cost = column if column.mean().item() > free_bits else torch.full_like(column, free_bits)
        loss = loss + beta * cost
    return loss


@right
def by_counting(reconstruction: Tensor, kl: Tensor, beta: float, free_bits: float) -> Tensor:
    paid = kl.detach().mean(dim=0) > free_bits
    return beta * (kl[:, paid].sum(dim=1) + free_bits * int((~paid).sum())) - reconstruction


@right
def by_a_mask(reconstruction: Tensor, kl: Tensor, beta: float, free_bits: float) -> Tensor:
    kl = kl.double()
    paid = (kl.mean(0) > free_bits).double()
    return -reconstruction + (beta * kl * paid + beta * free_bits * (1 - paid)).sum(-1)
