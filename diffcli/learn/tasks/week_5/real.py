"""A learner's reverse SDE as a sampler, on a law that is known and on the shipped digits, beside the package's own."""

import math
from pathlib import Path

import numpy as np

from diffcli.learn.running import Outcome

NEEDS = ("sde_coefficients", "reverse_step")
MEAN, STD, POINTS = 1.5, 0.5, 10_000
LAW = f"exact:gaussian,mean={MEAN},std={STD},dim=1"
WALKS = {  # of what, in how many steps, how many
    "points": [LAW, "--steps", "200", "--count", str(POINTS)],
    "digits": ["mnist", "--steps", "80", "--count", "10", "--class", "all"],
}

IMPL = '''
"""The sampler `yours`: your coefficients and your step, back along the VP SDE. Written by `diffcli learn run week-5`.

    diffcli sample exact:mixture --impl week_5_impl.py --sampler yours --schedule vp --steps 200
"""

from itertools import pairwise

import torch
from week_5 import reverse_step, sde_coefficients

from diffcli import plugins
from diffcli.core.diffusion.schedules import VP
from diffcli.core.diffusion.walks import Step


@plugins.sampler("yours", steps=200)
def yours(denoise, x, levels, noise):
    schedule = VP()
    times = schedule.time(torch.stack([level.log_snr for level in levels]))  # of the levels; the data are at 0
    for number, (t, s) in enumerate(pairwise(levels)):
        x0, eps, _ = denoise(x, t)
        now, dt = times[number : number + 1], float(times[number] - times[number + 1])
        if s.sigma > 0:
            found = sde_coefficients(*schedule(now), *schedule.rates(now))
            f, g2 = torch.as_tensor(found).flatten().tolist()
            x = torch.as_tensor(reverse_step(x, -eps / t.sigma, f, g2, dt, noise(number))).to(x0.dtype)
        else:
            x = x0  # the last step is to the clean estimate
        yield Step(x, x0)
'''


def commands(impl: Path, out: Path) -> list[list[str]]:
    """Both samplers on both."""
    samplers = {"yours": ["--impl", str(impl), "--sampler", "yours"], "ours": ["--sampler", "euler-maruyama"]}
    rest = ["--schedule", "vp", "--seed", "0", "--quiet"]
    found = []
    for name, walk in WALKS.items():
        for whose, sampler in samplers.items():
            files = ["--array", str(out / f"{name}-{whose}.npy"), "--out", str(out / f"{name}-{whose}.png")]
            found.append(["sample", *walk, *sampler, *rest, *files])
    return found


def judged(out: Path) -> Outcome:
    """Whether each point and each pixel is where the package's own walk takes it, and the points have their law."""
    lines, passed = [], True
    for name in WALKS:
        yours, ours = (np.load(out / f"{name}-{whose}.npy").astype(np.float64) for whose in ("yours", "ours"))
        gaps = np.abs(yours - ours)
        far = float((~(gaps <= 0.02)).mean())  # a network in bfloat16 makes much of a last digit, at few pixels
        passed = passed and far < 0.01
        lines.append(f"{name}: on average {gaps.mean():.1g} from the package's own; more than 0.02 off are {far:.2%}")
    points = np.load(out / "points-yours.npy").astype(np.float64)
    error = STD / math.sqrt(POINTS)
    lines.append(f"mean of {POINTS:,} points: {points.mean():.4f} ± {error:.4f}; that of the law is {MEAN}")
    lines.append(f"their standard deviation: {points.std():.4f} ± {error / math.sqrt(2):.4f}; that of the law is {STD}")
    near = abs(points.mean() - MEAN) < 0.02 and abs(points.std() - STD) < 0.02  # what 200 steps err by, and chance
    return Outcome(passed and near, tuple(lines), ("digits-yours.png", "digits-ours.png", "points-yours.png"))
