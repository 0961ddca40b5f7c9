"""Held to two equations with two unknowns, solved for each item by linear algebra in float64."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import TARGETS
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def converted(output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor, means: str, wanted: str) -> Tensor:
    """What a network says of x, in other terms.

    output:  [B, ...] like x, what the network gave
    x:       [B, ...], what it saw: x = α x0 + σ ε
    alpha:   [B], α of each item, above 0
    sigma:   [B], σ of each item, above 0, with α² + σ² = 1: standard deviations, no variances
    means:   what `output` is an estimate of: "eps", "x0" or "v", where v = α ε − σ x0
    wanted:  what is to be returned: one of the same three

    Returns [B, ...], the estimate of `wanted` that follows from `output`, as x is known exactly.
    """
    column = (-1, *[1] * (x.dim() - 1))
    alpha, sigma = alpha.reshape(column), sigma.reshape(column)
    if means == "eps":
        eps, x0 = output, (x - sigma * output) / alpha
    elif means == "x0":
        eps, x0 = (x - alpha * output) / sigma, output
    else:
        eps, x0 = sigma * x + alpha * output, alpha * x - sigma * output
    return {"eps": eps, "x0": x0, "v": alpha * eps - sigma * x0}[wanted]


def truth(output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor, means: str, wanted: str) -> Tensor:
    found = []
    for o, seen, a, s in zip(output.double(), x.double(), alpha.double(), sigma.double(), strict=True):
        of_x0, of_eps = TARGETS[means](a, s)
        system = torch.tensor([[float(a), float(s)], [float(of_x0), float(of_eps)]], dtype=torch.float64)
        x0, eps = torch.linalg.solve(system, torch.stack([seen.flatten(), o.flatten()])).reshape(2, *seen.shape)
        of_x0, of_eps = TARGETS[wanted](a, s)
        found.append(of_x0 * x0 + of_eps * eps)
    return torch.stack(found)


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)
    every = [(means, wanted) for means in ("eps", "x0", "v") for wanted in ("x0", "eps", "v")]
    for shape, pairs in (((3, 3), every), ((2, 1, 3, 2), [("eps", "v"), ("v", "x0")])):
        output, x = torch.randn(2, *shape, generator=generator)
        sigma = torch.tensor([0.3, 0.8, 0.96])[: len(x)]
        alpha = (1 - sigma**2).sqrt()
        for means, wanted in pairs:
            case = f"x {list(shape)}, σ = {[round(s, 2) for s in sigma.tolist()]}, {means} to {wanted}"
            yield Seen(case, ask(output, x, alpha, sigma, means, wanted))


BACK = "sigma * x + alpha * output, alpha * x - sigma * output"  # from v to ε and x0
LAST = '\n    return {"eps": eps, "x0": x0, "v": alpha * eps - sigma * x0}'


WRONG = [
    Swap("sign-of-v", "with v = σ x0 − α ε", "the sign of v: it is the rate of x on the way to noise",
         BACK + LAST,
         "sigma * x - alpha * output, alpha * x + sigma * output"
         + LAST.replace("alpha * eps - sigma * x0", "sigma * x0 - alpha * eps")),
    Swap("signs-on-the-way-back", "with x0 = α x + σ v and ε = σ x − α v", "the signs on the way back from v",
         BACK, "sigma * x - alpha * output, alpha * x + sigma * output"),
    Swap("sign-of-x0", "with x0 = α x + σ v", "the sign of σ v on the way back from v",
         BACK, "sigma * x + alpha * output, alpha * x + sigma * output"),
    Swap("sign-of-eps", "with ε = σ x − α v", "the sign of α v on the way back from v",
         BACK, "sigma * x - alpha * output, alpha * x - sigma * output"),
    Swap("v-of-flow", "with the velocity of the straight line, ε − x0, for v", 
         "the factors of v, which turn with the level", BACK + LAST,
         "(x + alpha * output) / (alpha + sigma), (x - sigma * output) / (alpha + sigma)"
         + LAST.replace("alpha * eps - sigma * x0", "eps - x0")),
    Swap("not-divided", "without dividing by α on the way from ε to x0", "x = α x0 + σ ε, solved for x0",
         "(x - sigma * output) / alpha", "(x - sigma * output)"),
    Swap("not-divided-by-sigma", "without dividing by σ on the way from x0 to ε", "x = α x0 + σ ε, solved for ε",
         "(x - alpha * output) / sigma", "(x - alpha * output)"),
    Swap("exchanged-in-v", "with α and σ exchanged on the way back from v",
         "v = α ε − σ x0 and x = α x0 + σ ε, solved for both", BACK,
         "alpha * x + sigma * output, sigma * x - alpha * output"),
    Swap("variances", "with roots, as if α and σ were variances",
         "the docstring: both are factors of x0 and ε",
         "alpha.reshape(column), sigma.reshape(column)", "alpha.reshape(column).sqrt(), sigma.reshape(column).sqrt()"),
    Swap("last-axis", "when α and σ count along the last axis instead of the items",
         "the shape of alpha: [B] meets the last axis of x unless it is reshaped to [B, 1, ...]",
         "column = (-1, *[1] * (x.dim() - 1))", "column = (-1,)"),
]  # fmt: skip


@wrong("with the sign of σ ε wrong on the way from ε to x0", "x = α x0 + σ ε, solved for x0")
def noise_added(output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor, means: str, wanted: str) -> Tensor:
    if means != "eps":
        return converted(output, x, alpha, sigma, means, wanted)
    column = (-1, *[1] * (x.dim() - 1))
    x0 = (x + sigma.reshape(column) * output) / alpha.reshape(column)
    return {"eps": output, "x0": x0, "v": alpha.reshape(column) * output - sigma.reshape(column) * x0}[wanted]


@right
def by_the_angle(output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor, means: str, wanted: str) -> Tensor:
    """x and v are (x0, ε) turned by the angle of the level."""
    sine, cosine = (part[(...,) + (None,) * (x.dim() - 1)] for part in (sigma, alpha))
    v = {"v": output, "eps": (output - sine * x) / cosine, "x0": (cosine * x - output) / sine}[means]
    return {"v": v, "eps": sine * x + cosine * v, "x0": cosine * x - sine * v}[wanted]


@right
def item_by_item(output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor, means: str, wanted: str) -> Tensor:
    found = torch.empty_like(x)
    for i in range(len(x)):
        a, s, o = float(alpha[i]), float(sigma[i]), output[i]
        x0 = o if means == "x0" else (x[i] - s * o) / a if means == "eps" else a * x[i] - s * o
        eps = o if means == "eps" else (x[i] - a * x0) / s
        found[i] = x0 if wanted == "x0" else eps if wanted == "eps" else a * eps - s * x0
    return found


@right
def axis_last(output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor, means: str, wanted: str) -> Tensor:
    o, seen = output.double().movedim(0, -1), x.double().movedim(0, -1)
    x0 = {"eps": (seen - sigma * o) / alpha, "x0": o, "v": alpha * seen - sigma * o}[means]
    eps = (seen - alpha * x0) / sigma
    return {"eps": eps, "x0": x0, "v": alpha * eps - sigma * x0}[wanted].movedim(-1, 0)
