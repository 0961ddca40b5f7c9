"""Held to the package's Langevin step of twice the size, item by item."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.processes.montecarlo.langevin import langevin_step
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def corrector_step(x: Tensor, score: Tensor, noise: Tensor, ratio: float) -> Tensor:
    """One Langevin step x + h score + √(2h) z, of the size h = 2 (r |z|/|score|)².

    The norms are those of each item, over all of its numbers, so that an item does not depend on its batch.

    x:     [B, ...], items of any shape
    score: like x
    noise: like x, standard normal, the z above
    ratio: r, the signal-to-noise ratio that the step should have, above 0

    Returns like x.
    """
    shape = [-1] + [1] * (x.dim() - 1)
    lengths = noise.flatten(1).norm(dim=1) / score.flatten(1).norm(dim=1)
    step = (2 * (ratio * lengths) ** 2).reshape(shape)
    return x + step * score + (2 * step).sqrt() * noise


def questions(ask: Ask) -> Iterator[Seen]:
    x = torch.tensor([[1.0, -2.0], [0.3, 0.7], [0.0, 1.0]])
    score = torch.tensor([[-0.8, 1.1], [0.5, -0.2], [3.0, -4.0]])
    noise = torch.tensor([[0.4, -1.3], [1.6, 0.1], [-0.2, 0.5]])
    for ratio in (0.16, 0.5):
        yield Seen(f"three points of the plane, r {ratio:g}", ask(x, score, noise, ratio))
    yield Seen("the first of them alone, r 0.16", ask(x[:1], score[:1], noise[:1], 0.16))
    generator = torch.Generator().manual_seed(0)
    images = [torch.randn(2, 3, 2, 2, generator=generator) for _ in range(3)]
    yield Seen("two images of 3 x 2 x 2, r 0.16", ask(images[0], images[1] * 4, images[2], 0.16))


def truth(x: Tensor, score: Tensor, noise: Tensor, ratio: float) -> Tensor:
    found = []
    for item, pull, z in zip(x, score, noise, strict=True):
        step = 2 * ratio**2 * z.square().sum() / pull.square().sum()
        found.append(langevin_step(item, pull, 2 * step, z))
    return torch.stack(found)


WRONG = [
    Swap(
        "ratio-turned-over",
        "with |score|/|z| for |z|/|score|",
        "h: where the score is long, the step is short",
        "noise.flatten(1).norm(dim=1) / score.flatten(1).norm(dim=1)",
        "score.flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)",
    ),
    Swap(
        "not-squared",
        "without the square",
        "the unit of h: h score has to have the unit of √h z",
        "(2 * (ratio * lengths) ** 2)",
        "(2 * (ratio * lengths))",
    ),
    Swap(
        "ratio-not-squared",
        "with r for r²",
        "what is inside of the bracket",
        "(ratio * lengths) ** 2",
        "ratio * lengths**2",
    ),
    Swap(
        "no-two",
        "without the 2 of h",
        "h = 2 (r |z|/|score|)²",
        "(2 * (ratio * lengths) ** 2)",
        "((ratio * lengths) ** 2)",
    ),
    Swap(
        "noise-of-half-the-variance",
        "with √h for √(2h) before the noise",
        "which form of Langevin's step this is: with h, not h/2, before the score",
        "(2 * step).sqrt()",
        "step.sqrt()",
    ),
    Swap(
        "half-the-score",
        "with h/2 before the score and √(2h) before the noise",
        "which form of Langevin's step this is: with h, not h/2, before the score",
        "x + step * score",
        "x + step / 2 * score",
    ),
    Swap(
        "down-the-score",
        "with a step down the density",
        "the sign of the score: it points to where there is more",
        "x + step",
        "x - step",
    ),
]


@wrong(
    "by the norms of the whole batch, so that an item depends on its neighbours",
    "what the docstring says of the norms: those of each item",
)
def of_the_batch(x: Tensor, score: Tensor, noise: Tensor, ratio: float) -> Tensor:
    step = 2 * (ratio * noise.norm() / score.norm()) ** 2
    return x + step * score + (2 * step).sqrt() * noise


@wrong("by norms over the last dimension alone", "the images: an item is all of its channels and pixels")
def of_the_last_dimension(x: Tensor, score: Tensor, noise: Tensor, ratio: float) -> Tensor:
    step = 2 * (ratio * noise.norm(dim=-1, keepdim=True) / score.norm(dim=-1, keepdim=True)) ** 2
    return x + step * score + (2 * step).sqrt() * noise


@right
def item_by_item(x: Tensor, score: Tensor, noise: Tensor, ratio: float) -> Tensor:
    found = x.clone()
    for i in range(len(x)):
        step = 2 * (ratio * float(noise[i].norm()) / float(score[i].norm())) ** 2
        found[i] += step * score[i]
        found[i] += (2 * step) ** 0.5 * noise[i]
    return found


@right
def by_root_mean_squares(x: Tensor, score: Tensor, noise: Tensor, ratio: float) -> Tensor:
    places = tuple(range(1, x.dim()))
    ratio_of_lengths = (noise**2).mean(places, keepdim=True) / (score**2).mean(places, keepdim=True)
    h = 2 * ratio**2 * ratio_of_lengths
    return x + h * score + torch.sqrt(2 * h) * noise


@right
def flat(x: Tensor, score: Tensor, noise: Tensor, ratio: float) -> Tensor:
    s, z = score.reshape(len(x), -1).double(), noise.reshape(len(x), -1).double()
    root = ratio * torch.linalg.vector_norm(z, dim=1, keepdim=True) / torch.linalg.vector_norm(s, dim=1, keepdim=True)
    return x + (2 * root**2 * s + 2 * root * z).reshape(x.shape)
