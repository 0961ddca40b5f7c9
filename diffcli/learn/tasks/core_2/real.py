"""The learner's ancestral step as a sampler, drawing digits from the shipped checkpoint beside the package's own."""

from pathlib import Path

import numpy as np
from PIL import Image

from diffcli.learn.running import Outcome

NEEDS = ("ancestral_step", "posterior_variance")

IMPL = '''
"""The ancestral step of core_2.py as a sampler: diffcli sample --impl core_2_impl.py --sampler mine"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from core_2 import ancestral_step, posterior_variance
from torch import Tensor

from diffcli import plugins
from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.walks import Noise, Step
from diffcli.core.levels import Level


@plugins.sampler("mine", separable=True)
def mine(denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise) -> Iterator[Step]:
    """The levels of a walk are a chain of their own, whose alpha-bar is alpha²; here alpha² + sigma² has to be 1."""
    alpha_bar = torch.stack([level.alpha**2 for level in reversed(levels)])  # entry 0 is the data's, 1
    for step, (here, _) in enumerate(pairwise(levels)):
        t = len(levels) - 1 - step
        x0 = denoise(x, here).x0
        eps = (x.double() - here.alpha * x0.double()) / here.sigma  # in double: at first x is all but the noise itself
        variance = float(posterior_variance(alpha_bar, t))
        new = ancestral_step(x.double(), eps, alpha_bar, t, variance, noise(step).double())
        x = (new if isinstance(new, Tensor) else torch.stack([torch.as_tensor(one) for one in new])).to(x)
        yield Step(x, x0)
'''

STEPS, COUNT = 50, 10
APART = 2e-3  # of values from -1 to 1, on average: what rounding does over a whole walk is half of it at most
SHADES, SHARE = 3, 0.01  # of 255, and of the pixels that may be off by more


def commands(impl: Path, out: Path) -> list[list[str]]:
    """The same noises through both samplers."""
    walk = ["--steps", str(STEPS), "--count", str(COUNT), "--class", "all", "--seed", "0"]
    return [
        ["sample", "mnist", "--impl", str(impl), "--sampler", "mine", *walk, *_to(out, "yours")],
        ["sample", "mnist", "--sampler", "ddpm", *walk, *_to(out, "ours")],
    ]


def _to(out: Path, name: str) -> list[str]:
    return ["--array", str(out / f"{name}.npy"), "--out", str(out / f"{name}.png")]


def judged(out: Path) -> Outcome:
    """Digit by digit: the same start and the same noises have to end in the same pixels."""
    yours, ours = (np.load(out / f"{name}.npy").astype(float) for name in ("yours", "ours"))
    if yours.shape != ours.shape:
        return Outcome(False, (f"yours have the shape {yours.shape}, the package's {ours.shape}",))
    pictures = ("yours.png", "ours.png")
    first, second = (np.asarray(Image.open(out / name).convert("L"), dtype=int) for name in pictures)
    apart = float(np.abs(yours - ours).mean())
    share = float((np.abs(first - second) > SHADES).mean()) if first.shape == second.shape else 1.0
    other = float(np.abs(ours - np.roll(ours, 1, axis=0)).mean())
    lines = (
        f"{COUNT} digits, {STEPS} steps, the same noises: values from -1 to 1 differ by {apart:.1e} on average"
        f" (up to {APART:g} is rounding; two different digits differ by {other:.2f})",
        f"pixels that differ by more than {SHADES} of 255 shades: {share:.2%} (up to {SHARE:.0%} is rounding)",
    )
    return Outcome(apart <= APART and share <= SHARE, lines, pictures)
