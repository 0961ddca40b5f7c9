"""A learner's step as a sampler on the shipped digits, beside the package's own DDIM from the same seed."""

from pathlib import Path

import numpy as np

from diffcli.learn.running import Outcome

NEEDS = ("ddim_step",)
STEPS, COUNT, SEED = 20, 10, 0

IMPL = '''
"""The sampler `yours`: your ddim_step along the levels of a schedule. Written anew by `diffcli learn run core-6`.

    diffcli sample mnist --impl core_6_impl.py --sampler yours,eta=0.5 --steps 10
"""

from itertools import pairwise

import torch
from core_6 import ddim_step

from diffcli import plugins
from diffcli.core.diffusion.walks import Step


@plugins.sampler("yours", steps=20)
def yours(denoise, x, levels, noise, *, eta=0.0):
    for number, (t, s) in enumerate(pairwise(levels)):  # the last of them is the data: alpha 1, sigma 0
        x0 = denoise(x, t).x0
        wide = x.double()  # at the first level x is all but noise, and single precision would lose x0 in it
        eps = (wide - t.alpha * x0) / t.sigma
        abar_t, abar_s = float(t.alpha) ** 2, float(s.alpha) ** 2
        x = torch.as_tensor(ddim_step(wide, eps, abar_t, abar_s, eta, noise(number).double())).to(x0.dtype)
        yield Step(x, x0)
'''

PAIRS = {"η = 0": ("yours", "ours"), "η = 1": ("yours-eta-1", "ours-eta-1")}
CLOSE, MOST = 0.25, 32  # levels of grey, on average and in one pixel: a network in bfloat16 makes much of a last digit


def commands(impl: Path, out: Path) -> list[list[str]]:
    """Four walks: both samplers without noise and with DDPM's."""
    own = ["--impl", str(impl), "--sampler"]
    samplers = {
        "yours": [*own, "yours"],
        "ours": ["--ddim"],
        "yours-eta-1": [*own, "yours,eta=1"],
        "ours-eta-1": ["--sampler", "ddim", "--eta", "1"],
    }
    rest = ["--steps", str(STEPS), "--count", str(COUNT), "--seed", str(SEED), "--quiet"]
    return [
        ["sample", "mnist", *sampler, *rest, "--array", str(out / f"{name}.npy"), "--out", str(out / f"{name}.png")]
        for name, sampler in samplers.items()
    ]


def judged(out: Path) -> Outcome:
    """Whether the digits are the same, as 8-bit pixels, and η makes a difference."""
    every = {name: pixels(out / f"{name}.npy") for pair in PAIRS.values() for name in pair}
    lines, passed = [], True
    for eta, pair in PAIRS.items():
        gap = np.abs(every[pair[0]] - every[pair[1]])
        mean, largest, moved = float(gap.mean()), int(gap.max()), float((gap > 0).mean())
        passed = passed and mean <= CLOSE and largest <= MOST
        about = f"by {mean:.2f} levels of grey on average over all and {largest} at most"
        lines.append(f"{eta}: {moved:.1%} of the pixels differ from the package's own, {about}")
    lines.append("what differs is rounding: float64 in yours, float32 in the package, bfloat16 in some networks")
    apart = float(np.abs(every["yours"] - every["yours-eta-1"]).mean())
    lines.append(f"between η = 0 and η = 1, from the same first noise, they differ by {apart:.0f} levels on average")
    return Outcome(passed and apart > 1, tuple(lines), ("yours.png", "ours.png", "yours-eta-1.png", "ours-eta-1.png"))


def pixels(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Grey from 0 to 255, whole numbers."""
    found: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = np.round((np.clip(np.load(path), -1, 1) + 1) * 127.5)
    return found
