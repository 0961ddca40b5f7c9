"""Held to the package's formula; along a line its integral is a ratio of densities, which tells signs and units."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion.exact import Exact, Gaussian, Mixture
from diffcli.core.levels import Level
from diffcli.core.processes.corruption import denoising_score
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def score_from_denoiser(denoiser: Callable[[Tensor, float], Tensor], y: Tensor, sigma: float) -> Tensor:
    """The score of the noisy data, ∇ log p(y), where p is the law of y = x + σ ε, from the best denoiser E[x | y].

    denoiser: takes two arguments, y [B, D] and sigma, a number; gives E[x | y] [B, D]
    y:        [B, D]
    sigma:    σ, a number above 0

    Returns [B, D].
    """
    return (denoiser(y, sigma) - y) / sigma**2


def truth(denoiser: Callable[[Tensor, float], Tensor], y: Tensor, sigma: float) -> Tensor:
    return denoising_score(denoiser(y, sigma), y, sigma)


def questions(ask: Ask) -> Iterator[Seen]:
    places = torch.tensor([[-1.5, 0.2], [0.3, 2.0], [0.0, -0.7]])
    for name, law in LAWS.items():
        for sigma in (0.4, 1.5):
            yield Seen(f"{name}, y {places.tolist()}, sigma {sigma:g}", ask(_denoiser(law), places, sigma))
    line = torch.stack([torch.linspace(-1, 1.5, 401), torch.full((401,), 0.3)], dim=1)
    found = ask(_denoiser(LAWS["two points"]), line, 0.6)
    along = torch.stack([torch.as_tensor(step) for step in found])[:, 0]
    told = "two points, sigma 0.6: log p(1.5, 0.3) − log p(−1, 0.3), your score integrated along the line"
    yield Seen(told, torch.trapezoid(along, line[:, 0]).item())


LAWS: dict[str, Exact] = {
    "a Gaussian": Gaussian(torch.tensor([0.5, -1.0]), torch.tensor([1.2, 0.3])),
    "two points": Mixture(torch.tensor([0.3, 0.7]), torch.tensor([[-1.0, 0.5], [1.0, 0.0]]), torch.zeros(2)),
}


def _denoiser(law: Exact) -> Callable[[Tensor, float], Tensor]:
    return lambda y, sigma: law(y, Level.of(1.0, sigma)).x0


WRONG = [
    Swap("sign", "with the sign turned: it points away from the data",
         "where the score points: to where data are denser",
         "(denoiser(y, sigma) - y)", "(y - denoiser(y, sigma))"),
    Swap("std-for-variance", "with σ in the place of σ²", "the unit of a score: one over that of y", "sigma**2",
         "sigma"),
    Swap("not-divided", "without dividing by σ²", "how far the denoiser moves y: σ² times the score", " / sigma**2",
         ""),
    Swap("half", "with 2 σ² for σ²", "the derivative of |y|² / (2 σ²)", "sigma**2", "(2 * sigma**2)"),
    Swap("estimate-alone", "without subtracting y", "what the denoiser returns: a place, not a step",
         "(denoiser(y, sigma) - y)", "denoiser(y, sigma)"),
]  # fmt: skip


@wrong("with a further division by √D", "the equation: nothing in it is averaged over the numbers of an item")
def normalised(denoiser: Callable[[Tensor, float], Tensor], y: Tensor, sigma: float) -> Tensor:
    return (denoiser(y, sigma) - y) / sigma**2 / y.shape[1] ** 0.5


@right
def by_the_noise(denoiser: Callable[[Tensor, float], Tensor], y: Tensor, sigma: float) -> Tensor:
    eps = (y - denoiser(y, sigma)) / sigma
    return -eps / sigma


@right
def one_y_after_the_other(denoiser: Callable[[Tensor, float], Tensor], y: Tensor, sigma: float) -> list[Tensor]:
    found = denoiser(y, sigma)
    return [(to - of) * sigma**-2 for to, of in zip(found, y, strict=True)]


@right
def in_place(denoiser: Callable[[Tensor, float], Tensor], y: Tensor, sigma: float) -> Tensor:
    step = denoiser(y, sigma).double()
    step -= y
    step /= sigma * sigma
    return step
