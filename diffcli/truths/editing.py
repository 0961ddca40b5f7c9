"""Inversion, interpolation and inpainting, and noise that belongs to its image."""

import math
from collections.abc import Iterator

import torch

from diffcli.core.diffusion import grids
from diffcli.core.diffusion.editing import inpainting, invert, slerp
from diffcli.core.diffusion.exact import Gaussian
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.schedules import VP
from diffcli.core.randomness import image_noise
from diffcli.truths import Finding, check, near
from diffcli.truths.gaussian import LAW, MEAN, STD
from diffcli.truths.orders import order_of
from diffcli.truths.schedules import at


@check(
    "DDIM inversion finds the noise of the probability flow, its error falling with the step",
    "Song et al. 2021 (DDIM), section 4.3, table 2",
)
def inversion() -> Iterator[Finding]:
    x0, away, back = torch.tensor([0.9], dtype=torch.float64), [], []
    for steps in (100, 200, 400):
        levels = grids.levels(VP(), steps)
        *_, noise = invert(LAW, x0, levels)
        alpha, sigma = (part.item() for part in levels[0])
        exact = alpha * MEAN + (0.9 - MEAN) / STD * math.hypot(alpha * STD, sigma)
        away.append(abs(noise.x.item() - exact))
        *_, again = SAMPLERS["ddim"](LAW, noise.x, levels)
        back.append(abs(again.x.item() - 0.9))
    yield near("order of the noise", 1, order_of(away), abs=0.25)
    yield near("there and back, 400 steps", 0, back[-1], abs=0.01)
    yield near("there and back, halved", 0.5, back[-1] / back[-2], abs=0.15)


@check("slerp keeps the length and turns evenly", "Shoemake 1985; Song et al. 2021 (DDIM), eq. 67")
def spherical_interpolation() -> Iterator[Finding]:
    a, b = torch.tensor([3.0, 0.0]).double(), torch.tensor([0.0, 3.0]).double()
    for share in (0.0, 0.25, 0.5, 1.0):
        angle = share * math.pi / 2
        wanted = 3 * torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
        yield near(f"share {share}", wanted, slerp(a, b, share), abs=1e-12)


@check(
    "inpainting keeps the known part to the bit and with resampling paints the rest by its conditional law",
    "Lugmayr et al. 2022, eq. 8 and algorithm 1",
)
def inpainting_keeps_and_paints() -> Iterator[Finding]:
    covariance = torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
    law = Gaussian.of_covariance(0.0, covariance)
    known, mask = torch.tensor([[1.5, 0.0]]).double(), torch.tensor([[0.0, 1.0]])
    levels = grids.levels(VP(), 60, "log-snr")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 2, generator=generator, dtype=torch.float64)
    *_, end = inpainting(SAMPLERS["ddpm"], known, mask, resample=8)(
        law, x, levels, noise=lambda _: torch.randn(1000, 2, generator=generator, dtype=torch.float64)
    )
    yield near("the known part", 1.5, end.x[:, 0])
    yield near("mean of the painted part", 0.8 * 1.5, end.x[:, 1].mean(), abs=0.13)
    yield near("its spread", 0.6, end.x[:, 1].std(), abs=0.08)


@check("image i of a seed has its own noise, whatever is drawn with it", "the promise of `sample`")
def noise_by_image() -> Iterator[Finding]:
    for shape in ((2,), (1, 8, 8)):
        for step in (0, 5):
            together = (
                image_noise(7, "walk", range(2050), shape, step)
                if shape == (2,)
                else image_noise(7, "walk", range(9), shape, step)
            )
            for images in ([3], [8, 1], range(2, 7)):
                alone = image_noise(7, "walk", images, shape, step)
                yield near(f"{shape}, step {step}, images {list(images)}", together[list(images)], alone)
    several = image_noise(1, "start", range(5000), (2,)).double()
    yield near("mean", at(0.0), several.mean(0), abs=0.06)
    yield near("spread", at(1.0), several.std(0), abs=0.05)
    yield near("independent of the next image", 0, (several[1:] * several[:-1]).mean(), abs=0.05)
    yield near(
        "independent of the next step", 0, (several * image_noise(1, "start", range(5000), (2,), 1)).mean(), abs=0.05
    )
