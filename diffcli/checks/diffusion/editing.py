"""Inversion, interpolation and inpainting."""

import math
from collections.abc import Iterator

import torch

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.algorithms import NOISE, data_estimate, noise_estimate, pairs
from diffcli.checks.diffusion.denoisers import line_mixture
from diffcli.checks.diffusion.on_gaussians import LAW, MEAN, STD
from diffcli.checks.diffusion.orders import order_of
from diffcli.checks.diffusion.schedules import at
from diffcli.core.diffusion import grids
from diffcli.core.diffusion.editing import inpainting, invert, slerp
from diffcli.core.diffusion.exact import Gaussian
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.schedules import SCHEDULES, VP


@check("inversion is DDIM's step with its levels exchanged", "Song et al. 2021 (DDIM), section 4.3, eq. 14")
def inversion_algorithm() -> Iterator[Finding]:
    for name in ("linear", "edm", "flow"):
        levels = grids.levels(SCHEDULES[name](), 8, "log-snr")
        up = [(level.alpha.item(), level.sigma.item()) for level in levels][::-1]
        y = 0.4  # x / alpha, the data being where alpha is 1
        walk = invert(line_mixture(), torch.tensor([[y]], dtype=torch.float64), levels)
        for k, (step, (s, t)) in enumerate(zip(walk, pairs(up), strict=True)):
            seen = s if s[1] > 0 else t  # no noise is seen in the data, but a little above them
            clean = data_estimate(s[0] * y, *s) if s[1] > 0 else y
            y += (t[1] / t[0] - s[1] / s[0]) * noise_estimate(seen[0] * y if s[1] > 0 else y, *seen)
            yield near(f"{name}, step {k + 1}", t[0] * y, step.x, rel=1e-8, abs=1e-9)
            yield near(f"{name}, step {k + 1}, x0", clean, step.x0, rel=1e-8, abs=1e-9)


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
    for turn, length in ((0.4, 1.0), (2.2, 3.0)):
        b = length * torch.tensor([math.cos(turn), math.sin(turn)], dtype=torch.float64)
        for share in (0.25, 0.8):
            wanted = (math.sin((1 - share) * turn) * a + math.sin(share * turn) * b) / math.sin(turn)
            yield near(f"angle {turn}, share {share}", wanted, slerp(a, b, share), abs=1e-12)
    yield near("no angle at all", 1.25 * a, slerp(a, 2 * a, 0.25), abs=1e-12)
    same = torch.randn(
        200, 50, generator=torch.Generator().manual_seed(3)
    )  # the cosine of some is more than 1, rounded
    stayed = torch.stack([slerp(one, one, 0.3) for one in same])
    yield near("between a point and itself", same, stayed, rel=1e-5)
    across = torch.stack([slerp(one, -one, 0.3) for one in same])
    yield near("between opposite points, what is no number", 0, (~across.isfinite()).sum())


@check("inpainting is algorithm 1, in the form with epsilon", "Lugmayr et al. 2022, algorithm 1, lines 4-9")
def inpainting_algorithm() -> Iterator[Finding]:
    law, mask = line_mixture(), torch.tensor([[0.0], [1.0]])  # a batch of two: the first is known, the second painted
    for name, repeats in (("linear", 1), ("linear", 3), ("edm", 2)):
        levels = grids.levels(SCHEDULES[name](), 6, "karras")
        plain = [(level.alpha.item(), level.sigma.item()) for level in levels]
        walk = inpainting(SAMPLERS["ddpm"], at(0.7), mask, resample=repeats)
        start = torch.tensor([[0.5], [-0.2]], dtype=torch.float64) * math.hypot(*plain[0])
        steps = walk(
            law, start, levels, noise=lambda k: torch.tensor([[NOISE[k]], [NOISE[k + 7]]], dtype=torch.float64)
        )
        x, draw = start[1].item(), 0
        for k, ((a, sa), (b, sb)) in enumerate(pairs(plain)):
            step_alpha = (a / b) ** 2
            step_beta = sa**2 - step_alpha * sb**2
            for repeat in range(repeats if sb > 0 else 1):
                x = (x - step_beta / sa * noise_estimate(x, a, sa)) / math.sqrt(step_alpha)
                known = 0.7
                if sb > 0:
                    x += math.sqrt(step_beta) * sb / sa * NOISE[draw + 7]
                    known = b * 0.7 + sb * NOISE[draw + 1]
                    draw += 2
                if sb > 0 and repeat < repeats - 1:
                    x = math.sqrt(step_alpha) * x + math.sqrt(step_beta) * NOISE[draw + 7]
                    draw += 1
            case, step = f"{name}, {repeats} repeats, step {k + 1}", next(steps).x
            yield near(f"{case}, known", known, step[0], rel=1e-8, abs=1e-9)
            yield near(f"{case}, painted", x, step[1], rel=1e-8, abs=1e-9)
        yield near(f"{name}, {repeats} repeats, steps left", 0, sum(1 for _ in steps))


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
