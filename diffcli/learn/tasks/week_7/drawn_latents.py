"""Held to the package's way: laws are scaled once, stored, and drawn from in each step of training."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion import latent
from diffcli.core.processes.variational import Posterior
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def drawn_latents(means: Tensor, spreads: Tensor, noise: Tensor, centre: Tensor, width: Tensor) -> Tensor:
    """The latents that a training step sees: drawn from the encoder's laws, then brought to the scale of the schedule.

    means:   [B, C, H, W], m, of the laws N(m, s²) that the encoder gives for some images
    spreads: [B, C, H, W], s, standard deviations
    noise:   [B, C, H, W], standard normal, to draw with
    centre:  [C], mean of each channel of the training latents
    width:   [C], their standard deviations

    Returns [B, C, H, W], of mean 0 and standard deviation 1 in every channel where the images are those of the set.
    """
    z = means + spreads * noise
    return (z - centre[:, None, None]) / width[:, None, None]


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)

    def given(*shape: int) -> list[Tensor]:
        means, noise = (torch.randn(shape, generator=generator) for _ in range(2))
        return [2 * means + 1, torch.rand(shape, generator=generator) + 0.2, noise]

    centre, width = torch.tensor([1.5, -3.0, 0.2]), torch.tensor([2.5, 0.4, 1.3])
    yield Seen("two latents of 3 x 2 x 3", ask(*given(2, 3, 2, 3), centre, width))
    yield Seen("one latent of 2 x 4 x 3", ask(*given(1, 2, 4, 3), centre[:2], width[:2]))
    means, spreads, noise = given(2, 3, 3, 4)
    yield Seen(
        "two latents of 3 x 3 x 4, noise all 0: the means, scaled", ask(means, spreads, 0 * noise, centre, width)
    )


def truth(means: Tensor, spreads: Tensor, noise: Tensor, centre: Tensor, width: Tensor) -> Tensor:
    mean, std = (one.double().reshape(-1, 1, 1) for one in (centre, width))
    stored = latent.paired(Posterior((means.double() - mean) / std, spreads.double() / std))
    return latent.drawn_latents(stored, noise.double())


WRONG = [
    Swap(
        "mean-only",
        "with the mean of each law, and no draw",
        "`noise`: each step draws anew, so that the model sees all that may be decoded",
        "means + spreads * noise",
        "means",
    ),
    Swap(
        "variance-for-std",
        "with s² for s before the noise",
        "the docstring: spreads are standard deviations",
        "spreads * noise",
        "spreads**2 * noise",
    ),
    Swap(
        "root-of-the-std",
        "with √s for s before the noise, as if it were a variance",
        "the docstring: spreads are standard deviations",
        "spreads * noise",
        "spreads**0.5 * noise",
    ),
    Swap("noise-of-width-one", "with noise that s does not multiply", "the law N(m, s²)", "spreads * noise", "noise"),
    Swap(
        "multiplied",
        "when the width multiplies, as on the way back to the decoder",
        "what a wide channel needs: to be made narrower",
        ") / width",
        ") * width",
    ),
    Swap(
        "not-centred",
        "without taking the centre away",
        "the mean of what comes out: 0",
        "(z - centre[:, None, None])",
        "z",
    ),
    Swap(
        "late-centre",
        "when the centre is taken away after the division",
        "the brackets: (z − μ)/σ",
        "(z - centre[:, None, None]) / width[:, None, None]",
        "z / width[:, None, None] - centre[:, None, None]",
    ),
    Swap(
        "not-scaled",
        "without dividing by the width",
        "the standard deviation of what comes out: 1",
        " / width[:, None, None]",
        "",
    ),
    Swap(
        "divided-by-the-variance",
        "with the square of the width",
        "the docstring: widths are standard deviations",
        "/ width[:, None, None]",
        "/ width[:, None, None] ** 2",
    ),
]


@wrong(
    "when the mean is scaled and the noise is not: the law is made narrower and its draws are not",
    "what is divided by σ: all of z, its noise too",
)
def noise_unscaled(means: Tensor, spreads: Tensor, noise: Tensor, centre: Tensor, width: Tensor) -> Tensor:
    return (means - centre[:, None, None]) / width[:, None, None] + spreads * noise


@wrong(
    "with centre and width along the last side, which fits where that is as long as there are channels",
    "which dimension C is: give them the shape [C, 1, 1]",
)
def along_the_width(means: Tensor, spreads: Tensor, noise: Tensor, centre: Tensor, width: Tensor) -> Tensor:
    return (means + spreads * noise - centre) / width


@right
def scaled_first(means: Tensor, spreads: Tensor, noise: Tensor, centre: Tensor, width: Tensor) -> Tensor:
    mu, sigma = centre.view(1, -1, 1, 1), width.view(1, -1, 1, 1)
    return (means - mu) / sigma + (spreads / sigma) * noise


@right
def channel_by_channel(means: Tensor, spreads: Tensor, noise: Tensor, centre: Tensor, width: Tensor) -> Tensor:
    found = torch.zeros_like(means)
    for c in range(len(centre)):
        found[:, c] = (means[:, c] + noise[:, c] * spreads[:, c] - float(centre[c])) / float(width[c])
    return found


@right
def channels_last(means: Tensor, spreads: Tensor, noise: Tensor, centre: Tensor, width: Tensor) -> Tensor:
    z = torch.addcmul(means.double(), spreads.double(), noise.double()).movedim(1, -1)
    return ((z - centre.double()) / width.double()).movedim(-1, 1)
